/** `datamon get`: downloads a bundle, or a part of it, without git. Writes below one folder and nowhere else. */
import { resolve } from 'node:path';
import { formatBytes, formatCount } from '../../client/format.ts';
import type { ByteStream } from '../../core/bytes.ts';
import { DatamonError, hasCode } from '../../core/errors.ts';
import { EXIT, type ExitStatus } from '../../core/io.ts';
import type { Entry, EntryKind, RawPath } from '../../core/meta/model.ts';
import { checkoutProblem, foldPath } from '../../core/meta/path-safety.ts';
import { rawPathToText } from '../../core/meta/raw-path.ts';
import { parseRefPath } from '../../core/meta/ref-text.ts';
import type { Repository } from '../../core/meta/repository.ts';
import { entries } from '../../core/meta/tree-reader.ts';
import { formatPath, type WirePath } from '../../core/meta/wire.ts';
import type { Options } from '../args.ts';
import type { Command, Outcome } from '../command.ts';
import type { Context } from '../context.ts';
import { globMatcher } from '../glob.ts';
import { barePath, shownPath } from '../rows.ts';
import { SafeWriter } from '../safe-writer.ts';
import { noSuchPath, type Snapshot, Snapshots } from '../snapshot.ts';

export interface GetRow {
  readonly path: WirePath;
  readonly kind: EntryKind;
  readonly bytes: number;
  readonly outcome: 'written' | 'already' | 'planned' | 'left out' | 'refused' | 'failed';
  readonly reason: string | null;
}

/** Files on their way at once. */
const PARALLEL_COUNT = 4;

export const get: Command<GetRow> = {
  usage: ['get REF[:PATH] [DIR] [--include GLOB]… [--dry-run] [--force]'],
  about:
    'downloads a bundle, or a folder or file of it, into DIR (default: a folder named like the repo), without git. Files appear whole and verified, or not at all; nothing existing is replaced without --force; what is there already is not fetched again.',
  examples: [
    ['get main', 'everything, into a folder named like the repo'],
    ['get v1.0:data data --include "*.csv"', 'the CSV files of a folder'],
    ['get main out --dry-run', 'what would be written'],
  ],
  options: {
    include: {
      type: 'string',
      multiple: true,
      value: 'GLOB',
      summary: 'only paths that match; * stays in a folder, ** does not',
    },
    'dry-run': { type: 'boolean', summary: 'only say what would be written' },
    force: { type: 'boolean', summary: 'replace files that are there' },
  },
  operands: { names: ['REF[:PATH]', 'DIR'], min: 1, max: 2 },
  run: runGet,
  view: {
    lines: (row, style) => {
      if (row.outcome === 'planned')
        return [`${formatBytes(row.bytes).padStart(10)}  ${shownPath(row.path)}`];
      if (row.reason === null) return [];
      return [`${style.red(row.outcome)} ${shownPath(row.path)}: ${row.reason}`];
    },
    id: (row) =>
      row.outcome === 'written' || row.outcome === 'planned' ? barePath(row.path) : null,
  },
};

interface Job {
  readonly context: Context;
  readonly repository: Repository;
  readonly writer: SafeWriter | null;
  /** Part of the paths that does not appear below DIR. */
  readonly strip: number;
  readonly replace: boolean;
  readonly names: Set<string>;
  /** Paths of files whose stored bytes are damaged. */
  readonly damaged: Set<string>;
  /** Ctrl-C, or another file's hopeless failure. */
  readonly stop: AbortController;
}

async function runGet(context: Context, options: Options): Promise<Outcome<GetRow>> {
  const [text = '', dirText] = options.operands;
  const { ref, path } = parseRefPath(text);
  const matchers = options.texts('include').map(globMatcher);
  const snapshots = await Snapshots.open(context);
  const snapshot = ref === null ? await snapshots.byDefault() : await snapshots.at(ref);
  const { repository } = snapshots;
  const dir = resolve(context.io.cwd, dirText ?? repository.name.split('/').at(-1) ?? 'data');
  const wanted = await select(snapshots, snapshot, path);
  const dryRun = options.flag('dry-run');
  const job: Job = {
    context,
    repository,
    writer: dryRun ? null : await SafeWriter.open(dir),
    strip: wanted.strip,
    replace: options.flag('force'),
    names: new Set(),
    damaged: new Set(),
    stop: new AbortController(),
  };
  const counts = { bytes: 0, written: 0, already: 0, planned: 0, bad: 0 };
  const rows = async function* (): AsyncGenerator<GetRow> {
    for await (const row of transfer(job, filtered(wanted.entries, wanted.strip, matchers))) {
      count(counts, row);
      yield row;
    }
    context.talk(`datamon: ${summary(counts, dir)}`);
  };
  return { rows: rows(), status: () => statusOf(counts, job.damaged.size) };
}

/** Done in part where anything came; where nothing did and damage alone is why, that. */
function statusOf({ bad, written, already }: Counts, damagedCount: number): ExitStatus {
  if (bad === 0) return EXIT.ok;
  return bad === damagedCount && written + already === 0 ? EXIT.corrupt : EXIT.partial;
}

interface Counts {
  bytes: number;
  written: number;
  already: number;
  planned: number;
  bad: number;
}

function count(counts: Counts, row: GetRow): void {
  if (row.kind === 'directory' && row.reason === null) return;
  if (row.outcome === 'written' || row.outcome === 'already' || row.outcome === 'planned') {
    counts[row.outcome] += 1;
    if (row.outcome !== 'already') counts.bytes += row.bytes;
  } else if (row.outcome !== 'left out') counts.bad += 1;
}

