export type { BatchingLimits } from './batcher.ts';
export { type HttpFace, type HttpOptions, startHttp } from './http/start-http.ts';
export { inferenceSettings } from './inference-settings.ts';
export { storeModel } from './model-catalog.ts';
export type { ScoreInput } from './scored.ts';
export { createScoringCore, type ScoringCore, type ScoringCoreOptions } from './scoring-core.ts';
export { probabilities } from './scoring-line.ts';
export type { ScoringService } from './scoring-service.ts';
export { type InferenceOptions, type RunningInference, startInference } from './start-inference.ts';
