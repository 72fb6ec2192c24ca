/** The records of measures that a model's updater has told lately, as this node has read them; bounded. */
import {
  decodeMeasures,
  isMillraceError,
  type Measures,
  measuresSubject,
  modelNameFrom,
} from '@millrace/protocol';
import type { Bus, Logger, LogReader } from '@millrace/runtime';

export interface MeasuresView {
  /** Oldest first. */
  readonly records: readonly Measures[];
  readonly newest: Measures | null;
  close(): Promise<void>;
}

/** An hour of a record every ten seconds. */
const recordsMax = 360;

export interface MeasuresViewOptions {
  readonly bus: Bus;
  readonly logger: Logger;
  readonly model: string;
  readonly onFailed: (error: Error) => void;
}

export async function openMeasuresView(options: MeasuresViewOptions): Promise<MeasuresView> {
  const { bus, logger, onFailed } = options;
  const subject = measuresSubject(modelNameFrom(options.model));
  const records: Measures[] = [];
  const head = await bus.headOf('measures', subject);
  const reader: LogReader = await bus.read('measures', {
    subject,
    // Sequences count the records of all models: with one model the last hour, with several less of it at first.
    from: Math.max(1, head - recordsMax),
    onMessage({ payload }) {
      try {
        records.push(decodeMeasures(payload));
        if (records.length > recordsMax) records.shift();
      } catch (error) {
        if (!isMillraceError(error)) throw error;
        logger.warn({ model: options.model, reason: error.message }, 'record of measures passed over');
      }
    },
    onError: onFailed,
  });
  return {
    records,
    get newest() {
      return records.at(-1) ?? null;
    },
    close: () => reader.close(),
  };
}
