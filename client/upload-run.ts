/**
 * One `putMany` over HTTP: asks which files are there, reads the others once, sends what is new, has them recorded in groups.
 * Promises: a file is recorded only if the bytes read hash to its oid, which the server tells of all but those of one chunk; one bad file fails no other; memory does not grow with sizes.
 */
import {
  type BlobSource,
  EMPTY_RECEIPT,
  type PutOptions,
  type PutOutcome,
  type Receipt,
} from '../core/cas/blob-store.ts';
import { type Chunker, createChunker } from '../core/cas/chunker.ts';
import { type CutFile, cutFile } from '../core/cas/file-cutter.ts';
import type { PoolParameters } from '../core/cas/pool.ts';
import type { UploadJournal } from '../core/cas/upload-journal.ts';
import type { Digest } from '../core/digest.ts';
import { DatamonError, hasCode } from '../core/errors.ts';
import { isFast } from '../core/fast-paths.ts';
import type { RecordAnswer } from '../core/meta/api-wire.ts';
import { BaseRecipes } from './base-recipes.ts';
import { ChunkSorter } from './chunk-sorter.ts';
import { FileUpload } from './file-upload.ts';
import { PackSender, type PackSenderOptions } from './pack-sender.ts';
import { recordUploads } from './record-call.ts';
import { ResumedPacks } from './resumed-packs.ts';
import { windows } from './source-windows.ts';
import { mismatch, notTaken, readError, refused } from './upload-errors.ts';

/** Sources asked about at once. */
const WINDOW_COUNT_MAX = 10_000;
/** Files recorded by one call: few enough that an outcome is not long in coming, many enough that packs fill. */
const GROUP_COUNT_MAX = 2_048;
/** Groups whose recording is waited for before the next one is posted. */
const POSTED_COUNT_MAX = 3;
const GROUP_SIZE_MAX_BYTES = 256 * 1024 * 1024;
/** How often chunks that the server turns out to miss are sent again. */
const MISSING_ROUND_COUNT_MAX = 3;
/** A chunk of a file smaller than this is copied out of a buffer that is mostly others': waiting to be sent, it would keep all of it alive. */
const COPY_SIZE_MAX_BYTES = 1024 * 1024;

export interface UploadRunOptions extends Omit<PackSenderOptions, 'onStored'> {
  /** Asked once there is something to cut. */
  readonly pool: () => Promise<PoolParameters>;
  readonly has: (oids: readonly Digest[]) => Promise<ReadonlyMap<Digest, number>>;
  /** Remembers packs over interruptions; null: nobody does. */
  readonly journal: UploadJournal | null;
  readonly onProgress: PutOptions['onProgress'];
  readonly onOutcome: (outcome: PutOutcome) => void;
}

/** What reading a file may be about: everything, or only chunks the server misses. */
type Wanted = ReadonlySet<Digest> | 'all';

export class UploadRun {
  readonly #options: UploadRunOptions;
  readonly #sender: PackSender;
  readonly #sorter: ChunkSorter;
  readonly #resumed: ResumedPacks;
  readonly #bases: BaseRecipes;
  #chunker: Promise<Chunker> | null = null;
  #group: FileUpload[] = [];
  #groupBytes = 0;
  /** Oldest first. */
  readonly #posted: Posted[] = [];
  #counted = { packs: 0, requests: 0 };
  /** The first failure that no other file can escape. */
  #fatal: DatamonError | null = null;

