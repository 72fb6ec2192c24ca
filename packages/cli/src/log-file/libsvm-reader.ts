/**
 * libsvm, SVMlight, libFM and libffm text, one example a line, to records:
 *   label [qid:n] index:value …          # comment        libsvm, SVMlight, libFM
 *   label field:index:value …                             libffm
 * Columns: `label` (−1 is 0), `qid`, and those of feature-lists.ts: the list `features`, or one for each field.
 */
import { FeatureLists, type NumericColumns, numberFrom, wordsOf } from './feature-lists.ts';
import type { LogRecord } from './log-record.ts';
import type { LogTally } from './log-tally.ts';
import { createLineReader, type RecordReader } from './record-reader.ts';

/** `index`: features are `index:value`; `field`: `field:index:value`. */
export type FeatureForm = 'index' | 'field';

export function createLibsvmReader(
  file: string,
  tally: LogTally,
  columns: NumericColumns,
  form: FeatureForm,
): RecordReader {
  const wanted = form === 'field' ? 'label field:index:value …' : 'label index:value …';
  const parse = (text: string, line: number): LogRecord | null => {
    const words = wordsOf(withoutComment(text));
    // A line of comment alone.
    if (words.length === 0) return null;
    const lists = new FeatureLists(columns);
    lists.setLabel(words[0]);
    if (form === 'index') lists.open('features');
    for (let i = 1; i < words.length; i++) {
      const parts = words[i].split(':');
      if (form === 'index' && i === 1 && parts[0] === 'qid' && parts.length === 2) {
        lists.values.qid = parts[1];
        continue;
      }
      const list = form === 'field' ? parts.shift() : 'features';
      const value = parts.length === 2 ? numberFrom(parts[1]) : Number.NaN;
      if (list === undefined || list === '' || parts[0] === '' || Number.isNaN(value)) {
        tally.skip('syntax', { line }, `"${wanted}"`, words[i]);
        return null;
      }
      lists.addValue(list, parts[0], value);
    }
    return { file, line, values: lists.values, weighted: lists.weighted };
  };
  return createLineReader(tally, parse);
}

function withoutComment(text: string): string {
  const mark = text.indexOf('#');
  return mark < 0 ? text : text.slice(0, mark);
}
