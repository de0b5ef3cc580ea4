/** Golden vectors of chunker, pack and segment: what is stored today is read, and written, for ever (test/vectors/README.md). */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { chunks } from '../../../core/cas/chunker.ts';
import { framesOf, readTables } from '../../../core/cas/container-reader.ts';
import { encodeRecipePart, parseRecipePart } from '../../../core/cas/recipe.ts';
import { encodeSegmentTables, openSegmentTables } from '../../../core/cas/segment-tables.ts';
import { type Digest, digestOf } from '../../../core/digest.ts';
import type { ContainerId } from '../../../core/keys.ts';
import {
  frameOf,
  type MadeContainer,
  makeContainer,
  storeContainer,
} from '../../support/cas-containers.ts';
import { POOL, TINY_POOL } from '../../support/cas-world.ts';
import { seededBytes, seededStream } from '../../support/splitmix64.ts';

const vector = (name: string): Record<string, unknown> =>
  JSON.parse(readFileSync(new URL(`../../vectors/${name}.json`, import.meta.url), 'utf8'));

async function cutPoints(seed: number, size: number, pool: typeof POOL): Promise<number[]> {
  const points: number[] = [];
  let end = 0;
  for await (const chunk of chunks(seededStream(seed, size), pool)) {
    end += chunk.length;
    points.push(end);
  }
  return points;
}

/** Raw frames alone: another zstd may compress to other bytes, which is legal and no vector. */
const packFrames = () => {
  const one = seededBytes(1, 150);
  const two = seededBytes(2, 90);
  const recipe = encodeRecipePart({
    oid: digestOf(Buffer.concat([one, two])),
    sizeBytes: 240,
    firstChunk: 0,
    chunks: [
      { digest: digestOf(one), sizeBytes: 150 },
      { digest: digestOf(two), sizeBytes: 90 },
    ],
  });
  return [frameOf(one), frameOf(two), recipe, frameOf(seededBytes(3, 40), 'page')];
};

const makePack = (): Promise<MadeContainer> => makeContainer({ frames: packFrames(), seed: 42 });

async function makeSegment(): Promise<MadeContainer> {
  const pack = await makePack();
  const [one, two, , page] = pack.frames;
  const container = {
    ...{ kind: 'pack' as const, id: pack.id, tier: 0, sizeBytes: pack.sizeBytes },
    tablesOffset: pack.trailer.tablesOffset,
    tablesLength: pack.trailer.tablesLength,
    samples: Buffer.from(one?.digest ?? '', 'hex'),
  };
  const inline = frameOf(seededBytes(4, 60));
  const records = [
    {
      ...{
        oid: digestOf(Buffer.concat([seededBytes(1, 150), seededBytes(2, 90)])),
        sizeBytes: 240,
      },
      ...{ kind: 'blob' as const, state: 'verified' as const },
      runs: [{ container, frameCount: 2, offset: 64, storedLength: 368, rawLength: 240 }],
    },
    {
      ...{ oid: inline.digest, sizeBytes: 60, kind: 'blob' as const, state: 'claimed' as const },
      runs: [{ container: null, frameCount: 1, offset: 64, storedLength: 124, rawLength: 60 }],
    },
    {
      ...{
        oid: page?.digest as Digest,
        sizeBytes: 40,
        kind: 'page' as const,
        state: 'verified' as const,
      },
      runs: [
        { container, frameCount: 1, offset: page?.offset ?? 0, storedLength: 104, rawLength: 40 },
      ],
    },
    {
      oid: digestOf(''),
      sizeBytes: 0,
      kind: 'blob' as const,
      state: 'verified' as const,
      runs: [],
    },
  ];
  expect(two?.offset).equal(278);
  const sections = encodeSegmentTables(records, ['0f'.repeat(16) as ContainerId]);
  return makeContainer({ kind: 'segment', frames: [inline], sections, seed: 43 });
}

describe('golden vectors', () => {
  it('cut points', async () => {
    const golden = vector('cut-points');
    expect(await cutPoints(7, 1024 * 1024, POOL)).deep.equal(golden['default']);
    expect(await cutPoints(8, 10_000, TINY_POOL)).deep.equal(golden['tiny']);
  });

  it('a pack, written and read', async () => {
    const bytes = Buffer.from(vector('pack')['bytes'] as string, 'base64');
    const made = await makePack();
    expect(made.bytes.toString('base64')).equal(bytes.toString('base64'));
    const { backend, key } = await storeContainer(bytes, made);
    const { trailer } = await readTables(backend, key, made, bytes.length);
    const payloads: Uint8Array[] = [];
    const range = backend.get(key, { start: 64, end: trailer.tablesOffset });
    for await (const { payload } of framesOf(range, made.id, 64, key)) payloads.push(payload);
    expect(payloads.map((payload) => digestOf(payload))).deep.equal(
      packFrames().map(({ digest }) => digest),
    );
    expect(parseRecipePart(payloads[2] as Uint8Array).chunks).length(2);
  });

  it('a pack with compressed frames, read', async () => {
    const golden = vector('pack-zstd');
    const bytes = Buffer.from(golden['bytes'] as string, 'base64');
    const name = { kind: 'pack' as const, id: golden['id'] as ContainerId };
    const { backend, key } = await storeContainer(bytes, name);
    const { trailer } = await readTables(backend, key, name, bytes.length);
    const range = backend.get(key, { start: 64, end: trailer.tablesOffset });
    const digests: string[] = [];
    for await (const frame of framesOf(range, name.id, 64, key)) {
      expect(frame.codec).equal('zstd');
      digests.push(digestOf(frame.payload));
    }
    expect(digests).deep.equal([
      digestOf(Buffer.alloc(20_000, 'row,of,values\n')),
      digestOf(Buffer.alloc(300_000)),
    ]);
  });

  it('a segment, written and read', async () => {
    const bytes = Buffer.from(vector('segment')['bytes'] as string, 'base64');
    const made = await makeSegment();
    expect(made.bytes.toString('base64')).equal(bytes.toString('base64'));
    const { backend, key } = await storeContainer(bytes, made);
    const tables = openSegmentTables(await readTables(backend, key, made, bytes.length), key);
    expect(tables.recordCount).equal(4);
    expect(tables.replaces).deep.equal(['0f'.repeat(16)]);
    expect(tables.containers.map(({ kind }) => kind)).deep.equal(['pack']);
    const [record] = tables.find(digestOf(seededBytes(4, 60)), 'blob');
    expect(record).deep.include({ sizeBytes: 60, state: 'claimed' });
    expect(tables.find(digestOf(''), 'blob')[0]?.runs).deep.equal([]);
    expect(tables.find(digestOf(seededBytes(3, 40)), 'page')).length(1);
    expect(tables.find(digestOf(seededBytes(3, 40)), 'blob')).length(0);
  });
});
