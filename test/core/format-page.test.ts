/** docs/format.md is enough: a reader that knows nothing but the page reads a whole store that the library wrote. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { openLocalBackend } from '../../backends/local.ts';
import { MERGE_SEGMENT_COUNT } from '../../core/cas/merger.ts';
import { type Digest, digestOf } from '../../core/digest.ts';
import { parseRepoName } from '../../core/keys.ts';
import { createSyntheticCommit } from '../../core/meta/commit-object.ts';
import type { Entry, RawPath } from '../../core/meta/model.ts';
import { recordBundle } from '../../core/meta/record.ts';
import { type DirectRepository, openRepository } from '../../core/open-repository.ts';
import { blobOf } from '../support/cas-world.ts';
import {
  type Container,
  cutPoints,
  escapeSegment,
  type Frame,
  openSealed,
  type Page,
  type Run,
  readContainer,
  readLog,
  readPage,
  readRecords,
  readReplaced,
  type StoredRecord,
} from '../support/format-reader.ts';
import { FREE_RECEIPT, pushIdOf } from '../support/meta-world.ts';
import { seededBytes } from '../support/splitmix64.ts';

const NAME = 'Acme/weather.v2';
const BRANCH = 'wip/Größe';
const LONG_LABEL = 'ä'.repeat(100);

const table = Buffer.from('station,day,degrees\n1,2026-01-01,3\n'.repeat(12_000));
const noise = seededBytes(1, 5_000_000);
const CONTENTS: readonly (readonly [string, Buffer])[] = [
  ['data/table.csv', table],
  ['data/table-2.csv', Buffer.concat([table, Buffer.from('2,2026-01-02,4\n')])],
  ['data/noise.bin', noise],
  ['data/noise-2.bin', Buffer.concat([noise.subarray(0, 2_000_000), noise.subarray(1_999_000)])],
  ['empty', Buffer.alloc(0)],
  ...Array.from({ length: 900 }, (_, n): [string, Buffer] => [`many/${n}`, Buffer.from(`${n}`)]),
];

/** All that a reader of the page keeps of a repo. */
interface ReadStore {
  readonly root: string;
  readonly containers: ReadonlyMap<string, Container>;
  readonly records: readonly (StoredRecord & { readonly segment: string })[];
}

function entriesOf(): Entry[] {
  const files = CONTENTS.map(
    ([path, bytes], index): Entry => ({
      path: path as RawPath,
      kind: 'lfs',
      executable: index === 0,
      oid: digestOf(bytes),
      sizeBytes: bytes.length,
    }),
  );
  const reference = 'data/table.csv';
  const link = { path: 'link' as RawPath, kind: 'symlink' as const, reference };
  return [
    ...files,
    { ...link, executable: false, oid: digestOf(reference), sizeBytes: reference.length },
    {
      ...{ path: 'caf\xe9' as RawPath, kind: 'submodule', executable: false, oid: null },
      ...{ sizeBytes: 0, reference: 'ab'.repeat(20) },
    },
  ];
}

async function fill(repository: DirectRepository): Promise<Digest> {
  // Enough pushes for a merge, and what no push put together comes in one.
  for (const [, bytes] of CONTENTS.slice(0, MERGE_SEGMENT_COUNT + 4)) {
    await repository.blobs.put(blobOf(bytes));
  }
  for await (const outcome of repository.blobs.putMany(
    CONTENTS.map(([, bytes]) => blobOf(bytes)),
  )) {
    expect(outcome).property('receipt');
  }
  const entries = entriesOf();
  const author = { name: 'Ada', mail: 'ada@example.org' };
  const { commit, commitObject } = createSyntheticCommit({
    ...{ message: 'a version', author, at: new Date(0), parents: [], treeLabel: '00' },
  });
  const rules = { recorder: 1, config: null };
  const recorded = await recordBundle(repository, {
    ...{ commit, commitObject, entries, rules, pointerExtensions: [] },
  });
  const { bundle, totals } = recorded;
  const pushId = pushIdOf('one');
  const ref = `refs/heads/${BRANCH}`;
  const shared = { ref, gitOld: null, bundle, totals, extraOids: null, missing: [], forced: false };
  const by = { pushedBy: 'ada', receipt: FREE_RECEIPT, remote: 'example.org/weather' };
  await repository.history.announce({
    ...{ ...by, pushId },
    refs: [{ ...shared, gitNew: commit }],
  });
  const move = { ...shared, ...by, pushId, gitNew: commit };
  expect(await repository.history.recordMove(move)).equal('recorded');
  await repository.history.setLabel(LONG_LABEL, bundle, 'ada');
  await repository.locks.lock({ path: 'data/table.csv', owner: 'ada', ref: null });
  await repository.history.settle(pushId, 'confirmed');
  await repository.close();
  return bundle;
}

