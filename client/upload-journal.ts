/**
 * The upload journal as files: one small sealed file per pack, in a folder per store and repo. Promises: a note is on disk before
 * `note` resolves; a file that is damaged, older than its ticket, or another repo's is as good as none; no call ever fails.
 */
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type NotedPack, RESUMABLE_DAYS, type UploadJournal } from '../core/cas/upload-journal.ts';
import { digestOf } from '../core/digest.ts';
import { openSealedJson, sealJson } from '../core/json.ts';
import { type ContainerId, parseContainerId, type RepoName } from '../core/keys.ts';
import { type Random, randomHex } from '../core/random.ts';
import { count, nullable, type Parse, record, text, textUpTo } from '../core/shape.ts';

const VERSION = 1;
const DAY_MS = 24 * 60 * 60 * 1000;
/** As long as a server's ticket lives. */
export const NOTE_AGE_MAX_MS = RESUMABLE_DAYS * DAY_MS;
/** 256 GiB of full packs; what is beyond is sent again. */
const NOTE_COUNT_MAX = 4_096;
/** A table of the most frames that a pack can hold, in base64. */
const FRAMES_LENGTH_MAX = 64 * 1024 * 1024;
/** Old files removed at one opening; the next one goes on. */
const SWEEP_COUNT_MAX = 1_000;
const NOTE_FILE = /^([0-9a-f]{32})\.json$/;

export interface UploadJournalOptions {
  /** Of all journals of one clone, or one user. */
  readonly folder: string;
  /** The store's URL, or a server's origin. */
  readonly store: string;
  readonly repo: RepoName;
  readonly random: Random;
  readonly nowMs: () => number;
}

interface Note {
  readonly version: number;
  readonly store: string;
  readonly repo: string;
  readonly pack: string;
  readonly sizeBytes: number;
  readonly tablesOffset: number;
  readonly frames: string;
  readonly ticket: string | null;
  readonly notedAtMs: number;
}

const parseNote: Parse<Note> = record<Note>({
  version: count,
  store: text,
  repo: text,
  pack: text,
  sizeBytes: count,
  tablesOffset: count,
  frames: textUpTo(FRAMES_LENGTH_MAX),
  ticket: nullable(text),
  notedAtMs: count,
});

export function openUploadJournal(options: UploadJournalOptions): UploadJournal {
  const { folder, store, repo } = options;
  const own = join(folder, digestOf(`${store}\n${repo}`).slice(0, 32));
  const packs = new Map<ContainerId, NotedPack>();
  let loading: Promise<void> | null = null;

  async function load(): Promise<void> {
    await sweep(options);
    for (const pack of await readNotes(own, options)) packs.set(pack.id, pack);
  }

  return {
    async packs() {
      loading ??= load().catch(() => {});
      await loading;
      return [...packs.values()];
    },
    async note(pack) {
      packs.set(pack.id, pack);
      await quietly(() => writeNote(own, pack, options));
    },
    async forget(ids) {
      for (const id of ids) {
        packs.delete(id);
        await quietly(() => rm(noteFile(own, id), { force: true }));
      }
    },
  };
}

const noteFile = (own: string, id: ContainerId): string => join(own, `${id}.json`);

async function writeNote(
  own: string,
  { id, sizeBytes, tablesOffset, frames, ticket }: NotedPack,
  { store, repo, random, nowMs }: UploadJournalOptions,
): Promise<void> {
  const note: Note = {
    ...{ version: VERSION, store, repo, pack: id, sizeBytes, tablesOffset, ticket },
    frames: frames.toString('base64'),
    notedAtMs: Math.floor(nowMs()),
  };
  await mkdir(own, { recursive: true, mode: 0o700 });
  const temp = join(own, `${id}.${randomHex(random, 8)}.tmp`);
  try {
    await writeSynced(temp, sealJson({ ...note }));
    await rename(temp, noteFile(own, id));
    await syncFolder(own);
  } catch (error) {
    await rm(temp, { force: true });
    throw error;
  }
}

async function writeSynced(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Those that are whole, of this store and repo, and young enough. */
async function readNotes(own: string, options: UploadJournalOptions): Promise<NotedPack[]> {
  const names = (await readdir(own).catch(() => [])).filter((name) => NOTE_FILE.test(name));
  const notes: NotedPack[] = [];
  for (const name of names.slice(0, NOTE_COUNT_MAX)) {
    const pack = await readNote(join(own, name), options).catch(() => null);
    if (pack !== null && `${pack.id}.json` === name) notes.push(pack);
  }
  return notes;
}

async function readNote(
  path: string,
  { store, repo, nowMs }: UploadJournalOptions,
): Promise<NotedPack | null> {
  const note = parseNote(openSealedJson(await readFile(path), path), path);
  const isOurs = note.version === VERSION && note.store === store && note.repo === repo;
  if (!isOurs || nowMs() - note.notedAtMs > NOTE_AGE_MAX_MS) return null;
  const { sizeBytes, tablesOffset, ticket } = note;
  const frames = Buffer.from(note.frames, 'base64');
  return { id: parseContainerId(note.pack), sizeBytes, tablesOffset, frames, ticket };
}

/** Removes what is too old to be of use, of any repo, and folders that are empty then. */
async function sweep({ folder, nowMs }: UploadJournalOptions): Promise<void> {
  let budget = SWEEP_COUNT_MAX;
  for (const journal of await readdir(folder).catch(() => [])) {
    const own = join(folder, journal);
    const names = await readdir(own).catch(() => []);
    for (const name of names.slice(0, Math.max(0, budget))) {
      budget -= 1;
      const path = join(own, name);
      const found = await stat(path).catch(() => null);
      if (found !== null && nowMs() - found.mtimeMs > NOTE_AGE_MAX_MS) await rm(path);
    }
  }
}

/** A journal that cannot be written costs bytes after an interruption; the put itself is none the worse. */
async function quietly(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch {
    // See above.
  }
}
