/**
 * Colours where somebody sees them: on a terminal. What goes into a file or another program is plain text, in CI too, which
 * picocolors by itself takes for a terminal. NO_COLOR switches colours off, FORCE_COLOR on.
 */
import picocolors from 'picocolors';

export type Colours = ReturnType<typeof picocolors.createColors>;

interface Output {
  readonly isTTY?: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** The colours of what is written to `output`; where it takes none, each of them gives the text as it is. */
export function coloursFor(output: Output, environment: Environment = process.env): Colours {
  return picocolors.createColors(hasColours(output, environment));
}

/** Those of standard output. */
export const colours: Colours = coloursFor(process.stdout);

/** Sources: no-color.org, where any text but an empty one counts; FORCE_COLOR as Node.js reads it, where 0 means none. */
function hasColours({ isTTY = false }: Output, { NO_COLOR, FORCE_COLOR, TERM }: Environment): boolean {
  if (NO_COLOR) return false;
  if (FORCE_COLOR !== undefined) return FORCE_COLOR !== '0' && FORCE_COLOR !== 'false';
  return isTTY && TERM !== 'dumb';
}
