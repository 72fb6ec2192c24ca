/** A progress bar on a terminal; nothing where there is none, so that logs stay clean. */
const barColumns = 30;

export interface Progress {
  /** Shows `done` steps as done and `doing` as what is under way. */
  show(done: number, doing: string): void;
  /** Clears the line. */
  end(): void;
}

export function startProgress(steps: number, stream: NodeJS.WriteStream): Progress {
  if (!stream.isTTY) return { show() {}, end() {} };
  const clear = '\r\x1b[2K';
  return {
    show(done, doing) {
      const filled = Math.round((barColumns * done) / steps);
      const bar = '█'.repeat(filled) + '░'.repeat(barColumns - filled);
      stream.write(`${clear}${bar} ${Math.floor(done)}/${steps} ${doing}`);
    },
    end: () => void stream.write(clear),
  };
}

/** Counts steps as they are told. @param first  number of the first one. */
export function stepCounter(
  first: number,
  onStep: (done: number, doing: string) => void,
): (doing: string) => void {
  let done = first - 1;
  return (doing) => {
    done += 1;
    onStep(done, doing);
  };
}
