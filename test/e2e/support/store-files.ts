/** Looks into a directory store behind the programs' back, and damages it. */
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { digestOf } from '../../../core/digest.ts';
import { type Json, openSealedJson, sealJson } from '../../../core/json.ts';

/** Every file by its path, with its digest: two of these are equal where nothing changed. */
export async function filesOf(store: string): Promise<Readonly<Record<string, string>>> {
  const found: Record<string, string> = {};
  for (const entry of await readdir(store, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile()) found[path] = digestOf(await readFile(path));
  }
  return found;
}

/** The largest pack, and the path it has inside the store. */
export async function largestPack(store: string): Promise<{ path: string; key: string }> {
  let largest = { path: '', sizeBytes: -1 };
  for (const path of Object.keys(await filesOf(store))) {
    const { size } = await stat(path);
    if (path.includes('/packs/') && size > largest.sizeBytes) largest = { path, sizeBytes: size };
  }
  return { path: largest.path, key: largest.path.slice(store.length + 1) };
}

/** Files of a store are read-only: replaced, not written into. */
async function replace(path: string, bytes: Uint8Array): Promise<void> {
  await rm(path);
  await writeFile(path, bytes);
}

/** Flips the lowest bit of one byte; gives back how to undo it. */
export async function flipBit(path: string, at: number): Promise<() => Promise<void>> {
  const bytes = await readFile(path);
  const flipped = Buffer.from(bytes);
  flipped.writeUInt8(flipped.readUInt8(at) ^ 1, at);
  await replace(path, flipped);
  return () => replace(path, bytes);
}

/** Takes a file away; gives back how to undo it. */
export async function takeAway(path: string): Promise<() => Promise<void>> {
  const bytes = await readFile(path);
  await rm(path);
  return () => writeFile(path, bytes);
}

/** Rewrites the newest entry of the format log, as a later datamon would have; gives back how to undo it. */
export async function claimFormat(store: string, event: Json): Promise<() => Promise<void>> {
  const folder = join(store, 'format');
  const [newest] = (await readdir(folder)).sort();
  const path = join(folder, newest ?? '');
  const bytes = await readFile(path);
  const entry = openSealedJson(bytes, 'the format') as { [key: string]: Json };
  await replace(path, sealJson({ ...entry, event }));
  return () => replace(path, bytes);
}
