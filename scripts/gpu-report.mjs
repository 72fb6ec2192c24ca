/** What `npm run test:gpu` says at its end, from what became of each engine. */

/**
 * @param outcomes for each engine: `device` it ran on and whether its tests `passed`, or the `reason` why it did not run.
 * @returns lines to print, and the exit code: 1 when an engine that ran has failed, or when none could run.
 */
export function gpuReport(outcomes) {
  const width = Math.max(...outcomes.map(({ name }) => name.length));
  const lines = outcomes.map(({ name, device, isSoftware, passed, reason }) => {
    const said = reason === undefined ? `${passed ? 'passed' : 'FAILED'} on ${device}` : `not run: ${reason}`;
    return `${name.padEnd(width)}  ${said}${isSoftware ? ' (software, no GPU)' : ''}`;
  });
  const ran = outcomes.filter(({ reason }) => reason === undefined);
  if (ran.length === 0) {
    const names = outcomes.map(({ name }) => name).join(', ');
    return {
      lines: [...lines, `no engine that uses a GPU could be run here: of ${names} none loads`],
      exitCode: 1,
    };
  }
  if (ran.every(({ isSoftware }) => isSoftware))
    lines.push('no GPU was found: what ran, ran on a processor that plays one');
  return { lines, exitCode: ran.every(({ passed }) => passed) ? 0 : 1 };
}
