/**
 * Finds where a text stops being JSON (RFC 8259), so that the answer can name line and column. JSON.parse has read the
 * text first and refused it; this second reading happens on that path alone. It keeps its own stack of open brackets, so
 * that a body of a million `[` costs memory in proportion and no call depth.
 */

export interface JsonFault {
  /** UTF-16 units before the fault. */
  readonly offset: number;
  /** Both from 1; a column counts UTF-16 units. */
  readonly line: number;
  readonly column: number;
  readonly wanted: string;
  /** The character there, or `the end`. */
  readonly found: string;
}

/** The first fault of `text`, or null when it is JSON: exactly when JSON.parse takes it. */
export function jsonFaultIn(text: string): JsonFault | null {
  const stop = new Scan(text).run();
  if (stop === null) return null;
  const before = text.slice(0, stop.offset);
  const lineStart = before.lastIndexOf('\n') + 1;
  const unit = text.codePointAt(stop.offset);
  return {
    offset: stop.offset,
    line: before.split('\n').length,
    column: stop.offset - lineStart + 1,
    wanted: stop.wanted,
    found: unit === undefined ? 'the end' : JSON.stringify(String.fromCodePoint(unit)),
  };
}

interface Stop {
  readonly offset: number;
  readonly wanted: string;
}

const numberPattern = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const spacePattern = /[ \t\n\r]*/y;
/** Everything up to the first character that a string cannot hold as it is: a quote, a backslash, a control character. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids exactly these.
const plainPattern = /[^"\\\u0000-\u001f]*/y;
const escapePattern = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const literals = ['true', 'false', 'null'];

class Scan {
  private readonly text: string;
  /** Open brackets, outermost first. */
  private readonly open: ('[' | '{')[] = [];
  private at = 0;

  constructor(text: string) {
    this.text = text;
  }

  /** One value after another; where a bracket opens, the value is what follows it. */
  run(): Stop | null {
    for (;;) {
      const stop = this.value();
      if (stop === 'opened') continue;
      if (stop !== null) return stop;
      const after = this.afterValue();
      if (after === 'more') continue;
      return after;
    }
  }

  private value(): Stop | 'opened' | null {
    this.skip(spacePattern);
    const char = this.text[this.at];
    if (char === '{' || char === '[') {
      this.at += 1;
      this.skip(spacePattern);
      if (this.take(char === '{' ? '}' : ']')) return null;
      this.open.push(char);
      return char === '[' ? 'opened' : (this.key() ?? 'opened');
    }
    if (char === '"') return this.string();
    for (const literal of literals) {
      if (this.text.startsWith(literal, this.at)) {
        this.at += literal.length;
        return null;
      }
    }
    return this.skip(numberPattern) > 0 ? null : this.stopped('a value');
  }

  /** What may follow a value: the end of the text, a comma, a closing bracket. */
  private afterValue(): Stop | 'more' | null {
    for (;;) {
      this.skip(spacePattern);
      const inner = this.open.at(-1);
      if (inner === undefined) return this.at === this.text.length ? null : this.stopped('the end');
      if (this.take(',')) return inner === '[' ? 'more' : (this.key() ?? 'more');
      if (!this.take(inner === '[' ? ']' : '}')) {
        return this.stopped(inner === '[' ? '"," or "]"' : '"," or "}"');
      }
      this.open.pop();
    }
  }

  private key(): Stop | null {
    this.skip(spacePattern);
    if (this.text[this.at] !== '"') return this.stopped('a name in double quotes');
    const stop = this.string();
    if (stop !== null) return stop;
    this.skip(spacePattern);
    return this.take(':') ? null : this.stopped('":"');
  }

  private string(): Stop | null {
    this.at += 1;
    for (;;) {
      this.skip(plainPattern);
      if (this.take('"')) return null;
      if (this.text[this.at] !== '\\') return this.stopped('the rest of a text and its closing quote');
      if (this.skip(escapePattern) === 0) return this.stopped('an escape sequence');
    }
  }

  /** Moves past a sticky pattern; tells how far. */
  private skip(pattern: RegExp): number {
    pattern.lastIndex = this.at;
    const length = pattern.exec(this.text)?.[0].length ?? 0;
    this.at += length;
    return length;
  }

  private take(char: string): boolean {
    if (this.text[this.at] !== char) return false;
    this.at += 1;
    return true;
  }

  private stopped(wanted: string): Stop {
    return { offset: this.at, wanted };
  }
}