/** §8: every segment of the repo but those replaced, and every pack of its pool. */
function readStore(root: string): ReadStore {
  const repo = join(root, 'repos', escapeSegment(NAME));
  const { pool } = openSealed(readFileSync(join(repo, 'repo.json')));
  const containers = new Map<string, Container>();
  const packs = join(root, 'pools', escapeSegment(pool), 'packs');
  for (const shard of readdirSync(packs)) {
    for (const id of readdirSync(join(packs, shard))) {
      expect(id.slice(0, 2)).equal(shard);
      containers.set(id, readContainer(readFileSync(join(packs, shard, id)), 1, id));
    }
  }
  const names = readdirSync(join(repo, 'segments'));
  for (const name of names) {
    const [, id = ''] = name.split('-');
    containers.set(id, readContainer(readFileSync(join(repo, 'segments', name)), 2, id));
  }
  const segments = names.map((name) => name.slice(2));
  const sectionsOf = (id: string) => containers.get(id)?.sections ?? new Map<number, Buffer>();
  const replaced = new Set(
    segments.flatMap((id) => readReplaced(sectionsOf(id).get(5) ?? Buffer.alloc(4))),
  );
  expect(replaced.size).equal(MERGE_SEGMENT_COUNT);
  const records = segments
    .filter((id) => !replaced.has(id))
    .flatMap((id) => readRecords(sectionsOf(id)).map((record) => ({ ...record, segment: id })));
  return { root, containers, records };
}

function framesOfRun(store: ReadStore, segment: string, run: Run): Frame[] {
  const container = store.containers.get(run.container?.id ?? segment);
  const frames: Frame[] = [];
  for (let at = run.offset; at < run.offset + run.storedLength; ) {
    const frame = container?.frames.get(at);
    if (frame === undefined) throw new Error(`no frame at ${at}`);
    frames.push(frame);
    at = frame.end;
  }
  expect(frames).length(run.frameCount);
  expect(frames.reduce((sum, { payload }) => sum + payload.length, 0)).equal(run.rawLength);
  return frames;
}

function framesOf(store: ReadStore, oid: string, kind: 1 | 2): Frame[] {
  const record = store.records.find((each) => each.oid === oid && each.kind === kind);
  if (record === undefined) throw new Error(`no record of ${oid}`);
  expect(record.state).equal(1);
  return record.runs.flatMap((run) => framesOfRun(store, record.segment, run));
}

function bytesOf(store: ReadStore, oid: string, kind: 1 | 2): Buffer {
  const bytes = Buffer.concat(framesOf(store, oid, kind).map(({ payload }) => payload));
  expect(digestOf(bytes)).equal(oid);
  return bytes;
}

function leavesOf(store: ReadStore, digest: string): Page[] {
  const page = readPage(bytesOf(store, digest, 2));
  if (page.level === 0) return [page];
  return page.children.flatMap((child) => {
    const leaves = leavesOf(store, child.digest);
    const files = leaves.flatMap(({ entries }) => entries);
    expect(files[0]?.path).equal(child.firstPath);
    expect(files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)).equal(child.sizeBytes);
    expect(files.filter(({ kind }) => kind !== 4 && kind !== 5)).length(child.fileCount);
    return leaves;
  });
}

