/** What an inference node chooses its engine by. */
import type { EngineWork } from '@millrace/model';

export const scoringWork: EngineWork = { kind: 'scores', rows: [1, 32, 128] };
