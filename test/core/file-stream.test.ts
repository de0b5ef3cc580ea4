/** Reading files: whole, in pieces that are the reader's own, to wherever the file ends by then. */
import { appendFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { fileStream } from '../../core/file-stream.ts';
import { seededBytes } from '../support/splitmix64.ts';
import { makeTempDir } from '../support/temp-dir.ts';

const SMALL_MAX = 256 * 1024;

async function read(path: string): Promise<Uint8Array[]> {
  const parts: Uint8Array[] = [];
  for await (const part of fileStream(path)) parts.push(part);
  return parts;
}

describe('file stream', () => {
  let dir: string;
  beforeEach(async () => {
    dir = await makeTempDir();
  });

  for (const size of [0, 1, 10_240, SMALL_MAX - 1, SMALL_MAX, SMALL_MAX + 1, 3 * 1024 * 1024 + 5]) {
    it(`gives ${size} bytes, in buffers that are not rewritten`, async () => {
      const bytes = seededBytes(size, size);
      const path = join(dir, `${size}`);
      writeFileSync(path, bytes);
      expect(Buffer.concat(await read(path)).equals(bytes)).to.equal(true);
    });
  }

  it('holds no buffer much larger than the file', async () => {
    const path = join(dir, 'tiny');
    writeFileSync(path, 'tiny');
    const [only] = await read(path);
    expect(only?.buffer.byteLength).to.be.at.most(8);
  });

  it('goes on to the new end of a file that grows, and stops at that of one that shrinks', async () => {
    const path = join(dir, 'changing');
    writeFileSync(path, seededBytes(1, 2 * SMALL_MAX));
    let doneBytes = 0;
    for await (const part of fileStream(path)) {
      if (doneBytes === 0) appendFileSync(path, 'more');
      doneBytes += part.length;
    }
    expect(doneBytes).to.equal(2 * SMALL_MAX + 4);
    doneBytes = 0;
    for await (const part of fileStream(path)) {
      if (doneBytes === 0) truncateSync(path, SMALL_MAX + 2);
      doneBytes += part.length;
    }
    expect(doneBytes).to.equal(SMALL_MAX + 2);
  });

  it('follows a link unless told not to', async () => {
    const path = join(dir, 'link');
    writeFileSync(join(dir, 'tiny'), 'tiny');
    symlinkSync(join(dir, 'tiny'), path);
    expect(Buffer.concat(await read(path)).toString()).to.equal('tiny');
    const refused = fileStream(path, { links: 'refused' })[Symbol.asyncIterator]().next();
    const error = await refused.catch((thrown: NodeJS.ErrnoException) => thrown.code);
    expect(error).to.equal('ELOOP');
  });

  it('lends one buffer, or gives each away', async () => {
    const file = join(await makeTempDir(), 'large');
    const bytes = seededBytes(3, 5_000_000);
    writeFileSync(file, bytes);
    for (const buffers of ['lent', 'given'] as const) {
      const memories = new Set<ArrayBufferLike>();
      const parts: Buffer[] = [];
      for await (const part of fileStream(file, { buffers })) {
        memories.add(part.buffer);
        parts.push(Buffer.from(part));
      }
      expect(Buffer.concat(parts).equals(bytes)).to.equal(true);
      expect(memories.size).to.be.within(
        ...((buffers === 'lent' ? [2, 2] : [5, 9]) as [number, number]),
      );
    }
  });
});
