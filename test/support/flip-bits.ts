/** Turns over every single bit of an object, one at a time, and counts those that a proof does not see. Soak programs call it too. */
import { type Backend, bytesBody } from '../../core/backend/backend.ts';
import { createMemoryBackend } from '../../core/backend/memory.ts';
import { collect } from '../../core/bytes.ts';
import type { Key } from '../../core/keys.ts';
import { proveObject } from '../../core/scrub/prove-object.ts';

export interface FlippedBits {
  readonly flipped: number;
  /** Bits whose flip was not found. */
  readonly unseen: readonly number[];
}

/** The bits from `firstBit` on, every `step`th. */
export async function flipEveryBit(
  backend: Backend,
  key: Key,
  { firstBit = 0, step = 1 }: { readonly firstBit?: number; readonly step?: number } = {},
): Promise<FlippedBits> {
  const bytes = await collect(backend.get(key), Number.MAX_SAFE_INTEGER);
  const copy = createMemoryBackend();
  const unseen: number[] = [];
  let flipped = 0;
  for (let bit = firstBit; bit < bytes.length * 8; bit += step) {
    const turned = Buffer.from(bytes);
    turned[bit >> 3] = (turned[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    await copy.putIfAbsent(key, bytesBody(turned));
    if ((await proveObject(copy, key)).verdict !== 'damaged') unseen.push(bit);
    await copy.remove(key);
    flipped += 1;
  }
  return { flipped, unseen };
}
