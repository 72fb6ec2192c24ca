/**
 * Tells how well a model does: every slot to the log of measures and to /metrics, every minute what has been judged since
 * the start to the key-value store. None of it holds learning up: what cannot be stored is told and left.
 */

import type { Example } from '@millrace/joiner';
import type { GradientNorms } from '@millrace/model';
import {
  bytesOf,
  encodeMeasures,
  type Measures,
  type ModelFile,
  measuresSubject,
  modelNameFrom,
  packed,
  reasonFrom,
  unpacked,
} from '@millrace/protocol';
import type { Bus, Clock, Kv, Logger } from '@millrace/runtime';
import type { MeasureGauges } from './measure-gauges.ts';
import { createModelMeasures, type Judged, measureSlotMs } from './model-measures.ts';

export interface KeepMeasuresOptions {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly file: ModelFile;
  readonly driftAlert: number;
  readonly gauges: MeasureGauges;
}

export interface KeptMeasures {
  take(examples: readonly Example[], norms: GradientNorms): void;
  close(): Promise<void>;
}

const slotsAMinute = 60_000 / measureSlotMs;

export async function keepMeasures(options: KeepMeasuresOptions): Promise<KeptMeasures> {
  const { bus, clock, logger, file, driftAlert, gauges } = options;
  const model = modelNameFrom(file.name);
  const kv = await bus.kv('judged');
  const measures = createModelMeasures({ file, driftAlert, judged: await readJudged(kv, model, logger) });
  let slots = 0;
  let alerts: readonly string[] = [];
  let writing: Promise<void> | null = null;

  const store = async (told: Measures) => {
    try {
      await bus.append('measures', measuresSubject(model), encodeMeasures(told));
      if (slots < slotsAMinute) return;
      slots = 0;
      const sums = measures.judged().map(({ arm, cells }) => ({ arm, cells: bytesOf(cells) }));
      await kv.put(model, packed(sums));
    } catch (error) {
      logger.warn({ model, reason: reasonFrom(error) }, 'measures not stored');
    }
  };

  const tellAlerts = (moved: readonly string[]) => {
    for (const name of moved.filter((name) => !alerts.includes(name)))
      logger.warn({ model, moved: name, driftAlert }, 'distribution moved');
    for (const name of alerts.filter((name) => !moved.includes(name)))
      logger.info({ model, moved: name }, 'distribution is as before');
    alerts = moved;
  };

  const onSlot = () => {
    const told = measures.tell(clock.now());
    slots += 1;
    gauges.show(told);
    tellAlerts(told.alerts);
    // While a log is out of reach one record waits for it, not one a slot.
    writing ??= store(told).finally(() => {
      writing = null;
    });
    timer = clock.setTimer(measureSlotMs, onSlot);
  };
  let timer = clock.setTimer(measureSlotMs, onSlot);

  return {
    take: (examples, norms) => measures.take(examples, norms),
    async close() {
      timer.cancel();
      await writing;
      slots = slotsAMinute;
      await store(measures.tell(clock.now()));
    },
  };
}

/** What a predecessor has judged; nothing when there is none, or none that can be read. */
async function readJudged(kv: Kv, model: string, logger: Logger): Promise<readonly Judged[]> {
  const entry = await kv.get(model);
  if (entry === null) return [];
  try {
    return judgedFrom(unpacked(entry.value));
  } catch (error) {
    logger.warn({ model, reason: reasonFrom(error) }, 'sums of measures start anew');
    return [];
  }
}

function judgedFrom(value: unknown): readonly Judged[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((entry: { readonly arm?: unknown; readonly cells?: unknown }) =>
    typeof entry?.arm === 'string' && entry.cells instanceof Uint8Array && entry.cells.length % 8 === 0
      ? [{ arm: entry.arm, cells: new Float64Array(Uint8Array.from(entry.cells).buffer) }]
      : [],
  );
}
