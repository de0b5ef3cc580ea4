/**
 * `datamon prune`: frees local copies of LFS objects. Promise: a file is deleted only after the store was asked for it and, unless
 * --quick was said, gave it back, byte for byte; what cannot be proved stays.
 */
import { stat, unlink } from 'node:fs/promises';
import { formatBytes, formatCount, shortId } from '../../client/format.ts';
import type { BlobStore } from '../../core/cas/blob-store.ts';
import { createHasher, type Digest } from '../../core/digest.ts';
import { DatamonError, hasCode } from '../../core/errors.ts';
import { EXIT } from '../../core/io.ts';
import { pruneCandidates } from '../../git/lfs-prune.ts';
import { openLfsStore } from '../../git/lfs-store.ts';
import type { Options } from '../args.ts';
import { type Command, NO_OPERANDS, type Outcome } from '../command.ts';
import { type Context, cloneOf } from '../context.ts';

export interface PruneRow {
  readonly oid: string;
  readonly bytes: number;
  readonly outcome: 'deleted' | 'would be deleted' | 'kept';
  /** How it is known that the store holds it; or why it was kept. */
  readonly why: string;
}

const OID_BATCH_COUNT = 1000;

export const prune: Command<PruneRow> = {
  usage: ['prune [--dry-run] [--quick]'],
  about:
    'deletes local copies of LFS files that git lfs prune would delete, and of these only what the store is proven to hold: each is read back and hashed first. Files of the checkout, of stashes, other worktrees, recent and unpushed commits stay. What cannot be proved stays, and the exit status is 3.',
  examples: [
    ['prune --dry-run', 'what would be deleted; everything is proved all the same'],
    ['prune', 'free the room'],
    ['prune --quick', 'ask whether the store lists them, and do not read them back'],
  ],
  options: {
    'dry-run': { type: 'boolean', summary: 'delete nothing' },
    quick: {
      type: 'boolean',
      summary: 'trust the store’s index: its packs are there, their bytes are not read',
    },
  },
  operands: NO_OPERANDS,
  run: runPrune,
  view: {
    columns: [
      { name: 'outcome', cell: (row) => row.outcome },
      { name: 'oid', cell: (row) => shortId(row.oid) },
      { name: 'bytes', cell: (row) => formatBytes(row.bytes), align: 'right' },
      { name: 'why', cell: (row) => row.why, mark: (text, _row, style) => style.dim(text) },
    ],
    header: false,
    id: (row) => (row.outcome === 'kept' ? null : row.oid),
  },
};

async function runPrune(context: Context, options: Options): Promise<Outcome<PruneRow>> {
  const clone = await cloneOf(context, 'prune frees local copies of a clone');
  const oids = await pruneCandidates(clone, context.io.signal);
  // Read back from the store itself: the cache would vouch for what the store has lost.
  const { blobs } = await context.openOther(await context.address(), { readsFrom: 'store' });
  const files = await openLfsStore(clone);
  const pruner = new Pruner({
    blobs,
    pathOf: (oid) => files.pathOf(oid),
    isDryRun: options.flag('dry-run'),
    isQuick: options.flag('quick'),
    signal: context.io.signal,
  });
  return {
    rows: pruner.run(oids, (line) => context.talk(line)),
    status: () => (pruner.keptCount > 0 ? EXIT.partial : EXIT.ok),
  };
}

interface PrunerOptions {
  readonly blobs: Pick<BlobStore, 'has' | 'get'>;
  readonly pathOf: (oid: Digest) => string;
  readonly isDryRun: boolean;
  readonly isQuick: boolean;
  readonly signal: AbortSignal;
}

class Pruner {
  readonly #options: PrunerOptions;
  keptCount = 0;
  #freedCount = 0;
  #freedBytes = 0;

  constructor(options: PrunerOptions) {
    this.#options = options;
  }

  async *run(oids: readonly Digest[], talk: (line: string) => void): AsyncGenerator<PruneRow> {
    for (let at = 0; at < oids.length; at += OID_BATCH_COUNT) {
      const batch = oids.slice(at, at + OID_BATCH_COUNT);
      const held = await this.#options.blobs.has(batch);
      for (const oid of batch) {
        const row = await this.#prune(oid, held.get(oid));
        if (row === null) continue;
        if (row.outcome === 'kept') this.keptCount += 1;
        else {
          this.#freedCount += 1;
          this.#freedBytes += row.bytes;
        }
        yield row;
      }
    }
    talk(this.#sum());
  }

  #sum(): string {
    const { isDryRun, isQuick } = this.#options;
    const verb = isDryRun ? 'would free' : 'freed';
    const proof = isQuick
      ? 'the store lists them; their bytes were not read back'
      : 'each was read back from the store and hashed';
    const freed = `${verb} ${formatBytes(this.#freedBytes)} in ${formatCount(this.#freedCount, 'file')}`;
    const kept = this.keptCount === 0 ? '' : `; ${formatCount(this.keptCount, 'file')} kept`;
    return this.#freedCount === 0 ? `nothing to free${kept}` : `${freed}: ${proof}${kept}`;
  }

  /** Null where there is no local copy any more. */
  async #prune(oid: Digest, heldBytes: number | undefined): Promise<PruneRow | null> {
    const { pathOf, isDryRun, isQuick } = this.#options;
    const path = pathOf(oid);
    const found = await stat(path).catch(() => null);
    if (found === null) return null;
    const bytes = found.size;
    if (heldBytes === undefined) {
      return { oid, bytes, outcome: 'kept', why: 'the store does not hold it' };
    }
    const problem = isQuick ? null : await this.#problemOf(oid);
    if (problem !== null) return { oid, bytes, outcome: 'kept', why: problem };
    const why = isQuick ? 'the store lists it' : 'read back and hashed';
    if (isDryRun) return { oid, bytes, outcome: 'would be deleted', why };
    await unlink(path).catch((cause: unknown) => {
      throw new DatamonError('FORBIDDEN', `${path} cannot be deleted: ${String(cause)}`, { cause });
    });
    return { oid, bytes, outcome: 'deleted', why };
  }

  /** Null where the store gave back what has this oid. */
  async #problemOf(oid: Digest): Promise<string | null> {
    const { blobs, signal } = this.#options;
    const hasher = createHasher();
    try {
      for await (const part of blobs.get(oid)) {
        if (signal.aborted) throw new DatamonError('CANCELLED', 'stopped while reading back');
        hasher.update(part);
      }
    } catch (error) {
      if (!hasCode(error, 'CORRUPT') && !hasCode(error, 'NOT_FOUND')) throw error;
      return error.message;
    }
    return hasher.digest() === oid ? null : 'the store gives back other bytes';
  }
}
