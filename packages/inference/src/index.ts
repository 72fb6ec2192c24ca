export { type HttpFace, type HttpOptions, startHttp } from './http/start-http.ts';
export type { ScoringService } from './scoring-service.ts';
