/** What is measured: something that gives rows for keys. */
import type { Request } from './workload.ts';

export interface RowStore {
  readonly name: 'millrace' | 'redis';
  /** True when a key without a row is answered with its first values, false when its place is left as it is. */
  readonly answersUnknown: boolean;
  /** Writes the rows of a request to `out`, float32[count, rowFloats]. */
  ask(request: Request, out: Float32Array): Promise<void>;
  close(): Promise<void>;
}
