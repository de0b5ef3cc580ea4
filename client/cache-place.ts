/** Where ranges of far stores are kept on this machine, and how many bytes of them: the setting `datamon.cachesize`. */
import { DISK_CACHE_SIZE_DEFAULT_BYTES, diskCacheFolder } from './disk-cache.ts';

export const CACHE_SIZE_KEY = 'datamon.cachesize';
const SIZE = /^([0-9]{1,12})\s*([KMGT]?)(i?)B?$/i;
const POWERS = ['', 'K', 'M', 'G', 'T'];

export interface CachePlace {
  readonly dir: string;
  /** 0: nothing is kept. */
  readonly sizeMaxBytes: number;
}

/** Null where there is no home to keep them in. `setting` reads the setting's text, null where it is not set. */
export async function cachePlace(
  env: Readonly<Record<string, string | undefined>>,
  setting: () => Promise<string | null>,
): Promise<CachePlace | null> {
  const dir = diskCacheFolder(env);
  if (dir === null) return null;
  const text = await setting();
  const sizeMaxBytes = text === null ? null : parseSize(text);
  return { dir, sizeMaxBytes: sizeMaxBytes ?? DISK_CACHE_SIZE_DEFAULT_BYTES };
}

/** `10GiB`, `500 MB`, `0`; null for what is no size. */
export function parseSize(text: string): number | null {
  const [, digits = '', unit = '', binary = ''] = SIZE.exec(text.trim()) ?? [];
  if (digits === '') return null;
  const power = POWERS.indexOf(unit.toUpperCase());
  const sizeBytes = Number(digits) * (binary === '' ? 1000 : 1024) ** power;
  return Number.isSafeInteger(sizeBytes) ? sizeBytes : null;
}
