/** Runs simulations one after the other: a seed a round, each with every model. Started by scripts/simulate.mjs. */
import { parseArgs } from 'node:util';
import { simulate } from './simulation.ts';
import { reportLine, simulationModels } from './simulation-models.ts';

const { values } = parseArgs({
  options: {
    from: { type: 'string', default: process.env.SEED ?? '1' },
    seeds: { type: 'string', default: process.env.SEED === undefined ? '100' : '1' },
    steps: { type: 'string', default: '600' },
  },
});
const from = Number(values.from);
let broken = 0;
for (let seed = from; seed < from + Number(values.seeds); seed += 1) {
  for (const [model, file] of Object.entries(simulationModels)) {
    const report = await simulate({ seed, file, steps: Number(values.steps) });
    if (report.violations.length > 0) broken += 1;
    process.stdout.write(`${model.padEnd(13)} ${reportLine(report)}\n`);
  }
}
if (broken > 0) {
  process.stdout.write(`${broken} broken; replay one with SEED=… npm run simulate\n`);
  process.exitCode = 1;
}
