/** Containers: what was written is read, whatever was not written is refused, and frames are found again without tables. */
import { readdir } from 'node:fs/promises';
import { expect } from 'chai';
import type { Backend } from '../../../core/backend/backend.ts';
import { collect } from '../../../core/bytes.ts';
import {
  type Frame,
  framesOf,
  readHeader,
  readTables,
  recoverFrames,
} from '../../../core/cas/container-reader.ts';
import { createContainerWriter } from '../../../core/cas/container-writer.ts';
import { decodeFrame, encodeFrame, FRAME_RAW_SIZE_MAX_BYTES } from '../../../core/cas/frame.ts';
import { encodeSegmentTables } from '../../../core/cas/segment-tables.ts';
import { digestOf } from '../../../core/digest.ts';
import { DatamonError } from '../../../core/errors.ts';
import type { ContainerId } from '../../../core/keys.ts';
import {
  frameOf,
  type MadeContainer,
  makeContainer,
  seededRandom,
  storeContainer,
  streamOf,
  withBitFlipped,
} from '../../support/cas-containers.ts';
import { codeOf } from '../../support/code-of.ts';
import { seededBytes } from '../../support/splitmix64.ts';
import { makeTempDir } from '../../support/temp-dir.ts';

const PAYLOADS = [
  Buffer.from(
    'a short frame, compressible: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
  ),
  seededBytes(1, 300),
  Buffer.alloc(0),
  seededBytes(2, 90),
];

const small = (): Promise<MadeContainer> =>
  makeContainer({ frames: PAYLOADS.map((payload) => frameOf(payload)) });

async function framesIn(bytes: Uint8Array, id: ContainerId): Promise<Frame[]> {
  const frames: Frame[] = [];
  for await (const frame of framesOf(streamOf(bytes, 37), id, 64, 'it')) frames.push(frame);
  return frames;
}

/** Reads everything a container promises: header, tables, every frame. */
async function readAll(bytes: Uint8Array, made: MadeContainer): Promise<Buffer[]> {
  const { backend, key } = await storeContainer(bytes, made);
  await readHeader(backend, key, made);
  const tables = await readTables(backend, key, made, bytes.length);
  const range = backend.get(key, { start: 64, end: tables.trailer.tablesOffset });
  const payloads: Buffer[] = [];
  for await (const { payload } of framesOf(range, made.id, 64, key)) {
    payloads.push(Buffer.from(payload));
  }
  return payloads;
}

describe('container', () => {
  it('reads back the frames it was given, in order', async () => {
    const made = await small();
    const payloads = await readAll(made.bytes, made);
    expect(payloads.map(String)).deep.equal(PAYLOADS.map(String));
  });

  it('keeps the order of overlapping calls', async () => {
    const writer = createContainerWriter({
      kind: 'pack',
      spoolDir: '/nonexistent',
      random: seededRandom(3),
    });
    // Large compressible payloads take longer than small raw ones that come after them.
    const payloads = [
      Buffer.alloc(1_000_000, 'ab'),
      seededBytes(4, 50),
      Buffer.alloc(500_000, 'c'),
    ];
    const refs = await Promise.all(payloads.map((payload) => writer.addFrame(frameOf(payload))));
    const sealed = await writer.seal();
    expect(sealed.frames.map(({ digest }) => digest)).deep.equal(payloads.map(digestOf));
    expect(refs).deep.equal(sealed.frames);
    await sealed.dispose();
  });

  it('says beforehand how large it will be', async () => {
    const writer = createContainerWriter({
      kind: 'pack',
      spoolDir: '/nonexistent',
      random: seededRandom(5),
    });
    for (const payload of PAYLOADS) await writer.addFrame(frameOf(payload));
    const { sizeBytes } = writer;
    const sealed = await writer.seal();
    expect(sealed.sizeBytes).equal(sizeBytes);
    expect((await collect(sealed.body.open(), 10_000)).length).equal(sizeBytes);
    await sealed.dispose();
  });

  it('spools to a file beyond 4 MiB, can be read twice, and removes the file', async () => {
    const spoolDir = await makeTempDir();
    const writer = createContainerWriter({ kind: 'pack', spoolDir, random: seededRandom(6) });
    for (let index = 0; index < 6; index += 1) {
      await writer.addFrame(frameOf(seededBytes(10 + index, 1024 * 1024)));
    }
    expect(await readdir(spoolDir)).length(1);
    const { body, dispose } = await writer.seal();
    const first = digestOf(await collect(body.open(), 10 ** 8));
    expect(digestOf(await collect(body.open(), 10 ** 8))).equal(first);
    await dispose();
    await dispose();
    expect(await readdir(spoolDir)).deep.equal([]);
  });

  it('has a trailer whose digest is that of everything before it', async () => {
    const { bytes, trailer } = await small();
    expect(trailer.wholeDigest).equal(digestOf(bytes.subarray(0, -48)));
  });

  it('refuses frames after it is sealed', async () => {
    const writer = createContainerWriter({
      kind: 'pack',
      spoolDir: '/nonexistent',
      random: seededRandom(7),
    });
    await writer.seal();
    expect(await codeOf(writer.addFrame(frameOf(Buffer.from('x'))))).equal('INVALID');
  });

  it('fails for good once a frame failed: nothing half-written is sealed', async () => {
    const writer = createContainerWriter({
      kind: 'pack',
      spoolDir: '/nonexistent',
      random: seededRandom(8),
    });
    const large = frameOf(Buffer.alloc(FRAME_RAW_SIZE_MAX_BYTES + 1));
    expect(await codeOf(writer.addFrame(large))).equal('TOO_LARGE');
    expect(await codeOf(writer.seal())).equal('TOO_LARGE');
    await writer.dispose();
  });

  it('says NO_SPACE or UNAVAILABLE, with a hint, where it cannot spool', async () => {
    const writer = createContainerWriter({
      kind: 'pack',
      spoolDir: '/dev/null/spool',
      random: seededRandom(9),
    });
    let failure: unknown;
    for (let index = 0; index < 6 && !failure; index += 1) {
      await writer.addFrame(frameOf(seededBytes(index, 1024 * 1024))).catch((error) => {
        failure = error;
      });
    }
    expect(failure).instanceOf(DatamonError).and.property('hint').contain('TMPDIR');
    await writer.dispose();
  });

  it('compresses what is worth it and leaves the rest', async () => {
    const text = await encodeFrame(frameOf(Buffer.alloc(100_000, 'text ')));
    const noise = await encodeFrame(frameOf(seededBytes(11, 100_000)));
    expect(text.codec).equal('zstd');
    expect(text.storedLength).below(1000);
    expect(noise.codec).equal('raw');
    expect(noise.storedLength).equal(100_000);
  });

  it('never decodes to more than the header says', async () => {
    const frame = await encodeFrame(frameOf(Buffer.alloc(1_000_000)));
    const lying = { ...frame, rawLength: 1000 };
    expect(await codeOf(() => decodeFrame(lying, frame.stored, 'it'))).equal('CORRUPT');
  });
});

