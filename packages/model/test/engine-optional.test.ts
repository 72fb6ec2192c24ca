import { reasonFrom } from '@millrace/protocol';
import { describe, test } from 'vitest';
import { openByName } from '../src/open-engine.ts';
import { engineConformance } from './engine-conformance.ts';

for (const name of ['tfjs-node', 'tfjs-node-gpu', 'onnx-cuda', 'onnx-tensorrt'] as const) {
  const absent = await openByName(name).then(
    (engine) => {
      engine.dispose();
      return null;
    },
    (error: unknown) => reasonFrom(error),
  );
  if (absent === null) describe(name, () => engineConformance(name));
  else test(`engine ${name}`, ({ skip }) => skip(`is not here: ${absent}`));
}
