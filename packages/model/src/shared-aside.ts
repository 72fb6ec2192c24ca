/**
 * One thread for scores that all engines use which are open at a time. Each version of a model comes with an engine of its own, and to
 * start a thread and have it load the library takes longer than all else that goes on when a version is loaded.
 */
import { createOnnxAside, type OnnxAside } from './onnx-aside.ts';

/** @returns what gives each caller the thread, to be closed by each: with the last it ends. One that has failed is not given again. */
export function shareAside(create: () => OnnxAside): () => OnnxAside {
  let shared: { readonly aside: OnnxAside; users: number } | null = null;
  return () => {
    if (shared === null || shared.aside.hasEnded) shared = { aside: create(), users: 0 };
    const own = shared;
    own.users += 1;
    let isClosed = false;
    return {
      get hasEnded() {
        return own.aside.hasEnded;
      },
      open: (model, options, net) => own.aside.open(model, options, net),
      close() {
        if (isClosed) return;
        isClosed = true;
        own.users -= 1;
        if (own.users > 0) return;
        if (shared === own) shared = null;
        own.aside.close();
      },
    };
  };
}

/** Of this process. */
export const sharedAside = shareAside(createOnnxAside);
