/** A session that is opened when it is first wanted; one that could not be opened is opened anew by the next who wants it. */

interface Released {
  release(): Promise<void>;
}

export interface LazySession<Session extends Released> {
  /** Set by who has scored with it. */
  isScored: boolean;
  /** The session once it is there, else null. */
  readonly opened: Session | null;
  open(): Promise<Session>;
  /** May be called again. */
  release(): void;
}

export function createLazySession<Session extends Released>(
  make: () => Promise<Session>,
): LazySession<Session> {
  let opening: Promise<Session> | null = null;
  let opened: Session | null = null;
  return {
    isScored: false,
    get opened() {
      return opened;
    },
    open() {
      if (opening !== null) return opening;
      const own = make();
      opening = own;
      own.then(
        (session) => {
          // Released meanwhile: by who released it.
          if (opening === own) opened = session;
        },
        () => {
          if (opening === own) opening = null;
        },
      );
      return own;
    },
    release() {
      opening?.then((session) => session.release()).catch(() => {});
      opening = null;
      opened = null;
    },
  };
}
