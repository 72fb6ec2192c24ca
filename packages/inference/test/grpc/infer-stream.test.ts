import { once } from 'node:events';
import type { ClientDuplexStream } from '@grpc/grpc-js';
import { status } from '@grpc/grpc-js';
import { expect, onTestFinished, test } from 'vitest';
import { inferenceServiceName } from '../../src/grpc/protos.ts';
import { answerTo, type Gate, gate, withObjects } from '../http/stub-service.ts';
import { clientOf, openGrpc, protos } from './grpc-clients.ts';

const { path, requestSerialize, responseDeserialize } = protos.service(inferenceServiceName).ModelStreamInfer;

interface StreamAnswer {
  readonly error_message: string;
  readonly infer_response: {
    readonly id: string;
    readonly outputs: readonly { readonly contents: { readonly fp32_contents: readonly number[] } }[];
    readonly parameters: Readonly<Record<string, object>>;
  };
}

/** A stream on which bytes may be sent in place of messages, and what came back on it so far. */
function openStream(address: string) {
  const { client } = clientOf(address, inferenceServiceName);
  const serialize = (message: object) => (Buffer.isBuffer(message) ? message : requestSerialize(message));
  const stream: ClientDuplexStream<object, StreamAnswer> = client.makeBidiStreamRequest(
    path,
    serialize,
    responseDeserialize,
  );
  onTestFinished(() => stream.cancel());
  const answers: StreamAnswer[] = [];
  stream.on('data', (answer: StreamAnswer) => answers.push(answer));
  stream.on('error', () => {});
  return { stream, answers };
}

const asked = (id: string, item: string) => ({
  model_name: 'demo',
  id,
  inputs: [
    { name: 'item', datatype: 'BYTES', shape: [1], contents: { bytes_contents: [Buffer.from(item)] } },
  ],
});

test('grpc: stream: answers in the order of the requests, refusals among them', async () => {
  const held = new Map<unknown, Gate>([['slow', gate()]]);
  const score: NonNullable<Parameters<typeof openGrpc>[0]>['parts'] = {
    async score(request) {
      await held.get(withObjects(request).items[0].item)?.opened;
      return answerTo(request);
    },
  };
  const { face, registry } = await openGrpc({ parts: score });
  const { stream, answers } = openStream(face.address);
  const slow = asked('r1', 'slow');
  for (const message of [slow, { ...asked('r2', 'a'), model_name: 'other' }, asked('r3', 'a')])
    stream.write(message);
  // Bytes that are no message, and another one behind them.
  stream.write(Buffer.from([0xff, 0xff]));
  stream.end(asked('r5', 'b'));
  const isCounted = async () =>
    (await registry.metrics()).includes('method="ModelStreamInfer",status="OK"} 2');
  await expect.poll(isCounted).toBe(true);
  expect(answers).toEqual([]);
  held.get('slow')?.open();
  await once(stream, 'end');
  expect(answers.map((answer) => [answer.infer_response.id, answer.error_message])).toEqual([
    ['r1', ''],
    ['r2', 'MILL_MODEL_UNKNOWN: there is no model "other"'],
    ['r3', ''],
    ['', 'MILL_BAD_REQUEST: message: wanted the request of ModelStreamInfer, found other bytes'],
    ['r5', ''],
  ]);
  expect(answers[4].infer_response.outputs[0].contents.fp32_contents).toEqual([0.5]);
  expect(answers[4].infer_response.parameters.triton_final_response).toMatchObject({ bool_param: true });
});

test('grpc: stream: so many requests are worked on at once, and no more', async () => {
  const [held, asks] = [gate(), { count: 0 }];
  const { face } = await openGrpc({
    parts: {
      async score(request) {
        asks.count += 1;
        await held.opened;
        return answerTo(request);
      },
    },
  });
  const { stream, answers } = openStream(face.address);
  for (let i = 0; i < 200; i += 1) stream.write(asked(String(i), 'a'));
  stream.end();
  await expect.poll(() => asks.count).toBe(64);
  held.open();
  await once(stream, 'end');
  expect(answers.map(({ infer_response }) => infer_response.id)).toEqual(
    Array.from({ length: 200 }, (_, i) => String(i)),
  );
});

test('grpc: stream: close ends an idle one, and another behind what it works on', async () => {
  const [held, begun] = [gate(), gate()];
  const { face } = await openGrpc({
    parts: {
      async score(request) {
        if (withObjects(request).items[0].item === 'slow') {
          begun.open();
          await held.opened;
        }
        return answerTo(request);
      },
    },
  });
  const [idle, busy] = [openStream(face.address), openStream(face.address)];
  const ends = [idle, busy].map(async ({ stream }) => (await once(stream, 'status'))[0]);
  idle.stream.write(asked('r0', 'a'));
  await expect.poll(() => idle.answers.length).toBe(1);
  busy.stream.write(asked('r1', 'slow'));
  await begun.opened;
  const closing = face.close();
  expect(await ends[0]).toMatchObject({ code: status.OK });
  expect(busy.answers).toEqual([]);
  held.open();
  expect(await ends[1]).toMatchObject({ code: status.OK });
  expect(busy.answers.map(({ infer_response }) => infer_response.id)).toEqual(['r1']);
  await closing;
});
