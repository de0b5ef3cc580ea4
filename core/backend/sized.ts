/** Holds a body to the length it announces; the same for every backend. */
import type { ByteStream } from '../bytes.ts';
import { DatamonError } from '../errors.ts';
import type { Key } from '../keys.ts';
import type { Body } from './backend.ts';

/** The body's bytes; INVALID at the first byte too many or at an early end. */
export async function* sized(key: Key, body: Body): ByteStream {
  let sizeBytes = 0;
  for await (const bytes of body.open()) {
    sizeBytes += bytes.length;
    if (sizeBytes > body.sizeBytes) throw wrongSize(key, body.sizeBytes, 'more');
    yield bytes;
  }
  if (sizeBytes < body.sizeBytes) throw wrongSize(key, body.sizeBytes, `only ${sizeBytes}`);
}

function wrongSize(key: Key, announcedBytes: number, found: string): DatamonError {
  return new DatamonError('INVALID', `${key}: ${announcedBytes} bytes announced, ${found} came`);
}
