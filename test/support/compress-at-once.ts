/** Compression without the thread pool: another thread's work cannot be waited for unseen, and small pieces are done sooner here and now. */
import { createRequire, syncBuiltinESMExports } from 'node:module';

interface Zlib {
  zstdCompress: unknown;
  zstdCompressSync: (bytes: Uint8Array, options: unknown) => Buffer;
}
const zlib = createRequire(import.meta.url)('node:zlib') as Zlib;
const compressLater = zlib.zstdCompress;
let atOnce = 0;

/** From now on, until what is returned is called. */
export function compressAtOnce(): () => void {
  atOnce += 1;
  zlib.zstdCompress = (
    bytes: Uint8Array,
    options: unknown,
    callback: (error: null, stored: Buffer) => void,
  ) => callback(null, zlib.zstdCompressSync(bytes, options));
  syncBuiltinESMExports();
  return () => {
    atOnce -= 1;
    if (atOnce > 0) return;
    zlib.zstdCompress = compressLater;
    syncBuiltinESMExports();
  };
}
