/** Random identifiers. The source of randomness is passed in, so that golden vectors can be made. */
import { randomBytes } from 'node:crypto';

/** `count` unpredictable bytes. */
export type Random = (count: number) => Buffer;

export const secureRandom: Random = randomBytes;

export const randomHex = (random: Random, byteCount: number): string =>
  random(byteCount).toString('hex');
