/** Asks `millrace verify` whether every owner holds what snapshots and log give. */
import type { LocalClusterFixture } from '../local-cluster-fixture.ts';
import { runMillrace } from '../run-millrace.ts';

export interface VerifyQuestion {
  /** States that must have been compared: owners of all partitions. */
  readonly statesMin: number;
  /** Settings of the cluster, such as where its snapshots are. */
  readonly env: Readonly<Record<string, string>>;
}

interface VerifyAnswer {
  readonly equal: boolean;
  readonly compared: number;
  readonly differences: readonly { model: string; partition: number | 'dense'; message: string }[];
  readonly damaged: readonly string[];
}

const limitMs = 120_000;
const differencesTold = 3;

/** `equal`, or what differs. */
export async function verifyCluster(cluster: LocalClusterFixture, question: VerifyQuestion): Promise<string> {
  const { statesMin, env } = question;
  const args = ['verify', '--data', cluster.directory, '--json'];
  const { stdout, stderr } = await runMillrace(args, { env: { ...env, MILL_DATA: undefined }, limitMs });
  const answer = answerFrom(stdout);
  if (answer === null) return `no answer: ${stderr.trim().slice(-500)}`;
  const { equal, compared, differences, damaged } = answer;
  const found = differences
    .slice(0, differencesTold)
    .map(({ model, partition, message }) => `${model}/${partition}: ${message}`);
  if (!equal) return `${differences.length} differences: ${found.join('; ')}`;
  if (damaged.length > 0) return `damaged snapshots: ${damaged.join('; ')}`;
  return compared >= statesMin ? 'equal' : `${compared} states of ${statesMin} compared`;
}

function answerFrom(stdout: string): VerifyAnswer | null {
  try {
    return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as VerifyAnswer;
  } catch {
    return null;
  }
}
