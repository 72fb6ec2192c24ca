export { type DrawnRanking, drawOne, drawRanking } from './draw-ranking.ts';
export { normalCdf, normalDensity, normalQuantile } from './normal.ts';
export { type Candidates, type Exploration, explorationFrom, fillProbabilities } from './policy.ts';
export { thompsonProbabilities } from './thompson.ts';
export { uniformsOf } from './uniforms.ts';
