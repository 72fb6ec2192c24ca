/** The network with TLS, on real sockets: here, since this is where certificates can be made. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { createTcpNetwork, type Network, type Wire, type WireListener } from '@millrace/runtime';
import { expect, onTestFinished, test } from 'vitest';
import { certifiedFiles } from './certified-files.ts';

interface Echo {
  readonly port: number;
  readonly listener: WireListener;
  readonly refused: string[];
  readonly wires: Wire[];
}

/** Sends back what comes. */
async function echoOver(network: Network): Promise<Echo> {
  const refused: string[] = [];
  const wires: Wire[] = [];
  const listener = await network.listen({
    host: '127.0.0.1',
    port: 0,
    connectionsMax: 10,
    onConnection(wire) {
      wires.push(wire);
      const room = new Uint8Array(1_000);
      return {
        room: () => room,
        onFilled: (bytes) => wire.write(room.slice(0, bytes)),
        onClosed: () => {},
      };
    },
    onRefused(reason) {
      refused.push(reason);
      return Buffer.from('TLS, please');
    },
    onFailed: (error) => refused.push(error.message),
  });
  onTestFinished(async () => {
    for (const wire of wires) wire.destroy();
    await listener.close();
  });
  return { port: listener.port, listener, refused, wires };
}

/** Sends `text` and resolves to what comes back, or why the stream ended before. */
function say(
  network: Network,
  port: number,
  text: string,
): Promise<string | { readonly ended: string | null }> {
  return new Promise((resolve) => {
    const room = new Uint8Array(1_000);
    let heard = '';
    const wire = network.connect(
      { host: '127.0.0.1', port },
      {
        room: () => room,
        onFilled(bytes) {
          heard += Buffer.from(room.subarray(0, bytes)).toString();
          if (heard.length < text.length) return;
          wire.destroy();
          resolve(heard);
        },
        onClosed: (ended) => resolve({ ended }),
      },
    );
    wire.write(Buffer.from(text));
  });
}

test('tls network: both ends of one authority talk', async () => {
  const tls = await (await certifiedFiles()).identity();
  const network = createTcpNetwork({ tls });
  const { port, refused } = await echoOver(network);
  const long = 'abc'.repeat(50_000);
  expect(await Promise.all([say(network, port, 'hello'), say(network, port, long)])).toEqual(['hello', long]);
  expect(refused).toEqual([]);
});

test('tls network: a certificate is taken by its fixed name, whatever the address', async () => {
  const tls = await (await certifiedFiles({ hosts: ['somewhere.else'] })).identity();
  const network = createTcpNetwork({ tls });
  const { port } = await echoOver(network);
  expect(await say(network, port, 'hello')).toBe('hello');
});

test('tls network: a caller without TLS is told so, in the clear', async () => {
  const tls = await (await certifiedFiles()).identity();
  const { port, refused, wires } = await echoOver(createTcpNetwork({ tls }));
  expect(await say(createTcpNetwork(), port, 'TLS, please'.replace(/./g, 'x'))).toBe('TLS, please');
  expect(refused).toEqual(['this port speaks TLS alone, the caller does not']);
  expect(wires).toEqual([]);
});

test('tls network: a port without TLS, called with it', async () => {
  const tls = await (await certifiedFiles()).identity();
  const { port } = await echoOver(createTcpNetwork());
  expect(await say(createTcpNetwork({ tls }), port, 'hello')).toEqual({ ended: 'it does not speak TLS' });
});

test('tls network: ends of two authorities refuse each other', async () => {
  const tls = await (await certifiedFiles()).identity();
  const other = await (await certifiedFiles()).identity();
  const { port, refused, wires } = await echoOver(createTcpNetwork({ tls }));
  expect(await say(createTcpNetwork({ tls: other }), port, 'hello')).toEqual({
    ended: expect.stringMatching(/^its certificate is not signed by the authority that this process trusts/),
  });
  // One that trusts the shard, but is not trusted.
  expect(await say(createTcpNetwork({ tls: { ...other, ca: tls.ca } }), port, 'hello')).toEqual({
    ended: 'it hung up before its first answer; it may not take the certificate of this process',
  });
  expect(refused.at(-1)).toMatch(/^the caller's certificate is not taken: /);
  expect(wires).toEqual([]);
});

test('tls network: a caller without a certificate is refused', async () => {
  const tls = await (await certifiedFiles()).identity();
  const { port, refused, wires } = await echoOver(createTcpNetwork({ tls }));
  const socket = connectTls({ host: '127.0.0.1', port, ca: tls.ca, servername: 'millrace-shard' });
  socket.on('secureConnect', () => socket.write('hello'));
  socket.resume();
  const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
  expect(error.code).toMatch(/CERTIFICATE_REQUIRED|ECONNRESET/);
  expect(refused).toEqual(['the caller sent no certificate']);
  expect(wires).toEqual([]);
});

test('tls network: a shard whose certificate lacks the fixed name is not believed', async () => {
  const { directory, ...files } = await certifiedFiles();
  const tls = await files.identity();
  const { issueCertificate } = await import('../../src/certificates/authority.ts');
  const { readFile } = await import('node:fs/promises');
  const authority = {
    certificate: await readFile(`${directory}/ca.pem`, 'utf8'),
    key: await readFile(`${directory}/ca-key.pem`, 'utf8'),
  };
  const bare = await issueCertificate({ authority, hosts: ['127.0.0.1'], nowMs: Date.now(), days: 1 });
  const { port } = await echoOver(
    createTcpNetwork({ tls: { ...tls, cert: bare.certificate, key: bare.key } }),
  );
  expect(await say(createTcpNetwork({ tls }), port, 'hello')).toEqual({
    ended: 'its certificate is not made out to millrace-shard',
  });
});

test('tls network: close ends those that say nothing, and waits for the others', async () => {
  const tls = await (await certifiedFiles()).identity();
  const network = createTcpNetwork({ tls });
  const { port, listener, wires } = await echoOver(network);
  const silent = connect({ host: '127.0.0.1', port });
  silent.on('error', () => {});
  await once(silent, 'connect');
  const room = new Uint8Array(10);
  const [ended, said] = await new Promise<[Promise<unknown>, string]>((resolve) => {
    let tell: (reason: unknown) => void = () => {};
    const over = new Promise((done) => {
      tell = done;
    });
    const wire = network.connect(
      { host: '127.0.0.1', port },
      {
        room: () => room,
        onFilled: (bytes) => resolve([over, Buffer.from(room.subarray(0, bytes)).toString()]),
        onClosed: (reason) => tell(reason),
      },
    );
    wire.write(Buffer.from('hi'));
  });
  expect(said).toBe('hi');
  let closed = false;
  const closing = listener.close().then(() => {
    closed = true;
  });
  silent.resume();
  await once(silent, 'close');
  expect(closed).toBe(false);
  for (const wire of wires) wire.end(Buffer.from('!'));
  expect(await ended).toBeNull();
  await closing;
});
