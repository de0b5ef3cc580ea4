/** How many bytes an inserted MiB makes new beside itself, over many random insertions: `node test/figures/insertion.ts [count]`, 1000 by default. One JSON line, in MiB. */
import { randomBytes, randomInt } from 'node:crypto';
import { chunks, createChunker } from '../../core/cas/chunker.ts';
import { type Digest, digestOf } from '../../core/digest.ts';

const MIB = 1024 * 1024;
const FILE_SIZE_BYTES = 5 * MIB;
/** What makes 1.75 MiB with the MiB itself and some 0.13 MiB of recipe and tables for 256 MiB. */
const SPARE_MIB = 0.62;
const QUANTILES = [0.1, 0.5, 0.9, 0.95, 0.98, 0.99] as const;

const chunker = createChunker({
  seed: 'f1'.repeat(32),
  minBytes: 16 * 1024,
  averageBytes: 64 * 1024,
  maxBytes: 256 * 1024,
});

async function cut(bytes: Buffer): Promise<ReadonlyMap<Digest, number>> {
  const found = new Map<Digest, number>();
  const source = (async function* () {
    yield bytes;
  })();
  for await (const chunk of chunks(source, chunker)) found.set(digestOf(chunk), chunk.length);
  return found;
}

async function extraMib(): Promise<number> {
  const old = randomBytes(FILE_SIZE_BYTES);
  const at = 2 * MIB + randomInt(256 * 1024);
  const known = await cut(old);
  const edited = Buffer.concat([old.subarray(0, at), randomBytes(MIB), old.subarray(at)]);
  let newBytes = 0;
  for (const [digest, sizeBytes] of await cut(edited))
    if (!known.has(digest)) newBytes += sizeBytes;
  return newBytes / MIB - 1;
}

const count = Number(process.argv[2] ?? 1000);
const extras: number[] = [];
for (let done = 0; done < count; done += 1) extras.push(await extraMib());
extras.sort((a, b) => a - b);
const quantiles = QUANTILES.map((q) => [q, extras[Math.floor(q * count)]?.toFixed(2)]);
const beyond = extras.filter((extra) => extra > SPARE_MIB).length;
process.stdout.write(`${JSON.stringify({ count, quantiles, max: extras.at(-1), beyond })}\n`);
