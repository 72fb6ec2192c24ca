import { simulate } from './simulation.ts';
const from = Number(process.argv[2] ?? 1), n = Number(process.argv[3] ?? 1), steps = Number(process.argv[4] ?? 200);
const trace = process.argv[5] === 'trace';
for (let seed = from; seed < from + n; seed++) {
  const t = performance.now();
  const r = await simulate({ seed, steps, ...(trace && { onNote: (at, text) => console.log(at.toFixed(1), text), onLog: (l) => process.stdout.write(l) }) });
  const { harms, violations, ...rest } = r;
  console.log(JSON.stringify({ ...rest, ms: Math.round(performance.now() - t) }), JSON.stringify(harms));
  for (const v of violations) console.log('   BROKEN', v.invariant, v.atMs, v.what);
}
