/** From text to a setting's value and back. Each parser says in a few words what it takes. */
import { invariant } from '@millrace/protocol';

export interface SettingParser<Value> {
  /** What it takes, as an error and the documentation say it: `a whole number from 1 to 64`. */
  readonly wanted: string;
  /** The value, or undefined when `text` is not one. */
  parse(text: string): Value | undefined;
  /** Text that parses to `value`. */
  format(value: Value): string;
}

export interface NumberRange {
  readonly min: number;
  readonly max: number;
}

export interface TextShape {
  readonly charsMax?: number;
  /** Must match from end to end. */
  readonly pattern?: RegExp;
  /** What `pattern` asks for, in words. */
  readonly wanted?: string;
}

/** Any text of 1 to `charsMax` (default 1,024) characters, of the pattern if one is given. */
export function textSetting(shape: TextShape = {}): SettingParser<string> {
  const charsMax = shape.charsMax ?? 1_024;
  return {
    wanted: shape.wanted ?? `text of at most ${charsMax} characters`,
    parse: (text) => {
      if (text.length === 0 || text.length > charsMax) return undefined;
      return shape.pattern === undefined || matchesWhole(shape.pattern, text) ? text : undefined;
    },
    format: (value) => value,
  };
}

/** A whole number in decimal digits, `min` and `max` included. */
export function wholeSetting(range: NumberRange): SettingParser<number> {
  return {
    wanted: `a whole number from ${range.min} to ${range.max}`,
    parse: (text) => (/^-?\d{1,16}$/.test(text) ? within(range, Number(text)) : undefined),
    format: String,
  };
}

/** A finite decimal number, `min` and `max` included. */
export function numberSetting(range: NumberRange): SettingParser<number> {
  return {
    wanted: `a number from ${range.min} to ${range.max}`,
    parse: (text) =>
      /^-?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(text) ? within(range, Number(text)) : undefined,
    format: String,
  };
}

/** `true` or `false`. */
export function flagSetting(): SettingParser<boolean> {
  return {
    wanted: 'true or false',
    parse: (text) => (text === 'true' ? true : text === 'false' ? false : undefined),
    format: String,
  };
}

/** One of the words given. */
export function choiceSetting<const Choice extends string>(
  choices: readonly Choice[],
): SettingParser<Choice> {
  invariant(choices.length > 0, 'a choice needs something to choose from');
  return {
    wanted: `one of ${choices.join(', ')}`,
    parse: (text) => choices.find((choice) => choice === text),
    format: (value) => value,
  };
}

/** One or more values with commas between them; blanks around a value do not count. */
export function listSetting<Value>(
  item: SettingParser<Value>,
  lengthMax = 64,
): SettingParser<readonly Value[]> {
  return {
    wanted: `1 to ${lengthMax} values with commas between them, each ${item.wanted}`,
    parse: (text) => {
      const values: Value[] = [];
      for (const part of text.split(',')) {
        const value = item.parse(part.trim());
        if (value === undefined || values.length === lengthMax) return undefined;
        values.push(value);
      }
      return values;
    },
    format: (values) => values.map((value) => item.format(value)).join(','),
  };
}

function within(range: NumberRange, value: number): number | undefined {
  return value >= range.min && value <= range.max ? value : undefined;
}

function matchesWhole(pattern: RegExp, text: string): boolean {
  const match = new RegExp(pattern.source, pattern.flags.replace('g', '')).exec(text);
  return match !== null && match[0].length === text.length;
}
