/** The thread behind `createThreadHasher`: hashes what lies in shared memory, in order, and says when it is done with it. */
import { parentPort } from 'node:worker_threads';
import { createHasher, type Hasher } from '../digest.ts';

export interface HashRequest {
  readonly id: number;
  /** Bytes in shared memory; null where none are left. */
  readonly bytes: Uint8Array | null;
  /** Whether nothing more comes: then the digest is told, or nothing. */
  readonly end: 'not yet' | 'tell' | 'drop';
}

/** Without a digest: the bytes of one request were hashed, and their memory is free. */
export interface HashAnswer {
  readonly id: number;
  readonly digest?: string;
}

const running = new Map<number, Hasher>();

parentPort?.on('message', ({ id, bytes, end }: HashRequest) => {
  const hasher = running.get(id) ?? createHasher();
  if (bytes !== null) hasher.update(bytes);
  if (end === 'not yet') running.set(id, hasher);
  else running.delete(id);
  if (end === 'drop') return;
  const answer: HashAnswer = end === 'tell' ? { id, digest: hasher.digest() } : { id };
  parentPort?.postMessage(answer);
});
