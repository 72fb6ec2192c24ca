import { engineConformance } from './engine-conformance.ts';

engineConformance('onnx');