describe('docs/format.md', () => {
  let root = '';
  let bundle = '' as Digest;
  before(async function () {
    this.timeout(60_000);
    root = mkdtempSync(join(tmpdir(), 'datamon-test-'));
    const name = parseRepoName(NAME);
    const create = { by: 'ada', remote: 'example.org/weather' };
    const backend = await openLocalBackend(root);
    bundle = await fill(await openRepository(backend, name, { create }));
  });

  after(() => rmSync(root, { recursive: true, force: true }));

  it('leads from a branch to its bundle, and through its pages to every file and byte', () => {
    const store = readStore(root);
    const repo = join(root, 'repos', escapeSegment(NAME));
    const [head] = readLog(join(repo, 'branches', escapeSegment(BRANCH)));
    expect(head?.event).include({ branch: BRANCH, bundle, gap: false });
    const text = readFileSync(join(repo, 'bundles', bundle));
    expect(digestOf(text)).equal(bundle);
    const { tree, totals } = JSON.parse(text.toString());
    const found = leavesOf(store, tree).flatMap(({ entries }) => entries);
    const expected = entriesOf().toSorted((a, b) => (a.path < b.path ? -1 : 1));
    expect(found.map(({ path }) => path)).deep.equal(expected.map(({ path }) => path));
    expect(totals.fileCount).equal(CONTENTS.length + 1);
    for (const [index, { path, kind, flags, oid, sizeBytes, reference }] of found.entries()) {
      const entry = expected[index] as Entry;
      expect({ oid, sizeBytes }, path).deep.equal({ oid: entry.oid, sizeBytes: entry.sizeBytes });
      expect(reference, path).equal(entry.reference ?? null);
      expect(kind).equal({ lfs: 1, symlink: 3, submodule: 4 }[entry.kind as 'lfs']);
      expect((flags & 1) === 1).equal(entry.executable);
      if (entry.kind !== 'lfs' || oid === null) continue;
      const content = CONTENTS.find(([name]) => name === path)?.[1];
      expect(bytesOf(store, oid, 1).equals(content ?? Buffer.from('?')), path).equal(true);
    }
  }).timeout(60_000);

  it('tells where files are cut, and what recipes say', () => {
    const store = readStore(root);
    const pool = openSealed(readFileSync(join(root, 'pools', escapeSegment('Acme'), 'pool.json')));
    const oid = digestOf(table);
    const chunks = framesOf(store, oid, 1);
    let end = 0;
    const ends = chunks.map(({ payload }) => {
      end += payload.length;
      return end;
    });
    expect(ends).deep.equal(cutPoints(table, pool));
    expect(ends.length).above(1);
    const recipes = [...store.containers.values()]
      .flatMap(({ frames }) => [...frames.values()])
      .filter(({ kind, payload }) => kind === 2 && payload.toString('hex', 8, 40) === oid);
    const recipe = recipes[0]?.payload ?? Buffer.alloc(0);
    expect(recipe.toString('latin1', 0, 5)).equal('DRCP\x01');
    expect(Number(recipe.readBigUInt64LE(40))).equal(table.length);
    expect([recipe.readUInt32LE(48), recipe.readUInt32LE(52)]).deep.equal([0, chunks.length]);
    for (const [index, { digest, payload }] of chunks.entries()) {
      const at = 56 + 36 * index;
      expect(recipe.toString('hex', at, at + 32)).equal(digest);
      expect(recipe.readUInt32LE(at + 32)).equal(payload.length);
    }
  }).timeout(60_000);

  it('tells the fields of every log and of pushes', () => {
    const repo = join(root, 'repos', escapeSegment(NAME));
    const [format] = readLog(join(root, 'format'));
    expect(format?.event).deep.equal({ version: 1, features: ['zstd'] });
    const section = fieldsOnPage('## 12. Events');
    const [branch] = readLog(join(repo, 'branches', escapeSegment(BRANCH)));
    const [label] = readLog(join(repo, 'labels', escapeSegment(LONG_LABEL)));
    const [lock] = readLog(join(repo, 'locks'));
    const push = join(repo, 'pending', pushIdOf('one'));
    const announced = openSealed(readFileSync(join(push, 'announced')));
    const done = openSealed(readFileSync(join(push, 'done')));
    expect(done).include({ outcome: 'confirmed' });
    expect(label?.event).include({ label: LONG_LABEL, bundle, tag: null });
    const [ref] = announced.refs;
    const events = [branch?.event, label?.event, lock?.event, announced, ref, done];
    for (const field of events.flatMap((event) => Object.keys(event))) {
      expect(section, 'the fields that docs/format.md names').include(field);
    }
  });
});

/** Words in code quotes of a section of the page. */
function fieldsOnPage(heading: string): ReadonlySet<string> {
  const page = readFileSync(new URL('../../docs/format.md', import.meta.url), 'utf8');
  const section = page.slice(page.indexOf(heading)).split('\n## ')[0] ?? '';
  const quoted = [...section.matchAll(/`([^`]+)`/g)].map(([, code]) => code ?? '');
  return new Set(quoted.flatMap((code) => code.match(/[A-Za-z]+/g) ?? []));
}
