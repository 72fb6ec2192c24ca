import { netCases, wideCases } from './net-cases.ts';
import { splitConformance } from './split-conformance.ts';

splitConformance('onnx', [...netCases, ...wideCases]);
