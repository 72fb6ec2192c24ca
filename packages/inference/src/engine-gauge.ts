/** What runs each model here and what it was chosen by, for /metrics. */
import type { OpenNet } from '@millrace/model';
import type { Metrics } from '@millrace/runtime';
import { scoringWork } from './served-model.ts';

/** @returns what is to be told of each model that is opened. */
export function createEngineGauge(metrics: Metrics): (net: OpenNet) => void {
  const chosen = metrics.gauge({
    name: 'mill_engine',
    help: '1 for the engine that runs the dense part of a model.',
    labels: ['model', 'engine', 'reason'],
  });
  const callUs = metrics.gauge({
    name: 'mill_engine_call_us',
    help: 'What a batch of so many items took an engine when one was chosen.',
    labels: ['model', 'engine', 'rows'],
  });
  return ({ file, engine, choice }) => {
    const model = file.name;
    chosen.set({ model, engine: engine.name, reason: choice.reason }, 1);
    for (const { name, callUs: measured } of choice.speeds) {
      measured.forEach((us, place) => {
        callUs.set({ model, engine: name, rows: String(scoringWork.rows[place]) }, us);
      });
    }
  };
}
