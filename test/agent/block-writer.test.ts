/** The block writer: all pieces, in order, at their place; a failed write fails all that follows. */
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { BlockWriter } from '../../agent/block-writer.ts';
import { codeOf } from '../support/code-of.ts';
import { seededBytes } from '../support/splitmix64.ts';
import { makeTempDir } from '../support/temp-dir.ts';

describe('agent/block-writer', () => {
  let path: string;
  let handle: FileHandle;
  beforeEach(async () => {
    path = join(await makeTempDir(), 'file');
    handle = await open(path, 'w+');
  });
  afterEach(() => handle.close());

  for (const pieceBytes of [1, 999, 65_536, 1_048_576, 3_000_001]) {
    it(`writes pieces of ${pieceBytes} bytes behind what is there, though they change afterwards`, async () => {
      await handle.write('start');
      const bytes = seededBytes(pieceBytes, Math.min(5_000_000, 20_000 * pieceBytes));
      const writer = new BlockWriter(handle, 5);
      for (let at = 0; at < bytes.length; at += pieceBytes) {
        const piece = Buffer.from(bytes.subarray(at, at + pieceBytes));
        await writer.add(piece);
        piece.fill(0);
      }
      await writer.flush();
      const written = await readFile(path);
      expect(written.subarray(0, 5).toString()).to.equal('start');
      expect(written.subarray(5).equals(bytes)).to.equal(true);
    });
  }

  it('fails for good once a write failed, and takes a write that was cut short further', async () => {
    const write = handle.write.bind(handle);
    let count = 0;
    handle.write = ((...args: Parameters<typeof write>) => {
      count += 1;
      if (count === 3) return Promise.reject(Object.assign(new Error('full'), { code: 'ENOSPC' }));
      const [bytes, offset, , position] = args as unknown as [Buffer, number, number, number];
      return count === 1 ? write(bytes, offset, 1000, position) : write(...args);
    }) as typeof write;
    const writer = new BlockWriter(handle, 0);
    const bytes = seededBytes(1, 1_048_576);
    await writer.add(bytes);
    await writer.flush();
    expect((await readFile(path)).equals(bytes)).to.equal(true);
    await writer.add(bytes);
    expect(await codeOf(writer.flush())).to.equal('NO_SPACE');
    expect(await codeOf(writer.add(bytes).then(() => writer.add(bytes)))).to.equal('NO_SPACE');
    expect(await codeOf(writer.flush())).to.equal('NO_SPACE');
  });
});