describe('damaged containers', () => {
  it('notices every single bit, but for spare ones of zstd that change nothing', async function () {
    this.timeout(30_000);
    const made = await small();
    const compressed = made.frames[0];
    const spare = { start: (compressed?.offset ?? 0) + 64, end: made.frames[1]?.offset ?? 0 };
    for (let bit = 0; bit < made.bytes.length * 8; bit += 1) {
      const bytes = withBitFlipped(made.bytes, bit);
      const outcome = await readAll(bytes, made).catch((error: unknown) => error);
      if (outcome instanceof DatamonError) {
        expect(outcome.code, `bit ${bit}`).oneOf(['CORRUPT', 'UNSUPPORTED']);
        continue;
      }
      expect((outcome as Buffer[]).map(String), `bit ${bit}`).deep.equal(PAYLOADS.map(String));
      expect(bit >> 3, `bit ${bit}`).within(spare.start, spare.end - 1);
    }
  });

  it('notices every single bit of a segment’s tables and trailer', async function () {
    this.timeout(30_000);
    const [payload = Buffer.alloc(0)] = PAYLOADS;
    const runs = [{ container: null, frameCount: 1, offset: 64, storedLength: 154, rawLength: 90 }];
    const record = {
      oid: digestOf(payload),
      sizeBytes: 90,
      kind: 'blob',
      state: 'verified',
      runs,
    } as const;
    const sections = encodeSegmentTables([record], []);
    const made = await makeContainer({
      kind: 'segment',
      frames: [frameOf(seededBytes(2, 90))],
      sections,
    });
    const { backend, key } = await storeContainer(made.bytes, made);
    const { tablesOffset } = made.trailer;
    const size = made.bytes.length;
    await readTables(backend, key, made, size);
    for (let bit = tablesOffset * 8; bit < size * 8; bit += 1) {
      const flipped = withBitFlipped(made.bytes, bit);
      const reading: Backend = {
        ...backend,
        get: (_key, range) => streamOf(flipped.subarray(range?.start ?? 0, range?.end), size),
      };
      const code = await codeOf(readTables(reading, key, made, size));
      expect(code, `bit ${bit}`).oneOf(['CORRUPT', 'UNSUPPORTED']);
    }
  });

  it('notices truncation at every length', async () => {
    const made = await small();
    for (let length = 0; length < made.bytes.length; length += 1) {
      expect(await codeOf(readAll(made.bytes.subarray(0, length), made)), `${length}`).equal(
        'CORRUPT',
      );
    }
  });

  it('notices zeros', async () => {
    const made = await small();
    expect(await codeOf(readAll(Buffer.alloc(made.bytes.length), made))).equal('CORRUPT');
    const halved = Buffer.from(made.bytes);
    halved.fill(0, halved.length >> 1);
    expect(await codeOf(readAll(halved, made))).equal('CORRUPT');
  });

  it('notices that it is another container, be it of equal shape', async () => {
    const one = await small();
    const other = await makeContainer({ frames: PAYLOADS.map((p) => frameOf(p)), seed: 2 });
    const { backend, key } = await storeContainer(other.bytes, one);
    expect(await codeOf(readHeader(backend, key, one))).equal('CORRUPT');
    expect(await codeOf(readTables(backend, key, one, other.bytes.length))).equal('CORRUPT');
    const frames = other.bytes.subarray(64, other.trailer.tablesOffset);
    expect(await codeOf(framesIn(frames, one.id))).equal('CORRUPT');
  });

  it('gives up no frame after the damage, and all before it', async () => {
    const made = await small();
    const second = made.frames[1];
    const bytes = withBitFlipped(made.bytes, ((second?.offset ?? 0) + 100) * 8);
    const read: string[] = [];
    const frames = framesOf(streamOf(bytes.subarray(64)), made.id, 64, 'it');
    const failure = await (async () => {
      for await (const { payload } of frames) read.push(String(Buffer.from(payload)));
    })().catch((error: unknown) => error);
    expect(failure).property('code', 'CORRUPT');
    expect(read).deep.equal([String(PAYLOADS[0])]);
  });

  it('names a version it does not know', async () => {
    const made = await small();
    const { backend, key } = await storeContainer(made.bytes, made);
    const tables = await readTables(backend, key, made, made.bytes.length);
    expect(tables.trailer.kind).equal('pack');
    const mandatory = await makeContainer({
      frames: [],
      sections: [{ type: 0x80000001, bytes: Buffer.from('new') }],
    });
    const stored = await storeContainer(mandatory.bytes, mandatory);
    const reading = readTables(stored.backend, stored.key, mandatory, mandatory.bytes.length);
    expect(await codeOf(reading)).equal('UNSUPPORTED');
  });

  it('skips tables it does not know and need not', async () => {
    const made = await makeContainer({
      frames: [frameOf(Buffer.from('x'))],
      sections: [{ type: 77, bytes: Buffer.from('new') }],
    });
    expect(await readAll(made.bytes, made)).length(1);
  });
});

