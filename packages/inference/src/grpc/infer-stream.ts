/**
 * ModelStreamInfer of Triton's clients: requests on one stream, each answered as ModelInfer answers it, in the order that they
 * came. A request that is refused is an answer with `error_message`; the stream goes on.
 */
import type { ServerDuplexStream, UntypedServiceImplementation } from '@grpc/grpc-js';
import type { MillraceError } from '@millrace/protocol';
import { textFrom } from '../http/refusals.ts';
import { type Answer, answerOne, beginSpan, type CallOptions } from './unary.ts';

type Stream = ServerDuplexStream<unknown, object>;

/** Requests of one stream that are worked on or wait to be sent; more stay unread until one is answered. */
const unansweredMax = 64;

export interface InferStreams {
  readonly methods: UntypedServiceImplementation;
  /** Takes no more requests; each stream ends behind the last answer. */
  close(): void;
}

/** @param answer  that of ModelInfer. */
export function inferStreams(options: CallOptions, answer: Answer): InferStreams {
  const open = new Map<Stream, () => void>();
  let closed = false;
  const serve = (stream: Stream) => {
    let unanswered = 0;
    let isEnding = closed;
    let sent = Promise.resolve();
    const endOnceSent = () => {
      isEnding = true;
      stream.pause();
      void sent.then(() => stream.end());
    };
    open.set(stream, endOnceSent);
    stream.on('close', () => open.delete(stream));
    stream.on('error', () => open.delete(stream));
    stream.on('cancelled', () => open.delete(stream));
    stream.on('end', endOnceSent);
    stream.on('data', (request: unknown) => {
      if (isEnding) return;
      unanswered += 1;
      if (unanswered === unansweredMax) stream.pause();
      const answered = answerTo(options, answer as Answer<unknown>, stream, request);
      sent = sent.then(async () => {
        await written(stream, await answered);
        unanswered -= 1;
        if (!isEnding) stream.resume();
      });
    });
    if (closed) endOnceSent();
  };
  return {
    methods: { ModelStreamInfer: serve },
    close() {
      closed = true;
      for (const end of open.values()) end();
    },
  };
}

async function answerTo(
  options: CallOptions,
  answer: Answer<unknown>,
  call: Stream,
  request: unknown,
): Promise<object> {
  const span = beginSpan(options, call);
  try {
    const name = 'ModelStreamInfer';
    const response = await answerOne({ options, name, answer, call, request, span });
    return { infer_response: withFinal(response) };
  } catch (error) {
    const { id = '' } = request as { readonly id?: string };
    return { error_message: textFrom(error as MillraceError), infer_response: { id } };
  }
}

/** Streams may give several answers to a request elsewhere, so clients look for the word that this is the last. */
function withFinal(response: { readonly parameters?: object }): object {
  const parameters = { ...response.parameters, triton_final_response: { bool_param: true } };
  return { ...response, parameters };
}

/** Resolves once there is room for more, or nobody who would read it. */
function written(stream: Stream, message: object): Promise<void> {
  if (stream.cancelled || stream.destroyed || stream.write(message)) return Promise.resolve();
  return new Promise((resolve) => {
    const go = () => {
      for (const event of ['drain', 'cancelled', 'close'] as const) stream.off(event, go);
      resolve();
    };
    for (const event of ['drain', 'cancelled', 'close'] as const) stream.on(event, go);
  });
}
