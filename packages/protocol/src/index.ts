export * from './errors.ts';
export * from './ids.ts';
export * from './limits.ts';
export * from './model-file.ts';
export * from './score-api.ts';
export * from './subjects.ts';
