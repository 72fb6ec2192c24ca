export { type ExplainOptions, type Explanation, explainRequest } from './history/explain-request.ts';
export type { HistorySource } from './history/history-source.ts';
