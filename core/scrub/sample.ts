/**
 * Which part of the packs a scrub reads where it does not read all. Promise: the days' parts follow each other without gap or overlap,
 * so a share of 5 % a day has read everything after twenty days, whoever runs it and wherever.
 */

const DAY_MS = 24 * 60 * 60 * 1000;

/** Whether the thing with this id (hex digits, as good as random) is of the day's part. */
export type Sample = (id: string) => boolean;

/** `share`: above 0, at most 1. `nowMs`: by the store's clock. */
export function createSample(share: number, nowMs: number): Sample {
  if (share >= 1) return () => true;
  const start = (Math.floor(nowMs / DAY_MS) * share) % 1;
  return (id) => {
    const place = Number.parseInt(id.slice(0, 12), 16) / 2 ** 48;
    return (place - start + 1) % 1 < share;
  };
}