function summary({ bytes, written, already, planned, bad }: Counts, dir: string): string {
  if (planned > 0)
    return `${formatCount(planned, 'file')}, ${formatBytes(bytes)}; nothing was written`;
  const rest = [
    already > 0 ? `, ${formatCount(already, 'file')} already there` : '',
    bad > 0 ? `, ${formatCount(bad, 'file')} could not be written` : '',
  ];
  return `${formatCount(written, 'file')} written to ${dir} (${formatBytes(bytes)})${rest.join('')}`;
}

/** The entries below a path, and how much of their paths is above DIR. */
async function select(
  snapshots: Snapshots,
  snapshot: Snapshot,
  path: RawPath | '',
): Promise<{ readonly entries: AsyncIterable<Entry>; readonly strip: number }> {
  if (path === '') return { entries: entries(snapshots.pages, snapshot.root), strip: 0 };
  const self = await snapshots.find(snapshot, path);
  if (self !== null) return { entries: only(self), strip: path.lastIndexOf('/') + 1 };
  if ((await snapshots.folder(snapshot, path)) === null) throw noSuchPath(snapshot, path);
  const prefix = `${path}/` as RawPath;
  return { entries: entries(snapshots.pages, snapshot.root, { prefix }), strip: prefix.length };
}

async function* only(entry: Entry): AsyncGenerator<Entry> {
  yield entry;
}

async function* filtered(
  source: AsyncIterable<Entry>,
  strip: number,
  matchers: readonly ((path: string) => boolean)[],
): AsyncGenerator<Entry> {
  for await (const entry of source) {
    const path = rawPathToText(entry.path) ?? entry.path;
    const below = path.slice(strip);
    if (matchers.length === 0 || matchers.some((matches) => matches(path) || matches(below))) {
      yield entry;
    }
  }
}

/** Files first, a few at once and in order; links last, so that no file can be written through one. */
async function* transfer(job: Job, source: AsyncIterable<Entry>): AsyncGenerator<GetRow> {
  const links: Entry[] = [];
  const running: Promise<GetRow>[] = [];
  try {
    for await (const entry of source) {
      if (entry.kind === 'symlink') {
        links.push(entry);
        continue;
      }
      const work = one(job, entry);
      work.catch(() => {});
      running.push(work);
      if (running.length >= PARALLEL_COUNT) yield await next(running);
    }
    while (running.length > 0) yield await next(running);
    for (const entry of links) yield await one(job, entry);
  } finally {
    // Whoever leaves early leaves no half file behind.
    job.stop.abort();
    await Promise.allSettled(running);
  }
}

function next(running: Promise<GetRow>[]): Promise<GetRow> {
  const first = running.shift();
  if (first === undefined) throw new DatamonError('INVALID', 'nothing is running');
  return first;
}

async function one(job: Job, entry: Entry): Promise<GetRow> {
  const row = { path: formatPath(entry.path), kind: entry.kind, bytes: entry.sizeBytes };
  const below = entry.path.slice(job.strip) as RawPath;
  const problem = checkoutProblem(below, { windows: job.context.runtime.platform === 'win32' });
  if (problem !== null) return { ...row, outcome: 'refused', reason: problem };
  if (entry.kind === 'submodule') {
    return { ...row, outcome: 'left out', reason: 'a submodule; git has it' };
  }
  if (entry.kind === 'external') {
    return { ...row, outcome: 'refused', reason: 'a reference to bytes elsewhere' };
  }
  if (job.writer === null) return { ...row, outcome: 'planned', reason: null };
  try {
    return { ...row, outcome: await write(job, job.writer, entry, below), reason: null };
  } catch (error) {
    if (hasCode(error, 'CORRUPT')) job.damaged.add(entry.path);
    const outcome = hasCode(error, 'FORBIDDEN') ? 'refused' : 'failed';
    return { ...row, outcome, reason: reasonOf(error) };
  }
}

async function write(
  job: Job,
  writer: SafeWriter,
  entry: Entry,
  below: RawPath,
): Promise<'written' | 'already'> {
  const signal = AbortSignal.any([job.context.io.signal, job.stop.signal]);
  if (signal.aborted) throw new DatamonError('CANCELLED', 'stopped');
  const segments = below.split('/').map((segment) => Buffer.from(segment, 'latin1'));
  if (entry.kind === 'directory') {
    return writer.makeFolder(segments);
  }
  // Where a twin by case or Unicode form came before, replacing could replace that one.
  const key = foldPath(below);
  const replace = job.replace && !job.names.has(key);
  job.names.add(key);
  if (entry.kind === 'symlink') {
    return writer.writeLink({ segments, target: entry.reference ?? '', replace });
  }
  const { oid } = entry;
  if (oid === null) throw new DatamonError('CORRUPT', 'the bundle names no bytes for it');
  const { blobs } = job.repository;
  return writer.writeFile({
    segments,
    oid,
    sizeBytes: entry.sizeBytes,
    executable: entry.executable,
    replace,
    signal,
    // No store holds the empty file: it has no bytes.
    open: () => (entry.sizeBytes === 0 ? noBytes() : blobs.get(oid)),
  });
}

async function* noBytes(): ByteStream {}

/** One file's failure fails no other, unless no other could fare better. */
function reasonOf(error: unknown): string {
  const hopeless = ['NO_SPACE', 'UNAUTHENTICATED', 'CANCELLED', 'UNAVAILABLE'] as const;
  if (hopeless.some((code) => hasCode(error, code))) throw error;
  if (error instanceof DatamonError) {
    return error.hint === undefined ? error.message : `${error.message}. ${error.hint}`;
  }
  if (error instanceof Error && 'code' in error) return error.message;
  throw error;
}
