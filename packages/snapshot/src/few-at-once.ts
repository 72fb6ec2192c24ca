/** Work on many things, a few at a time. */

/** Folds under way at the same time: each has a reader of its own, and its rows in memory. */
const foldsAtOnce = 4;

/** What `work` makes of 0 … count − 1, a few at a time. The first failure ends it once those under way have ended. */
export async function mapFew<T>(count: number, work: (index: number) => Promise<T>): Promise<T[]> {
  const results: T[] = new Array<T>(count);
  let next = 0;
  let failed = false;
  const lane = async () => {
    while (next < count && !failed) {
      const index = next;
      next += 1;
      try {
        results[index] = await work(index);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const lanes = await Promise.allSettled(Array.from({ length: Math.min(foldsAtOnce, count) }, lane));
  for (const end of lanes) if (end.status === 'rejected') throw end.reason;
  return results;
}
