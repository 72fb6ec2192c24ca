export type { BatchingLimits } from './batcher.ts';
export { type HttpFace, type HttpOptions, startHttp } from './http/start-http.ts';
export { inferenceSettings } from './inference-settings.ts';
export { storeModel } from './model-catalog.ts';
export { createScoringCore, type ScoringCore, type ScoringCoreOptions } from './scoring-core.ts';
export type { ScoringService } from './scoring-service.ts';
export { probabilities, type ScoreInput } from './served-model.ts';
export { type InferenceOptions, type RunningInference, startInference } from './start-inference.ts';
