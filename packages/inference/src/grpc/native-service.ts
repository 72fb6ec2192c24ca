/** Millrace's own service: messages of millrace.proto as the native requests, which the native schemas check. */
import { type Features, type FeatureValue, MillraceError } from '@millrace/protocol';
import { checkOutcomes, checkRankRequest, checkScoreRequest } from '../request-checks.ts';
import type { ScoringService } from '../scoring-service.ts';
import { exact } from '../tensors/datatypes.ts';
import type { Answer } from './unary.ts';

interface ScalarMessage {
  readonly value?: 'text' | 'number' | 'integer';
  readonly text?: string;
  readonly number?: number;
  readonly integer?: string;
}
interface ValueMessage {
  readonly value?: ScalarMessage['value'] | 'flag' | 'list';
  readonly text?: string;
  readonly number?: number;
  readonly integer?: string;
  readonly flag?: boolean;
  readonly list?: { readonly values: readonly ScalarMessage[] };
}
interface FeaturesMessage {
  readonly values: Readonly<Record<string, ValueMessage>>;
}
interface ScoreMessage {
  readonly model: string;
  readonly requestId: string;
  readonly modelVersion: string;
  readonly label: string;
  readonly user: FeaturesMessage | null;
  readonly context: FeaturesMessage | null;
  readonly items: readonly FeaturesMessage[];
  readonly log?: boolean;
}
interface RankMessage extends Omit<ScoreMessage, 'log'> {
  readonly exploration: {
    readonly type: string;
    readonly epsilon?: number;
    readonly temperature?: number;
    readonly scale?: number;
  } | null;
  readonly count?: number;
}
interface OutcomeMessage {
  readonly model: string;
  readonly requestId: string;
  readonly index?: number;
  readonly item: ScalarMessage | null;
  readonly outcome: string;
  readonly value?: number;
  readonly timeMs?: string;
}

export function nativeAnswers(service: ScoringService): Readonly<Record<string, Answer>> {
  const score: Answer<ScoreMessage> = (message, caller) =>
    service.score(checkScoreRequest({ ...requestFrom(message), ...given({ log: message.log }) }), caller);
  const rank: Answer<RankMessage> = (message, caller) => {
    const { exploration, count } = message;
    const { type, epsilon, temperature, scale } = exploration ?? { type: '' };
    const policy = exploration && { exploration: { type, ...given({ epsilon, temperature, scale }) } };
    return service.rank(
      checkRankRequest({ ...requestFrom(message), ...policy, ...given({ count }) }),
      caller,
    );
  };
  const sendOutcomes: Answer<{ readonly outcomes: readonly OutcomeMessage[] }> = ({ outcomes }) =>
    service.acceptOutcomes(checkOutcomes(outcomes.map(outcomeFrom)));
  return { Score: score, Rank: rank, SendOutcomes: sendOutcomes, Status: () => service.status() };
}

function requestFrom(message: Omit<ScoreMessage, 'log'>): object {
  const { model, requestId, modelVersion, label, user, context, items } = message;
  const version = /^\d{1,15}$/.test(modelVersion) ? Number(modelVersion) : modelVersion;
  return {
    ...named({ model, requestId, label }),
    ...(version !== '' && { version }),
    ...(user && { user: featuresFrom(user) }),
    ...(context && { context: featuresFrom(context) }),
    items: items.map(featuresFrom),
  };
}

function outcomeFrom({ model, requestId, index, item, outcome, value, timeMs }: OutcomeMessage): object {
  return {
    ...named({ model, outcome }),
    requestId,
    ...given({ index, value, item: item === null ? undefined : scalarFrom(item) }),
    ...(timeMs !== undefined && { timeMs: Number(timeMs) }),
  };
}

function featuresFrom({ values }: FeaturesMessage): Features {
  const entries = Object.entries(values ?? {}).map(([name, value]) => {
    if (name === '__proto__')
      throw new MillraceError('MILL_BAD_REQUEST', 'features: wanted names other than "__proto__", found it');
    return [name, valueFrom(value)] as const;
  });
  return Object.fromEntries(entries);
}

function valueFrom(message: ValueMessage): FeatureValue {
  switch (message.value) {
    case 'flag':
      return message.flag ?? false;
    case 'list':
      return (message.list?.values ?? []).map((value) => scalarFrom(value) ?? '');
    default:
      return scalarFrom(message as ScalarMessage) ?? null;
  }
}

function scalarFrom({ value, text, number, integer = '0' }: ScalarMessage): string | number | undefined {
  switch (value) {
    case 'text':
      return text;
    case 'number':
      return number;
    case 'integer':
      return exact(BigInt(integer));
    default:
      return undefined;
  }
}

/** Without the empty texts, which stand for absent ones. */
function named(texts: Readonly<Record<string, string>>): object {
  return Object.fromEntries(Object.entries(texts).filter(([, text]) => text !== ''));
}

/** Without what is absent. */
function given(values: Readonly<Record<string, unknown>>): object {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}
