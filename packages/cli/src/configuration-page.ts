/** docs/configuration.md, made from the settings tables that the processes themselves read. */
import { describeConfig } from '@millrace/runtime';
import { settingsTables } from './commands/services.ts';

const titles: Readonly<Record<keyof typeof settingsTables, string>> = {
  common: 'Every service',
  security: 'Every service: authentication and TLS',
  snapshot: 'Snapshots: shards, updaters, inference nodes',
  pull: 'Pulls: updaters, inference nodes',
  shard: '`millrace shard`',
  inference: '`millrace inference`',
  updater: '`millrace updater`',
  cli: 'The `millrace` command itself',
};

/** Markdown of the whole page. */
export function configurationPage(): string {
  const sections = Object.entries(settingsTables).map(([name, table]) => {
    const rows = describeConfig(table).map(
      ({ env, wanted, default: standard, unit, sentence }) =>
        `| \`${env}\` | ${sentence} | ${wanted.replaceAll('|', '\\|')} | ${standard}${unit && standard !== 'none' ? ` ${unit}` : ''} |`,
    );
    const title = titles[name as keyof typeof settingsTables];
    return [
      `## ${title}`,
      '',
      '| setting | what it does | takes | default |',
      '| --- | --- | --- | --- |',
      ...rows,
    ].join('\n');
  });
  return `# Configuration

Every process reads its settings from \`MILL_…\` variables. One that no table knows is an error, since it is most likely
misspelt; one out of range is an error that names the variable, what it takes and what was found. This page is made from
the tables (\`npm run docs\`), and a test compares both. What belongs to a model (tables, optimizers, join window, batch of a
gradient step) stands in its [model file](model-file.md), not here.

${sections.join('\n\n')}
`;
}
