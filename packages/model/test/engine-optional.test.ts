/**
 * An optional engine that loads is held to what all are. MILL_TEST_ENGINE names the only one to test, whose absence is then a
 * failure (`npm run test:gpu`).
 */
import { reasonFrom } from '@millrace/protocol';
import { describe, test } from 'vitest';
import { engineConformance, fewNets } from './engine-conformance.ts';
import { engineTraining } from './engine-training.ts';
import { openOptional, optionalEngines } from './optional-engines.ts';

const wanted = process.env.MILL_TEST_ENGINE;

for (const name of optionalEngines.filter((each) => wanted === undefined || each === wanted)) {
  const found = await openOptional(name).then(
    (engine) => {
      engine.dispose();
      return { size: engine.device?.isSoftware === true ? fewNets : undefined };
    },
    (error: unknown) => reasonFrom(error),
  );
  if (typeof found === 'string') {
    test(`engine ${name}`, ({ skip }) => {
      if (wanted !== undefined) throw new Error(`is not here: ${found}`);
      skip(`is not here: ${found}`);
    });
  } else {
    describe(name, () => {
      engineConformance(name, found.size);
      engineTraining(name);
    });
  }
}
