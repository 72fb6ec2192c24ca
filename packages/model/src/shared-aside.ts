/**
 * One thread for scores that all engines use which are open at a time: those of models, and of versions that could not have their
 * model's. To start a thread and have it load the library takes longer than all else that goes on when a version is loaded.
 */
import { createOnnxAside, type OnnxAside } from './onnx-aside.ts';

export interface SharedAside {
  /** The thread, to be closed by each that was given it: with the last it ends. One that has failed is not given again. */
  use(): OnnxAside;
  /** As OnnxAside.hear, of the thread that is given now; nothing where there is none. */
  hear(): void;
}

export function shareAside(create: () => OnnxAside): SharedAside {
  let shared: { readonly aside: OnnxAside; users: number } | null = null;
  return {
    use() {
      if (shared === null || shared.aside.hasEnded) shared = { aside: create(), users: 0 };
      const own = shared;
      own.users += 1;
      let isClosed = false;
      return {
        get hasEnded() {
          return own.aside.hasEnded;
        },
        get isOpening() {
          return own.aside.isOpening;
        },
        open: (model, options, net) => own.aside.open(model, options, net),
        hear: () => own.aside.hear(),
        close() {
          if (isClosed) return;
          isClosed = true;
          own.users -= 1;
          if (own.users > 0) return;
          if (shared === own) shared = null;
          own.aside.close();
        },
      };
    },
    hear: () => shared?.aside.hear(),
  };
}

/** Of this process. */
export const sharedAside = shareAside(createOnnxAside);
