import { splitConformance } from './split-conformance.ts';

splitConformance('plain');
