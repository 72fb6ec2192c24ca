/**
 * Ports for processes that restart on them. They are taken from below those that systems give to outgoing connections: a port
 * that is free while its process restarts would else be given away, and a client that tries to reach a dead server could even
 * meet itself there.
 */
import { createServer } from 'node:net';
import { MillraceError } from '@millrace/protocol';

/** Below the ports of outgoing connections: they begin at 32,768 on Linux, at 49,152 elsewhere. */
const portMin = 15_000;
const portMax = 30_000;
const triesMax = 50;

export interface FreePortsOptions {
  readonly host: string;
  /** Wanted first port, taken when it and all after it are free; 0: any. */
  readonly first: number;
  readonly count: number;
}

/**
 * First of `count` consecutive ports that can be listened on.
 * @throws MILL_CONFIG_INVALID when none were found.
 */
export async function freePorts({ host, first, count }: FreePortsOptions): Promise<number> {
  if (first !== 0 && (await areFree(host, first, count))) return first;
  for (let tries = 0; tries < triesMax; tries += 1) {
    const port = portMin + Math.floor(Math.random() * (portMax - portMin - count));
    if (await areFree(host, port, count)) return port;
  }
  const wanted = count === 1 ? 'port' : `${count} consecutive ports`;
  throw new MillraceError(
    'MILL_CONFIG_INVALID',
    `no ${wanted} of ${host} between ${portMin} and ${portMax} can be listened on`,
  );
}

async function areFree(host: string, first: number, count: number): Promise<boolean> {
  if (first + count > 65_536) return false;
  for (let port = first; port < first + count; port += 1) {
    if (!(await isFree(host, port))) return false;
  }
  return true;
}

function isFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolveFree) => {
    const probe = createServer();
    probe.once('error', () => resolveFree(false));
    probe.listen(port, host, () => probe.close(() => resolveFree(true)));
  });
}