  constructor(options: UploadRunOptions) {
    this.#options = options;
    const { journal } = options;
    this.#resumed = new ResumedPacks(journal);
    this.#bases = new BaseRecipes(options);
    this.#sender = new PackSender({
      ...options,
      ...(journal && { onStored: (pack) => journal.note(pack) }),
    });
    this.#sorter = new ChunkSorter({ ...options, sender: this.#sender, resumed: this.#resumed });
    this.#counted.requests = options.repo.api.requestCount;
  }

  /** Throws CANCELLED only; everything else is some file's outcome. */
  async run(sources: Iterable<BlobSource> | AsyncIterable<BlobSource>): Promise<void> {
    try {
      for await (const window of windows(sources, WINDOW_COUNT_MAX, this.#options.signal)) {
        await this.#putWindow(window);
      }
      this.#checkCancelled();
    } finally {
      await Promise.allSettled(this.#posted.map(({ answer }) => answer));
      await this.#sender.close();
    }
  }

  async #putWindow(window: readonly BlobSource[]): Promise<void> {
    const open = new Set(window);
    const settle = (source: BlobSource, outcome: PutOutcome): void => {
      if (open.delete(source)) this.#options.onOutcome(outcome);
    };
    try {
      if (this.#fatal !== null) throw this.#fatal;
      const present = await this.#options.has([...new Set(window.map(({ oid }) => oid))]);
      for (const source of window) {
        if (present.get(source.oid) === source.sizeBytes) this.#skip(source, settle);
        else await this.#take(source, settle);
      }
      await this.#record(settle);
      await this.#settlePosted(settle, 0);
    } catch (error) {
      if (!(error instanceof DatamonError) || hasCode(error, 'CANCELLED')) throw error;
      this.#fatal ??= error;
      // Groups before may have been recorded all the same.
      await this.#settlePosted(settle, 0).catch(() => undefined);
      for (const source of open) this.#options.onOutcome({ oid: source.oid, error });
    }
  }

  #skip(source: BlobSource, settle: Settle): void {
    new FileUpload(source, this.#options.onProgress).finish();
    const logicalBytes = source.sizeBytes;
    const receipt = { ...EMPTY_RECEIPT, fileCount: 1, logicalBytes, ...this.#takeCounts() };
    settle(source, { oid: source.oid, receipt });
  }

  async #take(source: BlobSource, settle: Settle): Promise<void> {
    await Promise.all([this.#getChunker(), this.#resumed.load()]);
    const upload = new FileUpload(source, this.#options.onProgress);
    upload.base = await this.#bases.of(source);
    if (!(await this.#readOrSettle(upload, 'all', settle))) return;
    this.#group.push(upload);
    this.#groupBytes += source.sizeBytes;
    const isFull =
      this.#group.length >= GROUP_COUNT_MAX || this.#groupBytes >= GROUP_SIZE_MAX_BYTES;
    if (isFull) await this.#record(settle);
  }

  /** Made once there is something to cut: a push of nothing new needs no right to write. */
  #getChunker(): Promise<Chunker> {
    this.#chunker ??= this.#options.pool().then(createChunker);
    return this.#chunker;
  }

  /** False where the file itself is at fault, which is its outcome. Throws what stops all. */
  async #readOrSettle(upload: FileUpload, wanted: Wanted, settle: Settle): Promise<boolean> {
    try {
      await this.#read(upload, wanted);
      return true;
    } catch (cause) {
      if (this.#sorter.failure !== null) throw this.#sorter.failure;
      this.#checkCancelled();
      settle(upload.source, { oid: upload.source.oid, error: readError(upload, cause) });
      return false;
    }
  }

  async #read(upload: FileUpload, wanted: Wanted): Promise<void> {
    const { source } = upload;
    const open: BlobSource['open'] = (how) => source.open(how);
    const chunker = await this.#getChunker();
    const isHashed = !isFast('one-proof');
    const file = cutFile({ sizeBytes: source.sizeBytes, chunker, open, isHashed });
    try {
      await this.#readCut(upload, wanted, file);
    } finally {
      file.drop();
    }
  }

  async #readCut(upload: FileUpload, wanted: Wanted, file: CutFile): Promise<void> {
    const { source } = upload;
    let sizeBytes = 0;
    for await (const chunk of file.chunks) {
      this.#checkCancelled();
      const { digest, release } = chunk;
      sizeBytes += chunk.bytes.length;
      if (sizeBytes > source.sizeBytes)
        throw mismatch(upload, `more than ${source.sizeBytes} bytes`);
      const isGuest = chunk.bytes.buffer.byteLength > 2 * chunk.bytes.length;
      const isCopied = isGuest && source.sizeBytes < COPY_SIZE_MAX_BYTES;
      const bytes = isCopied ? Buffer.from(chunk.bytes) : chunk.bytes;
      upload.append(digest);
      const candidate = { upload, digest, bytes, release };
      if (wanted === 'all') await this.#sorter.add(candidate);
      else if (wanted.has(digest)) await this.#sorter.addMissing(candidate);
      else release();
    }
    if (sizeBytes < source.sizeBytes) throw mismatch(upload, `${sizeBytes} bytes`);
    const actual = (await file.digest()) ?? upload.onlyChunk;
    if (actual !== null && actual !== source.oid) throw mismatch(upload, `bytes of ${actual}`);
  }

  /** Has the group recorded, and an older one settled: while the server records, the next are read. */
  async #record(settle: Settle): Promise<void> {
    const uploads = this.#group;
    this.#group = [];
    this.#groupBytes = 0;
    await this.#sorter.flush();
    await this.#sender.seal();
    if (uploads.length === 0) return;
    await this.#settlePosted(settle, POSTED_COUNT_MAX - 1);
    this.#posted.push(this.#post(uploads));
    if (!isFast('record-ahead')) await this.#settlePosted(settle, 0);
  }

  /** Settles the oldest groups, until no more than `countMax` are waited for. */
  async #settlePosted(settle: Settle, countMax: number): Promise<void> {
    while (this.#posted.length > countMax) {
      await this.#settleGroup(this.#posted.shift() as Posted, settle);
    }
  }

  /** Waits for the answer about a group, and sends again what turns out to be missing. */
  async #settleGroup(first: Posted, settle: Settle): Promise<void> {
    for (let posted = first, round = 0; ; round += 1) {
      const { uploads } = posted;
      const answer = await this.#answerOf(posted);
      // Before anybody is told: who was told may end this process.
      await this.#forgetRecorded(uploads, answer);
      const open = this.#settleAnswered(uploads, answer, settle);
      if (open.length === 0) return;
      const again = await this.#again({ uploads: open, answer, round, settle });
      if (again.length === 0) return;
      await this.#sorter.flush();
      await this.#sender.seal();
      posted = this.#post(again);
    }
  }

  #post(uploads: readonly FileUpload[]): Posted {
    const answer = recordUploads(uploads, this.#options);
    // Whoever settles it hears of it.
    answer.catch(() => undefined);
    return { uploads, answer };
  }

  /** A ticket of an interrupted put may have been refused: then what came with such tickets is missing. */
  async #answerOf({ uploads, answer }: Posted): Promise<RecordAnswer> {
    try {
      return await answer;
    } catch (error) {
      const missing = hasCode(error, 'INVALID') ? await this.#resumed.giveUp(uploads) : [];
      if (missing.length === 0) throw error;
      return { recorded: [], failed: [], missing };
    }
  }

  async #forgetRecorded(uploads: readonly FileUpload[], answer: RecordAnswer): Promise<void> {
    const recorded = new Set(answer.recorded.map(({ oid }) => oid));
    const packs = uploads
      .filter(({ source }) => recorded.has(source.oid))
      .flatMap((upload) => [...upload.packs]);
    await this.#options.journal?.forget(new Set(packs.map(({ id }) => id)));
  }

  /** Those that the answer leaves open. */
  #settleAnswered(
    uploads: readonly FileUpload[],
    answer: RecordAnswer,
    settle: Settle,
  ): readonly FileUpload[] {
    const recorded = new Map(answer.recorded.map(({ oid, receipt }) => [oid, receipt]));
    const failed = new Map(answer.failed.map((failure) => [failure.oid, failure]));
    return uploads.filter((upload) => {
      const { oid } = upload.source;
      const receipt = recorded.get(oid);
      const failure = failed.get(oid);
      if (receipt !== undefined) {
        upload.finish();
        settle(upload.source, { oid, receipt: this.#receiptOf(upload, receipt) });
      } else if (failure !== undefined) {
        settle(upload.source, { oid, error: refused(upload, failure) });
      }
      return receipt === undefined && failure === undefined;
    });
  }

  async #again(work: {
    readonly uploads: readonly FileUpload[];
    readonly answer: RecordAnswer;
    readonly round: number;
    readonly settle: Settle;
  }): Promise<readonly FileUpload[]> {
    const { uploads, answer, settle } = work;
    if (work.round >= MISSING_ROUND_COUNT_MAX || answer.missing.length === 0) {
      for (const upload of uploads) settle(upload.source, notTaken(upload, answer));
      return [];
    }
    const missing = new Set([...answer.missing, ...(await this.#resumed.giveUp(uploads))]);
    this.#sorter.forget(missing);
    const kept: FileUpload[] = [];
    for (const upload of uploads) {
      upload.restart();
      if (await this.#readOrSettle(upload, missing, settle)) kept.push(upload);
    }
    return kept;
  }

  #receiptOf(upload: FileUpload, recorded: Receipt): Receipt {
    return {
      fileCount: 1,
      logicalBytes: upload.source.sizeBytes,
      newBytes: upload.newBytes,
      resumedBytes: upload.resumedBytes,
      storedBytes: upload.grownBytes(recorded.storedBytes),
      ...this.#takeCounts(),
    };
  }

  /** What was sent since the last outcome goes on that outcome's account, so that sums are right. */
  #takeCounts(): { readonly packCount: number; readonly requestCount: number } {
    const packs = this.#sender.packCount;
    const requests = this.#options.repo.api.requestCount;
    const counts = {
      packCount: packs - this.#counted.packs,
      requestCount: requests - this.#counted.requests,
    };
    this.#counted = { packs, requests };
    return counts;
  }

  #checkCancelled(): void {
    if (this.#options.signal.aborted) throw new DatamonError('CANCELLED', 'stopped');
  }
}

/** A group that the server was asked to record. */
interface Posted {
  readonly uploads: readonly FileUpload[];
  readonly answer: Promise<RecordAnswer>;
}

type Settle = (source: BlobSource, outcome: PutOutcome) => void;
