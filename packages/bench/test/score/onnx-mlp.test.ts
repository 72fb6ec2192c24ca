import { compileNet, createPlainEngine, initialParameters } from '@millrace/model';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { expect, test } from 'vitest';
import { onnxFromMlp } from '../../src/score/onnx-mlp.ts';
import { dim, fields } from '../../src/score/parameters.ts';
import { mlpOf } from '../../src/score/reference-stack.ts';
import { randomFrom, scoreModel } from '../../src/score/workload.ts';

test('bench: score: the file of the net that the reference runs gives what the plain engine gives', async () => {
  const file = scoreModel({ partitions: 4, denseLearningRate: 0.001, seed: 5 });
  const shape = compileNet(file);
  const parameters = initialParameters(shape, file.seed);
  const random = randomFrom(7);
  // Biases begin at 0, where one that is left out would not show.
  for (let i = 0; i < parameters.length; i += 1) if (parameters[i] === 0) parameters[i] = random() - 0.5;
  const rows = 5;
  const embeddings = Float32Array.from({ length: rows * fields * dim }, () => random() - 0.5);
  const program = createPlainEngine().compile(shape);
  const logits = new Float32Array(rows);
  const none = new Float32Array(rows);
  program.forward(
    program.load(parameters),
    { rows, wide: none, embeddings, dense: none, lengths: new Int32Array(0) },
    logits,
  );

  const session = await InferenceSession.create(onnxFromMlp(mlpOf(shape, parameters)));
  const { score } = await session.run({ x: new Tensor('float32', embeddings, [rows, fields * dim]) });
  const found = [...(score.data as Float32Array)];
  expect(found).toHaveLength(rows);
  for (const [i, logit] of logits.entries()) expect(found[i]).toBeCloseTo(1 / (1 + Math.exp(-logit)), 5);
});
