/** Closes a run with one plain line, so that a program can read the outcome in any language. */
import type { Reporter, TestModule } from 'vitest/node';

class PlainSummary implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const counts = { passed: 0, failed: 0, skipped: 0, pending: 0 };
    let brokenFiles = 0;
    for (const module of modules) {
      for (const test of module.children.allTests()) counts[test.result().state] += 1;
      if (module.errors().length > 0) brokenFiles += 1;
    }
    process.stdout.write(
      `\n${counts.passed} passed, ${counts.failed + brokenFiles} failed, ${counts.skipped} skipped\n`,
    );
  }
}

// Vitest loads a reporter file by its default export.
export default PlainSummary;
