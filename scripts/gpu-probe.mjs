/** Opens one engine in a process of its own, since native libraries may take theirs down, and prints what it found as JSON. */
import { openOptional } from '../packages/model/test/optional-engines.ts';

const outcome = await openOptional(process.argv[2]).then(
  (engine) => {
    engine.dispose();
    return { device: engine.device?.name, isSoftware: engine.device?.isSoftware ?? false };
  },
  (error) => ({ reason: String(error.message).split('\n', 1)[0] }),
);
process.stdout.write(`${JSON.stringify(outcome)}\n`);