describe('recovering frames', () => {
  const found = async (bytes: Uint8Array, id: ContainerId): Promise<string[]> => {
    const payloads: string[] = [];
    for await (const { payload } of recoverFrames(streamOf(bytes, 100), id)) {
      payloads.push(digestOf(payload));
    }
    return payloads;
  };

  it('finds all without header, tables and trailer', async () => {
    const made = await small();
    const bytes = Buffer.from(made.bytes);
    bytes.fill(0, 0, 64);
    bytes.fill(0, made.trailer.tablesOffset);
    expect(await found(bytes, made.id)).deep.equal(PAYLOADS.map(digestOf));
  });

  it('finds all but the damaged one', async () => {
    const made = await small();
    const offset = made.frames[1]?.offset ?? 0;
    const bytes = withBitFlipped(made.bytes, (offset + 70) * 8);
    const all = PAYLOADS.map(digestOf);
    expect(await found(bytes, made.id)).deep.equal([all[0], all[2], all[3]]);
  });

  it('finds those that a shift or a lying length hides from a reader', async () => {
    const made = await small();
    const offset = made.frames[2]?.offset ?? 0;
    const shifted = Buffer.concat([
      made.bytes.subarray(0, offset),
      Buffer.from('inserted'),
      made.bytes.subarray(offset),
    ]);
    expect(await found(shifted, made.id)).deep.equal(PAYLOADS.map(digestOf));
  });

  it('is not misled by a payload that holds the mark', async () => {
    const writer = createContainerWriter({
      kind: 'pack',
      spoolDir: '/nonexistent',
      random: seededRandom(12),
    });
    const hostile = Buffer.concat([Buffer.from(writer.id, 'hex'), seededBytes(13, 200)]);
    await writer.addFrame(frameOf(hostile));
    await writer.addFrame(frameOf(Buffer.from('after')));
    const sealed = await writer.seal();
    const bytes = await collect(sealed.body.open(), 10_000);
    expect(await found(bytes, sealed.id)).deep.equal([digestOf(hostile), digestOf('after')]);
  });

  it('finds frames in more bytes than it looks at at once', async () => {
    const payloads = Array.from({ length: 5 }, (_, index) => seededBytes(20 + index, 700_000));
    const spoolDir = await makeTempDir();
    const made = await makeContainer({ frames: payloads.map((p) => frameOf(p)), spoolDir });
    expect(await found(made.bytes, made.id)).deep.equal(payloads.map(digestOf));
  });
});
