import type { FastifyReply } from 'fastify';
import type { InferAnswer } from '../../tensors/infer.ts';
import { bytesFromTensor } from '../../tensors/raw-tensor.ts';
import { scoreOutput } from '../../tensors/signature.ts';
import { headerLength, type InferBody } from './infer-body.ts';

/** Sends scores as JSON, or as JSON with their bytes behind it. */
export function sendInferAnswer(
  reply: FastifyReply,
  model: string,
  body: InferBody,
  answer: InferAnswer,
): FastifyReply {
  const { name, datatype } = scoreOutput;
  const { shape } = answer;
  const values = Array.from(answer.scores);
  const bytes = body.binaryOutput ? bytesFromTensor({ name, datatype, shape, values }) : null;
  const json = {
    model_name: model,
    ...(answer.version !== '' && { model_version: answer.version }),
    ...(body.id !== '' && { id: body.id }),
    parameters: answer.parameters,
    outputs: [
      bytes === null
        ? { name, datatype, shape, data: values }
        : { name, datatype, shape, parameters: { binary_data_size: bytes.byteLength } },
    ],
  };
  if (bytes === null) return reply.send(json);
  const text = Buffer.from(JSON.stringify(json), 'utf8');
  return reply
    .header(headerLength, String(text.byteLength))
    .type('application/octet-stream')
    .send(Buffer.concat([text, bytes]));
}
