/**
 * A process to kill: puts objects into the store of the first argument until it dies, and prints each key once it is
 * acknowledged. With a second argument `stall` it stops in the middle of the first body, having said so.
 */
import { openLocalBackend } from '../../backends/local.ts';
import { bytesBody } from '../../core/backend/backend.ts';
import type { Key } from '../../core/keys.ts';
import { seededBytes } from './splitmix64.ts';

const OBJECT_SIZE_BYTES = 200_000;
const [root = '', mode] = process.argv.slice(2);
const backend = await openLocalBackend(root);
const say = (line: string): Promise<void> =>
  new Promise((resolve) => process.stdout.write(`${line}\n`, () => resolve()));

if (mode === 'stall') {
  await backend.putIfAbsent('a/stalled' as Key, {
    sizeBytes: OBJECT_SIZE_BYTES,
    async *open() {
      yield seededBytes(0, OBJECT_SIZE_BYTES / 2);
      await say('half');
      // Keeps the process alive for as long as it is let.
      await new Promise((resolve) => setTimeout(resolve, 60_000));
    },
  });
}
for (let n = 0; ; n += 1) {
  const key = `a/${n % 7}/${n}` as Key;
  await backend.putIfAbsent(key, bytesBody(seededBytes(n, OBJECT_SIZE_BYTES)));
  await say(key);
}
