/**
 * Vowpal Wabbit text, one example a line, to records:
 *   [label [importance [initial]]] [tag]|namespace[:scale] feature[:value] … |namespace …
 * Columns: `label` (−1 is 0), `importance`, `initial`, `tag`, and those of feature-lists.ts: one list for each namespace.
 * A tag touches the first bar or begins with an apostrophe.
 * Format: https://github.com/VowpalWabbit/vowpal_wabbit/wiki/Input-format
 */
import { FeatureLists, type NumericColumns, numberFrom, wordsOf } from './feature-lists.ts';
import type { LogRecord } from './log-record.ts';
import type { LogTally } from './log-tally.ts';
import { createLineReader, type RecordReader } from './record-reader.ts';

export function createVowpalReader(file: string, tally: LogTally, columns: NumericColumns): RecordReader {
  const parse = (text: string, line: number): LogRecord | null => {
    const [head, ...sections] = text.split('|');
    const lists = new FeatureLists(columns);
    let problem = sections.length === 0 ? 'no bar' : addHead(lists, head);
    for (let i = 0; i < sections.length && problem === undefined; i++)
      problem = addSection(lists, sections[i]);
    if (problem !== undefined) {
      tally.skip('syntax', { line }, `a line of Vowpal Wabbit text (${problem})`, text);
      return null;
    }
    return { file, line, values: lists.values, weighted: lists.weighted };
  };
  return createLineReader(tally, parse);
}

/** What stands before the first bar. Returns what is wrong with it. */
function addHead(lists: FeatureLists, head: string): string | undefined {
  const words = wordsOf(head);
  const last = words.at(-1);
  const isTagged = last !== undefined && (last.startsWith("'") || !beginsWithSpace(head.slice(-1)));
  const tag = isTagged ? words.pop() : undefined;
  if (words.length > 3) return 'more than label, importance and initial value before the first bar';
  const importance = words[1] === undefined ? 1 : numberFrom(words[1]);
  const initial = words[2] === undefined ? 0 : numberFrom(words[2]);
  if (Number.isNaN(importance) || Number.isNaN(initial)) return 'importance or initial value is no number';
  lists.setLabel(words[0]);
  lists.set('importance', importance, 1);
  lists.set('initial', initial, 0);
  lists.values.tag = tag === undefined ? null : tag.replace(/^'/, '');
  return undefined;
}

/** What follows a bar: a namespace and its features. Returns what is wrong with it. */
function addSection(lists: FeatureLists, section: string): string | undefined {
  const words = wordsOf(section);
  // A space behind the bar: the namespace has no name.
  const isNamed = section !== '' && !beginsWithSpace(section);
  const [name, scaleText] = isNamed ? parted(words[0]) : ['features', undefined];
  const scale = scaleText === undefined ? 1 : numberFrom(scaleText);
  if (name === '' || Number.isNaN(scale)) return 'a namespace without a name, or whose scale is no number';
  lists.open(name);
  for (let i = isNamed ? 1 : 0; i < words.length; i++) {
    const [feature, valueText] = parted(words[i]);
    if (feature === '') return 'a value without a feature';
    const value = valueText === undefined ? 1 : numberFrom(valueText);
    if (Number.isNaN(value)) return 'a value that is no number';
    if (valueText === undefined && scale === 1) lists.add(name, feature);
    else lists.addValue(name, feature, value * scale);
  }
  return undefined;
}

function beginsWithSpace(text: string): boolean {
  return text.charCodeAt(0) <= 32;
}

/** `name:value` cut at the colon. */
function parted(word: string): [string, string | undefined] {
  const colon = word.indexOf(':');
  return colon < 0 ? [word, undefined] : [word.slice(0, colon), word.slice(colon + 1)];
}
