/** Resolves once what waits in the event loop has had its turn: long work in steps lets requests pass between them. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
