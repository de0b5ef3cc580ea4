/** The port of programs that keep versions of a folder without git: an empty store is opened, versions are saved, each can come back. */
import { rm } from 'node:fs/promises';
import type { Command, Presence } from './model.ts';
import type { Rig } from './rig.ts';
import { checkFiles, type StoredFile } from './template.ts';

/** As the program is by default (zstd where it compresses at all), or told not to. */
export type Compression = 'zstd' | 'none';

export interface Archiver {
  readonly name: string;
  readonly ours: boolean;
  probe(rig: Rig): Promise<Presence>;
  open(rig: Rig, options: { readonly compression: Compression }): Promise<Archive>;
}

export interface Archive {
  readonly storeDir: string;
  /** What saves the folder as this version; all of it is timed. */
  save(folder: string, version: number): readonly Command[];
  /** What brings a version back into an empty folder, which then has the files themselves; null where it keeps none. */
  restore(version: number, dir: string): readonly Command[] | null;
}

/** MISMATCH unless a version comes back as it was saved. Nothing is checked of a program that keeps nothing. */
export async function checkRestored(options: {
  readonly rig: Rig;
  readonly archive: Archive;
  readonly version: number;
  readonly files: readonly StoredFile[];
}): Promise<void> {
  const { rig, archive, version, files } = options;
  const dir = await rig.newFolder('restored');
  const commands = archive.restore(version, dir);
  if (commands !== null) {
    await rig.timed(commands);
    await checkFiles(dir, files);
  }
  await rm(dir, { recursive: true });
}
