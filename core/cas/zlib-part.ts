/** Node's zlib, loaded at its first use: it takes 2 ms, of which a start that compresses and checks nothing needs none. */
import { createRequire } from 'node:module';

type Zlib = typeof import('node:zlib');

const load = createRequire(import.meta.url);
let loaded: Zlib | null = null;

export function zlib(): Zlib {
  loaded ??= load('node:zlib') as Zlib;
  return loaded;
}

export const crc32 = (bytes: Uint8Array): number => zlib().crc32(bytes);
