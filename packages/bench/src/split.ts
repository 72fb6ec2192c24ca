/**
 * Items scored a second where what a request's items share is computed once, against the whole net for each item.
 *
 *   npm run bench -- split [--json] [--smoke] [--candidates N] [--engines plain,wasm,onnx]
 */
import { parseArgs } from 'node:util';
import { type EngineName, engineNames } from '@millrace/model';
import { thisMachine } from './common/machine.ts';
import { startProgress } from './common/progress.ts';
import { textTable } from './common/text-table.ts';
import { wholeNumber } from './common/whole-number.ts';
import { nets } from './split/nets.ts';
import { fullSize, smokeSize } from './split/parameters.ts';
import { runSplitBench, type SplitFigures } from './split/split-bench.ts';

const usage = 'npm run bench -- split [--json] [--smoke] [--candidates N] [--engines plain,wasm,onnx]';
const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    smoke: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
    candidates: { type: 'string' },
    engines: { type: 'string', default: 'plain,wasm,onnx' },
  },
});
const say = (text: string) => void process.stdout.write(`${text}\n`);
const size = values.smoke ? smokeSize : fullSize;

function enginesFrom(text: string): readonly EngineName[] {
  return text.split(',').map((name) => {
    const known = engineNames.find((engine) => engine === name);
    if (known === undefined)
      throw new TypeError(`wanted engines of ${engineNames.join(', ')}, found ${name}`);
    return known;
  });
}

function asText(figures: readonly SplitFigures[], candidates: number): string {
  const count = (n: number) => n.toLocaleString('en');
  const ratio = (n: number) => `${n.toFixed(2)}×`;
  return [
    `requests of ${candidates} items; items a second of processor time, from features to logits`,
    '',
    textTable(
      ['net', 'engine', 'auto', 'whole', 'split, items new', '', 'items known', '', 'largest Δ logit'],
      figures.map((line) => [
        line.net,
        line.engine,
        line.isDefault ? '*' : '',
        count(line.whole),
        count(line.fresh),
        ratio(line.freshRatio),
        count(line.known),
        ratio(line.knownRatio),
        line.difference.toExponential(0),
      ]),
    ),
    '',
    '* what auto takes for scores of the net here',
  ].join('\n');
}

if (values.help) say(usage);
else {
  const engines = enginesFrom(values.engines);
  const parameters = { ...size, candidates: wholeNumber(values.candidates, size.candidates) };
  const progress = startProgress(nets.length * engines.length, process.stderr);
  const figures = await runSplitBench(parameters, engines, progress.show);
  progress.end();
  say(
    values.json
      ? JSON.stringify({ bench: 'split', ...thisMachine(), parameters, figures })
      : asText(figures, parameters.candidates),
  );
}
