/** A whole store checked from the store alone: sound ones pass, each kind of damage is told by key, path, bundle and what to run. */
import { expect } from 'chai';
import { createReadOnlyBackend } from '../../../core/backend/read-only.ts';
import { type Digest, digestOf } from '../../../core/digest.ts';
import type { Key } from '../../../core/keys.ts';
import type { RecordedBundle } from '../../../core/meta/record.ts';
import type { Finding } from '../../../core/scrub/finding.ts';
import { Scrub, type ScrubOptions } from '../../../core/scrub/scrub.ts';
import { withBitFlipped } from '../../support/cas-containers.ts';
import { listAll } from '../../support/meta-world.ts';
import { makeScrubWorld, type ScrubWorld } from '../../support/scrub-world.ts';
import { seededBytes } from '../../support/splitmix64.ts';

const MIB = 1024 * 1024;
const SMALL = seededBytes(1, 3000);
const BIG = seededBytes(2, 5 * MIB);
const NEAR = seededBytes(3, 200_000);
const REPO = 'repos/acme%2Fweather';
const RUN = 'datamon fsck memory: --repair';

async function check(world: ScrubWorld, options: Partial<ScrubOptions> = {}): Promise<Finding[]> {
  const backend = createReadOnlyBackend(world.backend);
  return listAll(new Scrub({ backend, ...options }).findings());
}

const damages = (found: readonly Finding[]): Finding[] =>
  found.filter(({ severity }) => severity === 'damage');

/** The one thing that is wrong. */
async function soleDamage(world: ScrubWorld): Promise<Finding> {
  const found = damages(await check(world));
  expect(found.map(({ message }) => message)).to.have.length(1);
  return found[0] as Finding;
}

const paths = ({ files }: Finding): string[] => files.map(({ path }) => path).sort();

