/**
 * Finds a request's impression and outcomes in the event log, oldest event first: the log can be read in no other order. An
 * event is only decoded where the bytes of the id stand in it, and, once the impression is found, as long as its join window
 * may be open: those events are folded by the updater's own joiner, which tells what was learned of it.
 */
import { createJoiner, type Joiner, joinerOptionsOf, type StoredAs } from '@millrace/joiner';
import {
  comparePlaces,
  decodeBatchRecord,
  decodeEvent,
  type Event,
  type ExamplePlace,
  eventsSubject,
  type Impression,
  isMillraceError,
  MillraceError,
  type ModelFile,
  modelNameFrom,
  type Outcome,
  type Sequence,
} from '@millrace/protocol';
import type { Bus, LogMessage } from '@millrace/runtime';
import { readStretch } from '@millrace/snapshot';

export interface LearnedItem {
  readonly index: number;
  /** Its part of the loss: shown 1 and clicked 1 is a click, shown 1 and clicked 0 none; other weights as the model's outcomes say. */
  readonly shown: number;
  readonly clicked: number;
  /** True once the batch that has it is written down; false: it waits for its batch. */
  readonly isPublished: boolean;
}

export interface SeenOutcome {
  readonly sequence: Sequence;
  readonly outcome: Outcome;
  /** Why it taught nothing; null when it did. */
  readonly refused: string | null;
}

export interface FoundRequest {
  /** Place in the event log. */
  readonly sequence: Sequence;
  readonly impression: Impression;
  readonly outcomes: readonly SeenOutcome[];
  readonly learned: readonly LearnedItem[];
  /** True while items without an outcome still wait for theirs. */
  readonly isOpen: boolean;
}

export interface FindOptions {
  readonly bus: Bus;
  readonly file: ModelFile;
  readonly requestId: string;
  readonly onProgress: (sequence: Sequence, through: Sequence) => void;
}

const eventsPerLook = 4_096;

/** The newest impression of that id. @throws MILL_IMPRESSION_UNKNOWN, MILL_LOG_UNAVAILABLE */
export async function findRequest(options: FindOptions): Promise<FoundRequest> {
  const { bus, file, requestId, onProgress } = options;
  const subject = eventsSubject(modelNameFrom(file.name));
  const through = await bus.headOf('events', subject);
  const wanted = Buffer.from(requestId);
  const early: SeenEarly[] = [];
  let story: Story | null = null;
  let events = 0;
  let firstSequence = 0;
  const take = (message: LogMessage): 'on' => {
    const { sequence, payload, timeMs } = message;
    const stored = { timeMs, bytes: payload.length };
    firstSequence ||= sequence;
    events += 1;
    if (events % eventsPerLook === 0) onProgress(sequence, through);
    const isNamed = Buffer.from(payload.buffer, payload.byteOffset, payload.length).includes(wanted);
    if (!isNamed && (story === null || !story.isOpen())) return 'on';
    const event = eventFrom(payload);
    if (event === null) return 'on';
    const isOurs = event.type !== 'tick' && event.requestId === requestId;
    if (isOurs && event.type === 'impression' && (story === null || !story.isOpen())) {
      story = openStory(options, { sequence, impression: event, stored }, early);
      early.length = 0;
      return 'on';
    }
    if (story !== null) story.take({ sequence, event, stored }, isOurs);
    else if (isOurs && event.type === 'outcome') early.push({ sequence, outcome: event, stored });
    return 'on';
  };
  await readStretch(bus, { log: 'events', subject, from: 1, through }, take);
  onProgress(through, through);
  // The closure above sets it, which the compiler does not follow.
  const found = story as Story | null;
  if (found === null) {
    throw new MillraceError(
      'MILL_IMPRESSION_UNKNOWN',
      `no impression of request ${JSON.stringify(requestId)} stands in the event log of ${file.name}, which goes from sequence ${firstSequence} to ${through} (${events} events); it was never logged, or is too old`,
    );
  }
  return found.end(await publishedTo(bus, file.name));
}

interface SeenEvent {
  readonly sequence: Sequence;
  readonly event: Event;
  readonly stored: StoredAs;
}

type SeenEarly = Omit<SeenEvent, 'event'> & { readonly outcome: Outcome };

interface Story {
  take(seen: SeenEvent, isOurs: boolean): void;
  isOpen(): boolean;
  end(publishedTo: ExamplePlace): FoundRequest;
}

function openStory(
  { file, requestId }: FindOptions,
  first: Omit<SeenEvent, 'event'> & { readonly impression: Impression },
  early: readonly SeenEarly[],
): Story {
  const { sequence, impression } = first;
  const outcomes: SeenOutcome[] = [];
  const learned: { readonly place: ExamplePlace; readonly shown: number; readonly clicked: number }[] = [];
  const rejections = new Map<Sequence, string>();
  const joiner: Joiner = createJoiner(joinerOptionsOf(file), {
    onExample({ place, shown, clicked }) {
      if (place[1] === sequence) learned.push({ place, shown, clicked });
    },
    onRejection(rejection, at) {
      if (rejection.requestId === requestId) rejections.set(at, rejection.reason);
    },
  });
  const lastIndexOf = ({ place }: { readonly place: ExamplePlace }) => place[2] % impression.items.length;
  const isOpen = () => joiner.isOpen(requestId);
  const feed = ({ sequence: at, event, stored }: SeenEvent) => joiner.take(at, event, stored);
  const feedOutcome = (seen: SeenEvent, outcome: Outcome) => {
    const before = joiner.counts;
    feed(seen);
    const { counts } = joiner;
    const repeats = counts.duplicateOutcomes > before.duplicateOutcomes;
    const refused =
      rejections.get(seen.sequence) ??
      (repeats ? 'the item had its outcome already' : null) ??
      (counts.ignored > before.ignored ? 'its join window was over, and late ones are ignored' : null);
    outcomes.push({ sequence: seen.sequence, outcome, refused });
  };
  for (const { sequence: at, outcome, stored } of early) {
    feed({ sequence: at, event: outcome, stored });
    outcomes.push({ sequence: at, outcome, refused: null });
  }
  feed({ sequence, event: impression, stored: first.stored });
  return {
    isOpen,
    take(seen, isOurs) {
      const { event, sequence: at } = seen;
      if (!isOurs || event.type !== 'outcome') {
        if (isOpen()) feed(seen);
      } else if (isOpen()) feedOutcome(seen, event);
      else outcomes.push({ sequence: at, outcome: event, refused: 'its join window was over' });
    },
    end: (publishedTo) => ({
      sequence,
      impression,
      outcomes,
      learned: learned.map((example) => ({
        index: lastIndexOf(example),
        shown: example.shown,
        clicked: example.clicked,
        isPublished: comparePlaces(example.place, publishedTo) <= 0,
      })),
      isOpen: isOpen(),
    }),
  };
}

/** The last example of the newest batch that an updater has written down. */
async function publishedTo(bus: Bus, model: string): Promise<ExamplePlace> {
  const entry = await (await bus.kv('updaters')).get(modelNameFrom(model));
  return entry === null ? [0, 0, 0] : decodeBatchRecord(entry.value).to;
}

function eventFrom(payload: Uint8Array): Event | null {
  try {
    return decodeEvent(payload);
  } catch (error) {
    // The updater counts such events and passes them over.
    if (!isMillraceError(error)) throw error;
    return null;
  }
}
