/** Running a bounded number of things at a time. */

/** Runs `work` for every element, at most `limit` at once. The first failure is thrown, after what had begun has ended. */
export async function inParallel<T>(
  elements: readonly T[],
  limit: number,
  work: (element: T) => Promise<void>,
): Promise<void> {
  let next = 0;
  let failed = false;
  async function worker(): Promise<void> {
    while (next < elements.length && !failed) {
      const element = elements[next] as T;
      next += 1;
      try {
        await work(element);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  }
  const workers = Array.from({ length: Math.min(limit, elements.length) }, worker);
  const outcomes = await Promise.allSettled(workers);
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
}
