/**
 * Writes the documents that are made from source, so that they cannot tell anything else than the code does.
 *
 *   node --conditions=source --import tsx scripts/docs.mjs            writes them
 *   node --conditions=source --import tsx scripts/docs.mjs --check    writes nothing; fails when one differs
 */
import { spawnSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What is made: a path from the root, and a function that gives the text. Add a line to make another. */
const documents = [
  {
    path: 'docs/model.schema.json',
    async text() {
      const { modelSchema } = await import('../packages/model/src/model-schema.ts');
      return formatted('docs/model.schema.json', JSON.stringify(modelSchema));
    },
  },
  {
    path: 'docs/configuration.md',
    async text() {
      const { configurationPage } = await import('../packages/cli/src/configuration-page.ts');
      return configurationPage();
    },
  },
  {
    path: 'docs/errors.md',
    async text() {
      const { errorTable } = await import('../packages/protocol/src/errors.ts');
      return errorsPage(errorTable);
    },
  },
];

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** The text as the repository's formatter would leave it. */
function formatted(path, text) {
  const biome = createRequire(import.meta.url).resolve('@biomejs/biome/bin/biome');
  const args = [biome, 'format', `--stdin-file-path=${path}`];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: root,
    input: text,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`cannot format ${path}: ${stderr}`);
  return stdout;
}

/** The closed table of errors, in its own order. */
function errorsPage(errorTable) {
  const rows = Object.entries(errorTable).map(
    ([code, { http, grpc, retry, summary }]) => `| \`${code}\` | ${http} | ${grpc} | ${retry} | ${summary} |`,
  );
  return `# Errors

Every error that leaves a Millrace process has one of these codes. The code is the contract; the text beside it is for
people and may change. Over HTTP an error is the body \`{"error": {"code", "message", "retry", "details"?}}\`, between client
and shard a refusal frame, in the logs the property \`code\`. The table is closed: \`packages/protocol/src/errors.ts\`
holds it, and this page is made from it (\`npm run docs\`).

What the caller should do, the column *retry*:

- **never**: the request or the set-up is wrong; change it first.
- **same**: send the same again, at once.
- **refresh-map**: take the newer partition map, then send again. The client package does so by itself.
- **backoff**: wait, twice as long each time, then send again.

| code | http | grpc | retry | what it means and what to do |
| --- | --- | --- | --- | --- |
${rows.join('\n')}
`;
}

async function current(path) {
  try {
    return await readFile(join(root, path), 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

const isCheck = process.argv.includes('--check');
for (const { path, text } of documents) {
  const wanted = await text();
  if (wanted === (await current(path))) {
    console.log(`${path}: up to date`);
  } else if (isCheck) {
    console.error(`${path}: differs from the source; run npm run docs`);
    process.exitCode = 1;
  } else {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), wanted);
    console.log(`${path}: written`);
  }
}
