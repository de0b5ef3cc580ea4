/**
 * Copies what still reads out of containers that are to go. Promises: what it counts as moved is published and leans on none of them
 * any more; a record of which one frame does not read is left as it is and named; memory is bounded.
 */
import type { Digest } from '../digest.ts';
import { type DatamonError, hasCode } from '../errors.ts';
import type { ContainerId } from '../keys.ts';
import { CopyOut } from './copy-out.ts';
import type { DirectParts } from './direct-store.ts';
import type { PackWriterOptions } from './pack-writer.ts';
import type { FoundRecord } from './segment-index.ts';
import type { RecordDraft } from './segment-publisher.ts';

/** Records of one published segment. */
export const EVACUATED_RECORD_COUNT_MAX = 20_000;
/** Bytes copied before they are published. */
export const EVACUATED_SIZE_MAX_BYTES = 256 * 1024 * 1024;

export type EvacuateOptions = PackWriterOptions & Pick<DirectParts, 'committer'>;

export interface Evacuated {
  readonly recordCount: number;
  readonly copiedBytes: number;
  /** Records that do not read, with the reason. */
  readonly left: readonly { readonly oid: Digest; readonly error: DatamonError }[];
}

/** `leaves` tells which containers are to go. Records that stand in a segment which is to go are to be passed too. */
export async function evacuate(
  options: EvacuateOptions,
  records: AsyncIterable<FoundRecord>,
  leaves: (id: ContainerId) => boolean,
): Promise<Evacuated> {
  const left: { oid: Digest; error: DatamonError }[] = [];
  let recordCount = 0;
  let copiedBytes = 0;
  let batch = new Batch(options, leaves);
  try {
    for await (const record of records) {
      try {
        await batch.add(record);
      } catch (error) {
        if (!hasCode(error, 'CORRUPT') && !hasCode(error, 'NOT_FOUND')) throw error;
        left.push({ oid: record.oid, error });
        continue;
      }
      recordCount += 1;
      if (!batch.isFull) continue;
      copiedBytes += await batch.publish();
      batch = new Batch(options, leaves);
    }
    copiedBytes += await batch.publish();
  } finally {
    await batch.dispose();
  }
  return { recordCount, copiedBytes, left };
}

class Batch {
  readonly #committer: EvacuateOptions['committer'];
  readonly #copy: CopyOut;
  readonly #records: RecordDraft[] = [];

  constructor(options: EvacuateOptions, leaves: (id: ContainerId) => boolean) {
    this.#committer = options.committer;
    this.#copy = new CopyOut(options, leaves);
  }

  get isFull(): boolean {
    return (
      this.#records.length >= EVACUATED_RECORD_COUNT_MAX ||
      this.#copy.copiedBytes >= EVACUATED_SIZE_MAX_BYTES
    );
  }

  async add({ oid, sizeBytes, kind, state, runs }: FoundRecord): Promise<void> {
    this.#records.push(await this.#copy.add({ oid, sizeBytes, kind, state, runs }));
  }

  /** Makes what was added durable and known. Bytes copied. */
  async publish(): Promise<number> {
    if (this.#records.length === 0) return 0;
    const waiting = await this.#copy.finish();
    await this.#committer.commit({ records: this.#records, waiting });
    await this.dispose();
    return this.#copy.copiedBytes;
  }

  dispose(): Promise<void> {
    return this.#copy.dispose();
  }
}
