/** One frame in, one frame out: reads a call, has it answered, writes the reply. */
import { MillraceError } from '@millrace/protocol';
import type { ThriftLibrary, ThriftProtocol, ThriftTransport } from './library.ts';
import { type CallFacts, type Method, methods, refusal } from './messages.ts';
import { readStruct, type StructTable, type StructValue, writeStruct } from './structs.ts';

/** Kinds of messages on the wire. */
const kinds = { call: 1, reply: 2, exception: 3 } as const;
/** Of TApplicationException. */
const unknownMethod = 1;
const wrongKind = 2;

const applicationException = {
  1: ['message', 'string'],
  2: ['type', 'i32'],
} as const satisfies StructTable;

export interface ThriftCall {
  readonly name: string;
  readonly method: Method;
  readonly facts: CallFacts;
  readonly message: StructValue;
}

/** Answers a call; what it throws becomes a refusal, and is a MillraceError. */
export type AnswerCall = (call: ThriftCall) => Promise<object>;

/**
 * @returns the reply's frame, or null where the message tells no caller that could be answered: its head cannot be read.
 */
export async function answerFrame(
  library: ThriftLibrary,
  transport: ThriftTransport,
  answer: AnswerCall,
): Promise<Buffer | null> {
  const input = new library.TBinaryProtocol(transport);
  const head = headOf(input);
  if (head === null) return null;
  const { name, sequence } = head;
  const written = (kind: number, table: StructTable, value: StructValue) =>
    frameOf(library, (output) => {
      output.writeMessageBegin(name, kind, sequence);
      writeStruct(output, table, value);
    });
  const wrong = (type: number, message: string) =>
    written(kinds.exception, applicationException, { message, type });
  if (head.kind !== kinds.call) return wrong(wrongKind, 'wanted a call');
  const method = Object.hasOwn(methods, name) ? methods[name] : undefined;
  if (method === undefined)
    return wrong(unknownMethod, `wanted one of ${Object.keys(methods).join(', ')}, found another method`);
  // A result is a struct of which one field is set: 0 the answer, 1 the exception.
  try {
    const call = readCall(input, name, method);
    return written(
      kinds.reply,
      { 0: ['success', { struct: method.response }] },
      { success: await answer(call) },
    );
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    return written(kinds.reply, { 1: ['refusal', { struct: refusal }] }, { refusal: refusalFrom(error) });
  }
}

function headOf(
  input: ThriftProtocol,
): { readonly name: string; readonly kind: number; readonly sequence: number } | null {
  try {
    const { fname, mtype, rseqid } = input.readMessageBegin();
    return { name: String(fname), kind: mtype, sequence: rseqid };
  } catch {
    return null;
  }
}

/** @throws MILL_BAD_REQUEST when the bytes are no struct. */
function readCall(input: ThriftProtocol, name: string, method: Method): ThriftCall {
  let request: StructValue | undefined;
  try {
    request = readStruct(input, { 1: ['request', { struct: method.request }] }).request as
      | StructValue
      | undefined;
  } catch (error) {
    if (error instanceof MillraceError) throw error;
    throw new MillraceError('MILL_BAD_REQUEST', `message: wanted the request of ${name}, found other bytes`);
  }
  const { call = {}, ...rest } = request ?? {};
  return { name, method, facts: call as CallFacts, message: method.messageOf(rest) };
}

function refusalFrom({ code, message, retry, details }: MillraceError): StructValue {
  const afterMs = details?.retryAfterMs;
  return {
    code,
    message,
    retryKind: retry,
    ...(typeof afterMs === 'number' && { retryAfterMs: Math.ceil(afterMs) }),
  };
}

function frameOf(library: ThriftLibrary, write: (output: ThriftProtocol) => void): Buffer {
  let frame: Buffer | undefined;
  const transport = new library.TFramedTransport(undefined, (bytes) => {
    frame = bytes;
  });
  const output = new library.TBinaryProtocol(transport);
  write(output);
  output.flush();
  return frame as Buffer;
}
