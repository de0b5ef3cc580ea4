/** Containers made and taken apart in tests. */
import { type Backend, bytesBody } from '../../core/backend/backend.ts';
import { createMemoryBackend } from '../../core/backend/memory.ts';
import { collect } from '../../core/bytes.ts';
import type { ContainerKind, Section } from '../../core/cas/container-format.ts';
import { createContainerWriter, type SealedContainer } from '../../core/cas/container-writer.ts';
import type { FrameKind, FramePayload } from '../../core/cas/frame.ts';
import { digestOf } from '../../core/digest.ts';
import { type ContainerId, type Key, packKey, segmentKey } from '../../core/keys.ts';
import type { Random } from '../../core/random.ts';
import { POOL, REPO } from './cas-world.ts';
import { seededBytes } from './splitmix64.ts';

/** Unpredictable to nobody: the same bytes in every run. */
export function seededRandom(seed: number): Random {
  let offset = 0;
  return (count) => {
    offset += count;
    return seededBytes(seed, count, offset - count);
  };
}

export const frameOf = (payload: Uint8Array, kind: FrameKind = 'chunk'): FramePayload => ({
  kind,
  digest: digestOf(payload),
  payload,
});

export interface MadeContainer extends Omit<SealedContainer, 'body' | 'dispose'> {
  readonly bytes: Buffer;
}

export async function makeContainer(options: {
  readonly kind?: ContainerKind;
  readonly frames: readonly FramePayload[];
  readonly sections?: readonly Section[];
  readonly seed?: number;
  readonly spoolDir?: string;
}): Promise<MadeContainer> {
  const { kind = 'pack', frames, sections = [], seed = 1, spoolDir = '/nonexistent' } = options;
  const writer = createContainerWriter({ kind, spoolDir, random: seededRandom(seed) });
  for (const frame of frames) await writer.addFrame(frame);
  const { body, dispose, ...sealed } = await writer.seal(sections);
  const bytes = await collect(body.open(), Number.MAX_SAFE_INTEGER);
  await dispose();
  return { ...sealed, bytes };
}

/** A backend that holds these bytes as this container. */
export async function storeContainer(
  bytes: Uint8Array,
  { kind, id }: { readonly kind: ContainerKind; readonly id: ContainerId },
  backend: Backend = createMemoryBackend(),
): Promise<{ readonly backend: Backend; readonly key: Key }> {
  const key = kind === 'pack' ? packKey(POOL.pool, id) : segmentKey(REPO, 0, id);
  await backend.putIfAbsent(key, bytesBody(bytes));
  return { backend, key };
}

/** A copy with one bit turned over. */
export function withBitFlipped(bytes: Uint8Array, bit: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return copy;
}

export async function* streamOf(bytes: Uint8Array, sliceBytes = 1000): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += sliceBytes) yield bytes.subarray(at, at + sliceBytes);
}
