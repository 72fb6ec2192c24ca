/**
 * Judges what a model that learns along would have chosen: at each decision it is asked about all items, the policy's
 * probabilities come of its scores as in `POST /v1/rank`, and then it learns what the log says was shown.
 *
 * Features of an item: with a file of items its row there; without, those of its newest record of the log, which at the
 * decision that shows it is this very one, and before its first decision those of that one.
 */
import { fillProbabilities } from '@millrace/core';
import {
  type Features,
  type FeatureValue,
  type FieldSpec,
  MillraceError,
  type ModelFile,
  scoreItemsMax,
} from '@millrace/protocol';
import { createLogTally, createRequestReader, fileInvalid, type LogRecord } from '../log-file/index.ts';
import { featureFrom, wantedByType } from '../log-file/record-values.ts';
import { eachDecision } from './decisions.ts';
import type { DecisionLog, EvaluatedPolicy, EvaluateOptions, Judged } from './evaluate-log.ts';
import { createProgressiveModel } from './progressive-model.ts';

type ModelPolicy = Extract<EvaluatedPolicy, { readonly type: 'model' }>;

/** @throws MILL_FILE_INVALID, MILL_BAD_REQUEST, MILL_ENGINE_UNAVAILABLE */
export async function judgeByModel(
  options: EvaluateOptions,
  { file, learner, exploration, batchExamples }: ModelPolicy,
  { columns, universe, itemOf }: DecisionLog,
): Promise<Judged> {
  const count = universe.size;
  if (count > scoreItemsMax) {
    throw new MillraceError(
      'MILL_BAD_REQUEST',
      `cannot ask a model about all items at once: wanted at most ${scoreItemsMax}, found ${count}; name those to choose from with --items`,
    );
  }
  const candidates = universe.records.slice(0, count).map((record) => candidateFrom(file, record));
  const tally = createLogTally(options.logPath, options.strict ? 'strict' : 'lenient');
  const hasItemsFile = options.itemsPath !== undefined;
  const fields = hasItemsFile ? file.fields.filter(({ scope }) => scope !== 'item') : file.fields;
  const requests = createRequestReader({ ...file, fields, label: columns.reward }, tally);
  const weights: number[] = [];
  const rewards: number[] = [];
  const taken: number[] = [];
  const target: number[] = [];
  const probabilities = new Float64Array(count);
  const noVariances = new Float64Array(count);
  let decisions = 0;
  const model = createProgressiveModel(learner, batchExamples);
  const { logPath: path, format, names, onProgress } = options;
  await eachDecision(
    { path, format, tally, names, needsPropensity: true, onProgress },
    async ({ line, reward, propensity }, record) => {
      const item = itemOf[decisions];
      decisions += 1;
      if (reward !== 0 && reward !== 1)
        throw fileInvalid({ file: path, line, column: columns.reward }, '0 or 1 for a model', `${reward}`);
      const read = requests.read(record);
      if (read === null) return;
      const { request, timeMs } = read;
      if (!hasItemsFile) candidates[item] = request.items[0];
      const { logits, variances } = await model.judge(request, candidates);
      if (exploration.type === 'thompson' && variances === null) throw unsure(file.name);
      fillProbabilities(exploration, { logits, variances: variances ?? noVariances, count }, probabilities);
      let expected = 0;
      for (let i = 0; i < count; i += 1) expected += probabilities[i] * probabilityOf(logits[i]);
      weights.push(item < count ? probabilities[item] / propensity : 0);
      rewards.push(reward);
      // With a weight of 0 its own guess is not asked for.
      taken.push(item < count ? probabilityOf(logits[item]) : 0);
      target.push(expected);
      // Nothing is known of an item that the file of items does not name.
      if (item < count) await model.learn({ request, item: candidates[item], label: reward, line, timeMs });
    },
  );
  return {
    weights: Float64Array.from(weights),
    rewards: Float64Array.from(rewards),
    model: { taken: Float64Array.from(taken), target: Float64Array.from(target) },
    rewardModel: `the scores of "${file.name}", each before it learned of the decision`,
    report: tally.report(),
  };
}

/** The item-scoped features of an item's record. @throws MILL_FILE_INVALID */
function candidateFrom(file: ModelFile, { file: path, line, values }: LogRecord): Features {
  const features: Record<string, FeatureValue> = {};
  for (const field of file.fields) {
    if (field.scope !== 'item') continue;
    const place = { file: path, line, column: field.name };
    if (!Object.hasOwn(values, field.name)) {
      const there = Object.keys(values).slice(0, 30).join(', ');
      throw fileInvalid(place, 'a column of the item’s field', `only ${there}`);
    }
    const value = featureFrom(field.type, separatorOf(field), values[field.name]);
    if (value === undefined)
      throw fileInvalid(place, wantedByType[field.type], JSON.stringify(values[field.name]).slice(0, 80));
    features[field.name] = value;
  }
  return features;
}

function separatorOf(field: FieldSpec): string {
  return ('separator' in field ? field.separator : undefined) ?? '|';
}

function probabilityOf(logit: number): number {
  return 1 / (1 + Math.exp(-logit));
}

function unsure(model: string): MillraceError {
  return new MillraceError(
    'MILL_BAD_REQUEST',
    `thompson wants a model that knows how sure it is: give the tables of wide weights of "${model}" "precision": { "prior": 1 }`,
  );
}