describe('core/scrub/scrub', function () {
  this.timeout(30_000);
  let world: ScrubWorld;
  let first: RecordedBundle;
  let second: RecordedBundle;

  beforeEach(async () => {
    world = await makeScrubWorld();
    first = await world.push({ 'small.bin': SMALL });
    second = await world.push({ 'small.bin': SMALL, 'data/big.bin': BIG, 'data/near.bin': NEAR });
    const repository = await world.open();
    await repository.history.setLabel('best', second.bundle, 'ada');
    await repository.locks.lock({ path: 'small.bin', owner: 'ada', ref: null });
    await repository.close();
  });

  const one = async (prefix: string): Promise<Key> => {
    const keys = await world.keys(prefix);
    expect(keys.length, prefix).to.be.greaterThan(0);
    return keys[0] as Key;
  };
  const pack = (): Promise<Key> => one('pools/acme/packs/');
  const flip = async (key: Key, at: number): Promise<void> =>
    world.replace(key, withBitFlipped(await world.read(key), at * 8));
  /** The segment that inlines these bytes. */
  const segmentOf = async (oid: Digest): Promise<Key> => {
    for (const key of await world.keys(`${REPO}/segments/`)) {
      const at = (await world.read(key)).indexOf(Buffer.from(oid, 'hex'));
      // The digest in the header of its first frame.
      if (at === 64 + 20) return key;
    }
    throw new Error(`no segment inlines ${oid}`);
  };

  it('finds nothing wrong with a sound store, and writes nothing', async () => {
    const before = await world.keys('');
    expect(await check(world)).to.deep.equal([]);
    expect(await world.keys('')).to.deep.equal(before);
  });

  it('says that there is no store where there is none', async () => {
    const empty = await makeScrubWorld();
    expect(await check(empty).catch((error: Error) => error.message)).to.contain(
      'no datamon store',
    );
  });

  describe('containers', () => {
    it('a bit in a frame of a pack: tells the file, its bundle and branch, and keeps what else is in it', async () => {
      const key = await pack();
      await flip(key, 2 * MIB);
      const found = await soleDamage(world);
      expect(found).to.include({ kind: 'container', state: 'damaged', key, lostCount: 1 });
      expect(found.message)
        .to.contain(key)
        .and.match(/at byte \d+/);
      expect(paths(found)).to.deep.equal(['data/big.bin']);
      expect(found.files[0]).to.include({ oid: digestOf(BIG), sizeBytes: BIG.length });
      expect(found.bundles).to.deep.equal([
        {
          bundle: second.bundle,
          commit: second.descriptor.commit,
          names: ['main #2', 'label best'],
        },
      ]);
      expect(found.meaning).to.equal('1 file cannot be read back now.');
      expect(found.hint).to.contain(RUN).and.contain('--from DIR');
    });

    it('a bit in a pack’s tables or trailer: every file still reads, nothing is lost', async () => {
      const key = await pack();
      const whole = await world.read(key);
      for (const at of [whole.length - 200, whole.length - 20]) {
        await world.replace(key, withBitFlipped(whole, at * 8));
        const found = await soleDamage(world);
        expect(found).to.include({ key, state: 'damaged', fileCount: 0 });
        expect(found.meaning).to.contain('Nothing is lost');
        expect(found.hint).to.equal(RUN);
      }
    });

    it('a bit in a pack’s header', async () => {
      await flip(await pack(), 3);
      expect((await soleDamage(world)).message).to.contain('no intact container header');
    });

    it('a pack cut short: files in the part that is left still read', async () => {
      const key = await pack();
      await world.replace(key, (await world.read(key)).subarray(0, 3 * MIB));
      const found = await soleDamage(world);
      expect(found).to.include({ key, state: 'damaged' });
      expect(paths(found)).to.include('data/big.bin');
    });

    it('a pack of zeros, and one that is empty', async () => {
      const key = await pack();
      const { length } = await world.read(key);
      for (const bytes of [Buffer.alloc(length), Buffer.alloc(0)]) {
        await world.replace(key, bytes);
        const found = await soleDamage(world);
        expect(paths(found)).to.deep.equal(['data/big.bin', 'data/near.bin']);
      }
    });

    it('a pack that is missing', async () => {
      const key = await pack();
      await world.replace(key, null);
      const found = await soleDamage(world);
      expect(found).to.include({ key, state: 'missing', lostCount: 2 });
      expect(found.message).to.equal(`the pack ${key} is missing`);
      expect(found.meaning).to.equal('2 files cannot be read back now.');
    });

    it('two packs that changed places', async () => {
      await world.push({ 'other.bin': seededBytes(9, 5 * MIB) });
      const [a, b] = (await world.keys('pools/acme/packs/')) as [Key, Key];
      const [bytesOfA, bytesOfB] = [await world.read(a), await world.read(b)];
      await world.replace(a, bytesOfB);
      await world.replace(b, bytesOfA);
      const found = damages(await check(world));
      expect(found.map(({ key }) => key)).to.have.members([a, b]);
      expect(found.flatMap(paths)).to.have.members(['data/big.bin', 'data/near.bin', 'other.bin']);
    });

    it('a segment whose tables are damaged: what it held is told by the bundles that list it', async () => {
      const key = await segmentOf(digestOf(SMALL));
      const { length } = await world.read(key);
      await flip(key, length - 150);
      const found = await soleDamage(world);
      expect(found).to.include({ key, kind: 'container', state: 'damaged', repo: 'acme/weather' });
      expect(paths(found)).to.deep.equal(['small.bin']);
      expect(found.bundles.map(({ bundle }) => bundle)).to.have.members([
        first.bundle,
        second.bundle,
      ]);
    });

    it('a segment with a damaged frame', async () => {
      const key = await segmentOf(digestOf(SMALL));
      await flip(key, 64 + 64 + 100);
      expect(paths(await soleDamage(world))).to.deep.equal(['small.bin']);
    });

    it('a segment that is missing: the files are told, and one of the bundles', async () => {
      await world.replace(await segmentOf(digestOf(SMALL)), null);
      const found = await soleDamage(world);
      expect(found).to.include({ kind: 'absent', state: 'missing', lostCount: 1 });
      expect(found.key).to.equal(`${REPO}/bundles/${found.bundles[0]?.bundle}`);
      expect(paths(found)).to.deep.equal(['small.bin']);
      expect(found.hint).to.contain(RUN);
    });

    it('a missing tree page is told as the list it is', async () => {
      await world.replace(await segmentOf(second.descriptor.tree), null);
      const found = await soleDamage(world);
      expect(paths(found)).to.deep.equal(['the list of all files']);
      expect(found.meaning).to.equal('1 list of files cannot be read back now.');
      expect(found.hint).to.equal(`In a clone that has these commits: ${RUN}`);
      expect(found.bundles.map(({ bundle }) => bundle)).to.deep.equal([second.bundle]);
    });

    it('a damaged pack of a file that is stored twice: nothing is lost', async () => {
      const key = await pack();
      await flip(key, 2 * MIB);
      const repository = await world.open();
      await repository.blobs.has([digestOf(BIG)]);
      await listAll(repository.blobs.get(digestOf(BIG))).catch(() => {});
      const [source] = [{ oid: digestOf(BIG), sizeBytes: BIG.length }];
      await repository.blobs.put({
        ...source,
        async *open() {
          yield BIG;
        },
      });
      await repository.close();
      const found = await soleDamage(world);
      expect(found.files).to.deep.equal([
        {
          kind: 'blob',
          path: 'data/big.bin',
          oid: digestOf(BIG),
          sizeBytes: BIG.length,
          served: true,
        },
      ]);
      expect(found).to.include({ lostCount: 0, hint: RUN });
      expect(found.meaning).to.contain('another copy');
    });
  });

  describe('logs, bundles and descriptions', () => {
    it('the newest entry of a branch', async () => {
      const key = await one(`${REPO}/branches/main/`);
      await flip(key, 30);
      const found = await soleDamage(world);
      expect(found).to.include({ kind: 'log', state: 'damaged', key });
      expect(found.meaning).to.contain('branch main cannot be read or written');
      expect(found.hint).to.contain('replica').and.contain('backup');
    });

    it('an entry missing from the middle of a log', async () => {
      await world.push({ 'small.bin': NEAR });
      const [, key] = await world.keys(`${REPO}/branches/main/`);
      await world.replace(key as Key, null);
      const found = await soleDamage(world);
      expect(found).to.include({ kind: 'log', state: 'missing', key });
      expect(found.message).to.contain('entry 2 is missing');
    });

    it('the first entry missing', async () => {
      const [, key] = await world.keys(`${REPO}/branches/main/`);
      await world.replace(key as Key, null);
      expect((await soleDamage(world)).message).to.contain('entry 1 is missing');
    });

    it('an entry that is intact and not the one its follower follows', async () => {
      const other = await makeScrubWorld();
      await other.push({ 'small.bin': NEAR });
      const [, key] = await world.keys(`${REPO}/branches/main/`);
      const [foreign] = await other.keys(`${REPO}/branches/main/`);
      await world.replace(key as Key, await other.read(foreign as Key));
      const found = damages(await check(world)).filter(({ kind }) => kind === 'log');
      expect(found.map(({ message }) => message).join()).to.contain('not the entry that entry 2');
    });

    it('a damaged bundle and a missing one name commit and branch', async () => {
      const key = `${REPO}/bundles/${second.bundle}` as Key;
      await flip(key, 10);
      const damaged = await soleDamage(world);
      expect(damaged).to.include({ kind: 'bundle', state: 'damaged', key });
      await world.replace(key, null);
      const missing = await soleDamage(world);
      expect(missing).to.include({ kind: 'bundle', state: 'missing', key });
      for (const found of [damaged, missing]) {
        expect(found.bundles[0]?.names).to.deep.equal(['main #2', 'label best']);
        expect(found.hint).to.contain(second.descriptor.commit.slice(0, 12)).and.contain(RUN);
      }
    });

    it('pool.json and repo.json, damaged and missing, while the rest is checked all the same', async () => {
      for (const key of ['pools/acme/pool.json', `${REPO}/repo.json`] as Key[]) {
        const bytes = await world.read(key);
        await flip(key, 20);
        expect(await soleDamage(world)).to.include({ kind: 'description', state: 'damaged', key });
        await world.replace(key, null);
        expect(await soleDamage(world)).to.include({ kind: 'description', state: 'missing', key });
        await world.replace(key, bytes);
      }
      await world.replace('pools/acme/pool.json' as Key, null);
      await world.replace(await pack(), null);
      expect(damages(await check(world))).to.have.length(2);
    });

    it('the format log', async () => {
      await world.replace(await one('format/'), null);
      expect(await soleDamage(world)).to.include({ kind: 'log', state: 'missing' });
    });
  });

  describe('notes', () => {
    it('files that a push said it did not bring; damage once another push listed them as brought', async () => {
      const late = seededBytes(31, 4000);
      await world.push({ 'small.bin': SMALL, 'late.bin': late }, { missing: ['late.bin'] });
      const incomplete = await check(world);
      expect(damages(incomplete)).to.deep.equal([]);
      expect(incomplete.map(({ severity, kind }) => [severity, kind])).to.deep.equal([
        ['note', 'absent'],
      ]);
      expect(incomplete[0]?.message).to.contain('1 file').and.contain('their push said so');
      await world.push({ 'small.bin': SMALL, 'late.bin': late, 'n.bin': NEAR });
      expect(await check(world)).to.deep.equal([]);
      await world.replace(await segmentOf(digestOf(late)), null);
      const lost = damages(await check(world));
      expect(lost.flatMap(paths)).to.include('late.bin');
    });

    it('a foreign file, an orphan pack, an old push: notes, not damage', async () => {
      await world.replace('notes/todo.txt' as Key, Buffer.from('hi'));
      const other = await makeScrubWorld();
      await other.push({ 'other.bin': seededBytes(7, 5 * MIB) });
      const [orphan] = await other.keys('pools/acme/packs/');
      await world.replace(orphan as Key, await other.read(orphan as Key));
      const found = await check(world);
      expect(damages(found)).to.deep.equal([]);
      expect(found.map(({ kind, key }) => [kind, key])).to.deep.equal([
        ['orphan', orphan],
        ['foreign', 'notes/todo.txt'],
      ]);
    });
  });
});
