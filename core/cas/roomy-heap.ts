/**
 * Room for dead buffers while large inputs pass through. V8 marks the whole heap once what was allocated since the last time, buffers counted, exceeds
 * a share of what lives; where little lives, that is every 20 MiB of a transfer, and was a quarter of its work. Promise: V8's own rule is back
 * when nobody holds room any more, and at any time where so much lives that the share would be large.
 */
import { createRequire } from 'node:module';
import type * as v8 from 'node:v8';
import { isFast } from '../fast-paths.ts';

/** Up to so much that lives, */
const LIVE_SIZE_MAX_BYTES = 48 * 1024 * 1024;
/** four times as much again may be dead. */
const GROWTH_PERCENT = 400;
const RULE_OF_V8 = 0;

/** Loaded by the first large input: whoever has none starts sooner. */
const heap = (): typeof v8 => load('node:v8') as typeof v8;
const load = createRequire(import.meta.url);

let holders = 0;
let growthPercent = RULE_OF_V8;

/** Call what it returns once, when the input is through. */
export function holdRoom(): () => void {
  holders += 1;
  const isSmall = heap().getHeapStatistics().used_heap_size <= LIVE_SIZE_MAX_BYTES;
  grow(isSmall && isFast('roomy-heap') ? GROWTH_PERCENT : RULE_OF_V8);
  let isHeld = true;
  return () => {
    if (!isHeld) return;
    isHeld = false;
    holders -= 1;
    if (holders === 0) grow(RULE_OF_V8);
  };
}

/** What V8 was told last, for tests. */
export const heapGrowthPercent = (): number => growthPercent;

/** One of the few flags that V8 reads each time it is needed, not once at the start. */
function grow(percent: number): void {
  if (percent === growthPercent) return;
  growthPercent = percent;
  heap().setFlagsFromString(`--heap-growing-percent=${percent}`);
}
