/** A bounded number of places for work that runs at once; those who come later wait in order. */
export interface Slots {
  /** Resolves when a place is free. Call the result once, to leave it. */
  take(): Promise<() => void>;
  resize(count: number): void;
}

export function createSlots(initialCount: number): Slots {
  let count = initialCount;
  let taken = 0;
  const waiting: (() => void)[] = [];
  const admit = (): void => {
    while (taken < count) {
      const next = waiting.shift();
      if (next === undefined) return;
      taken += 1;
      next();
    }
  };
  const leave = (): void => {
    taken -= 1;
    admit();
  };
  return {
    take: () =>
      new Promise((resolve) => {
        waiting.push(() => resolve(leave));
        admit();
      }),
    resize: (newCount) => {
      count = newCount;
      admit();
    },
  };
}
