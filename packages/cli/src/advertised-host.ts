/** Which address a shard tells to those who will pull from it. */
import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { isIP } from 'node:net';
import { hostname } from 'node:os';

export interface ListeningPlace {
  /** Address that the pull port listens on. */
  readonly host: string;
  /** Addresses of the NATS servers, `nats://host:port` or `host:port`. */
  readonly natsUrls: readonly string[];
}

/**
 * The address listened on; where that is every address of the machine, the one from which it reaches NATS, since everybody
 * who pulls reaches NATS too. Where NATS runs on this very machine that would be the loopback, so the host name is told then.
 */
export async function advertisedHost({ host, natsUrls }: ListeningPlace): Promise<string> {
  if (!isEveryAddress(host)) return host;
  for (const url of natsUrls) {
    const own = await ownAddressTowards(url).catch(() => null);
    if (own !== null && !isLoopback(own)) return own;
  }
  return hostname();
}

/** The source address that this machine would use. Connecting a UDP socket looks at the routes and sends nothing. */
async function ownAddressTowards(natsUrl: string): Promise<string> {
  const { hostname: name, port } = new URL(natsUrl.includes('://') ? natsUrl : `nats://${natsUrl}`);
  const { address, family } = await lookup(name.replace(/^\[(.*)\]$/, '$1'));
  const socket = createSocket(family === 6 ? 'udp6' : 'udp4');
  try {
    socket.connect(Number(port || natsPortDefault), address);
    await once(socket, 'connect');
    return socket.address().address;
  } finally {
    socket.close();
  }
}

const natsPortDefault = 4222;

function isEveryAddress(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

function isLoopback(address: string): boolean {
  return isIP(address) === 6 ? address === '::1' : address.startsWith('127.');
}
