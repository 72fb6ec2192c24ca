export * from './engine.ts';
export type * from './net-shape.ts';
