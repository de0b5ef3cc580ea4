/** Proves packs of strangers beside the main thread. Promise: the same answers as `provePack`. */
import { availableParallelism } from 'node:os';
import { extname } from 'node:path';
import { DatamonError } from '../errors.ts';
import { isFast } from '../fast-paths.ts';
import { AskedThread } from './asked-thread.ts';
import type { PackOffer, ParsedPack } from './pack-proof.ts';
import type { ProofAnswer, ProofQuestion } from './prove-worker.ts';
import type { BlockReader } from './spool.ts';

/** Smaller packs are proved where they are: a thread would take longer to start. */
export const THREAD_PROOF_SIZE_MIN_BYTES = 6 * 1024 * 1024;

/** One pack on its way through the thread, block after block. */
export interface ThreadProver extends BlockReader {
  /** Once all bytes were lent. As `provePack`; a failure is told by the first `lend` after it, too. */
  proved(): Promise<ParsedPack>;
  /** Forgets the pack; safe at any time. */
  drop(): void;
}

export const provesBeside = (sizeBytes: number): boolean =>
  sizeBytes >= THREAD_PROOF_SIZE_MIN_BYTES && availableParallelism() > 1 && isFast('prove-thread');

const thread = new AskedThread<ProofQuestion, ProofAnswer>(
  new URL(`./prove-worker${extname(import.meta.filename)}`, import.meta.url),
);

export function createThreadProver({ id, sizeBytes, form }: PackOffer): ThreadProver {
  const asking = thread.begin();
  const begun = { id, sizeBytes, form };
  const ask = async (question: ProofQuestion): Promise<ParsedPack | null> => {
    const answer = await asking.ask(question);
    if (answer.failure !== null) {
      throw new DatamonError(answer.failure.code, answer.failure.message);
    }
    if (answer.proved === null) return null;
    const { tables, ...rest } = answer.proved;
    return { ...rest, tables: Buffer.from(tables.buffer, tables.byteOffset, tables.length) };
  };
  return {
    lend: async (bytes) => {
      await ask({ begun, bytes, end: 'not yet' });
    },
    async proved() {
      const proved = await ask({ begun, bytes: null, end: 'tell' });
      if (proved === null) throw new DatamonError('INVALID', `the pack ${id} was not read`);
      return proved;
    },
    drop: () => asking.leave({ begun, bytes: null, end: 'drop' }),
  };
}
