/** Many objects in one answer: what was written reads back, and nothing that was cut or changed is taken for an object. */
import { expect } from 'chai';
import type { SmallBlob } from '../../../core/cas/ingest.ts';
import { digestOf } from '../../../core/digest.ts';
import {
  encodeMembers,
  encodeObject,
  readObjectStream,
  STREAMED_SIZE_MAX_BYTES,
} from '../../../core/meta/object-stream.ts';
import { streamOf, withBitFlipped } from '../../support/cas-containers.ts';
import { codeOf } from '../../support/code-of.ts';
import { seededBytes } from '../../support/splitmix64.ts';

const BLOBS: readonly SmallBlob[] = [0, 1, 300, 5000].map((size) => {
  const bytes = seededBytes(size, size);
  return { oid: digestOf(bytes), bytes };
});
const MEMBERS = BLOBS.map(({ oid, bytes }) => ({ oid, size: bytes.length }));
const WHOLE = Buffer.concat([encodeMembers(MEMBERS), ...BLOBS.map(encodeObject)]);

async function read(bytes: Uint8Array, sliceBytes = 700): Promise<SmallBlob[]> {
  const { members, objects } = await readObjectStream(streamOf(bytes, sliceBytes));
  expect(members).to.deep.equal(MEMBERS);
  const read: SmallBlob[] = [];
  for await (const object of objects) read.push(object);
  return read;
}

describe('a stream of objects', () => {
  it('reads back, however it is sliced', async () => {
    for (const sliceBytes of [1, 39, 700, WHOLE.length]) {
      const objects = await read(WHOLE, sliceBytes);
      expect(objects.map(({ oid }) => oid)).to.deep.equal(BLOBS.map(({ oid }) => oid));
      for (const [index, { bytes }] of objects.entries()) {
        expect(Buffer.compare(bytes, BLOBS[index]?.bytes ?? Buffer.from('?'))).to.equal(0);
      }
    }
  });

  it('passes on no object that a cut took bytes from', async () => {
    const boundaries = new Set<number>();
    let boundary = encodeMembers(MEMBERS).length;
    for (const blob of BLOBS) {
      boundaries.add(boundary);
      boundary += encodeObject(blob).length;
    }
    for (let end = encodeMembers(MEMBERS).length + 1; end < WHOLE.length; end += 11) {
      // Between two objects nothing can tell that more was to come; they are asked for alone.
      if (!boundaries.has(end)) {
        expect(await codeOf(read(WHOLE.subarray(0, end))), `${end}`).to.equal('CORRUPT');
      }
    }
  });

  it('refuses other bytes, and sizes nobody may announce', async () => {
    const at = WHOLE.length - 10;
    expect(await codeOf(read(withBitFlipped(WHOLE, at * 8)))).to.equal('CORRUPT');
    const { oid } = BLOBS[1] as SmallBlob;
    const head = encodeObject({ oid, bytes: Buffer.alloc(0) });
    head.writeBigUInt64BE(BigInt(STREAMED_SIZE_MAX_BYTES + 1), 32);
    expect(await codeOf(read(Buffer.concat([encodeMembers(MEMBERS), head])))).to.equal('CORRUPT');
    const wide = Buffer.from([0xff, 0xff, 0xff, 0xff]);
    expect(await codeOf(read(Buffer.concat([wide, WHOLE])))).to.equal('CORRUPT');
  });
});
