/** Repair: what reads is copied out, what lies about is found again, the rest comes from outside; then a scrub finds nothing, and every byte is back. */
import { expect } from 'chai';
import { createReadOnlyBackend } from '../../../core/backend/read-only.ts';
import { collect } from '../../../core/bytes.ts';
import { type Digest, digestOf } from '../../../core/digest.ts';
import { DatamonError } from '../../../core/errors.ts';
import type { Key } from '../../../core/keys.ts';
import type { RecordedBundle } from '../../../core/meta/record.ts';
import { buildTree, sortEntries } from '../../../core/meta/tree-builder.ts';
import { entries } from '../../../core/meta/tree-reader.ts';
import { secureRandom } from '../../../core/random.ts';
import type { Finding } from '../../../core/scrub/finding.ts';
import type { RepairAction, RepairSources } from '../../../core/scrub/remake.ts';
import { healFromReplicas, repair } from '../../../core/scrub/repair.ts';
import { Scrub } from '../../../core/scrub/scrub.ts';
import { withBitFlipped } from '../../support/cas-containers.ts';
import { codeOf } from '../../support/code-of.ts';
import { listAll } from '../../support/meta-world.ts';
import {
  entriesOf,
  type Files,
  makeScrubWorld,
  type ScrubWorld,
} from '../../support/scrub-world.ts';
import { seededBytes } from '../../support/splitmix64.ts';

const MIB = 1024 * 1024;
const SMALL = seededBytes(1, 3000);
const BIG = seededBytes(2, 5 * MIB);
const NEAR = seededBytes(3, 200_000);
const FIRST: Files = { 'small.bin': SMALL };
const SECOND: Files = { 'small.bin': SMALL, 'data/big.bin': BIG, 'data/near.bin': NEAR };
const NOTHING: RepairSources = {
  name: 'nowhere',
  file: async () => null,
  bundle: async () => null,
};

/** A clone that has these files. */
const cloneWith = (files: Files): RepairSources => ({
  ...NOTHING,
  name: 'a clone',
  file: async (oid) => {
    const bytes = Object.values(files).find((each) => digestOf(each) === oid);
    if (bytes === undefined) return null;
    return async function* () {
      yield bytes;
    };
  },
});

async function scrubbed(world: ScrubWorld): Promise<{ scrub: Scrub; findings: Finding[] }> {
  const scrub = new Scrub({ backend: createReadOnlyBackend(world.backend) });
  const findings = await listAll(scrub.findings());
  return { scrub, findings };
}

const damages = async (world: ScrubWorld): Promise<Finding[]> =>
  (await scrubbed(world)).findings.filter(({ severity }) => severity === 'damage');

async function repaired(
  world: ScrubWorld,
  sources = NOTHING,
  signal?: AbortSignal,
): Promise<RepairAction[]> {
  const scrub = new Scrub({ backend: world.backend });
  const findings = await listAll(scrub.findings());
  const { spoolDir } = world;
  return await listAll(
    repair({
      scrub,
      findings,
      sources,
      spoolDir,
      random: secureRandom,
      by: 'ada',
      ...(signal ? { signal } : {}),
    }),
  );
}

const did = (actions: readonly RepairAction[]): string[] => actions.map((action) => action.did);

describe('core/scrub/repair', function () {
  this.timeout(60_000);
  let world: ScrubWorld;
  let second: RecordedBundle;

  beforeEach(async () => {
    world = await makeScrubWorld();
    await world.push(FIRST);
    second = await world.push(SECOND);
  });

  /** Everything the newest version lists reads back, byte for byte; then also once condemned containers are gone. */
  const expectWhole = async (files: Files = SECOND): Promise<void> => {
    expect((await damages(world)).map(({ message }) => message)).to.deep.equal([]);
    const repository = await world.open();
    const { tree } = await repository.history.getBundle(second.bundle);
    expect(
      (await listAll(entries(repository.pages, tree))).map(({ path }) => path),
    ).to.have.members(Object.keys(files));
    for (const [path, bytes] of Object.entries(files)) {
      const back = await collect(repository.blobs.get(digestOf(bytes)), Number.MAX_SAFE_INTEGER);
      expect(back.equals(bytes), path).to.equal(true);
      expect((await repository.blobs.has([digestOf(bytes)])).size, path).to.equal(1);
    }
    await repository.close();
  };
  const pack = async (): Promise<Key> => (await world.keys('pools/acme/packs/'))[0] as Key;
  const flip = async (key: Key, at: number): Promise<void> =>
    world.replace(key, withBitFlipped(await world.read(key), at * 8));
  const segmentOf = async (oid: Digest): Promise<Key> => {
    for (const key of await world.keys('repos/acme%2Fweather/segments/')) {
      if ((await world.read(key)).indexOf(Buffer.from(oid, 'hex')) === 84) return key;
    }
    throw new Error(`no segment inlines ${oid}`);
  };
  /** The segment that only points into the pack. */
  const packedSegment = async (): Promise<Key> => {
    for (const key of await world.keys('repos/acme%2Fweather/segments/')) {
      const bytes = await world.read(key);
      const id = (await pack()).slice(-32);
      if (bytes.indexOf(Buffer.from(id, 'hex')) > 0) return key;
    }
    throw new Error('no segment points into the pack');
  };

  it('damaged tables: all is copied out, nothing comes from outside', async () => {
    const key = await pack();
    await flip(key, (await world.read(key)).length - 200);
    expect(did(await repaired(world))).to.deep.equal(['copied out', 'condemned']);
    await expectWhole();
    await world.replace(key, null);
    await expectWhole();
  });

  it('a damaged frame: the neighbour is copied out, the file itself sent again from a clone', async () => {
    const key = await pack();
    await flip(key, 2 * MIB);
    const actions = await repaired(world, cloneWith({ 'any name': BIG }));
    expect(did(actions)).to.deep.equal(['copied out', 'sent again', 'condemned']);
    expect(actions[1]?.message).to.contain('stored 1 file of acme/weather').and.contain('a clone');
    await world.replace(key, null);
    await expectWhole();
  });

  it('without a clone that has the file the pack is kept, and the rest is safe; a second run with one heals', async () => {
    const key = await pack();
    await flip(key, 2 * MIB);
    expect(did(await repaired(world))).to.deep.equal(['copied out']);
    const left = await damages(world);
    expect(left).to.have.length(1);
    expect(left[0]).to.include({ key, lostCount: 1 });
    expect(did(await repaired(world))).to.deep.equal([]);
    expect(did(await repaired(world, cloneWith(SECOND)))).to.deep.equal([
      'sent again',
      'condemned',
    ]);
    await expectWhole();
  });

  for (const [name, damage] of Object.entries({
    'a missing pack': () => null,
    'a zeroed pack': (bytes: Buffer) => Buffer.alloc(bytes.length),
    'a pack cut short': (bytes: Buffer) => bytes.subarray(0, 3 * MIB),
    'an empty pack': () => Buffer.alloc(0),
  })) {
    it(`${name}: files come from a clone`, async () => {
      const key = await pack();
      await world.replace(key, damage(await world.read(key)));
      expect(did(await repaired(world, cloneWith(SECOND)))).to.include('sent again');
      await expectWhole();
    });
  }

  it('a file from outside that is not what it should be is refused', async () => {
    await world.replace(await pack(), null);
    const liar: RepairSources = {
      ...NOTHING,
      file: async () =>
        async function* () {
          yield Buffer.from('something else');
        },
    };
    expect(did(await repaired(world, liar))).to.deep.equal([]);
    expect(await damages(world)).to.have.length(1);
  });

  it('a lost segment over a pack: records are found again by recipe, and no byte is stored twice', async () => {
    await world.replace(await packedSegment(), null);
    expect(await damages(world)).to.have.length(1);
    const before = (await world.keys('pools/acme/packs/')).length;
    expect(did(await repaired(world))).to.deep.equal(['rebuilt']);
    expect(await world.keys('pools/acme/packs/')).to.have.length(before);
    await expectWhole();
  });

  it('a segment with damaged tables: its inlined frames are found again by their mark', async () => {
    const key = await segmentOf(digestOf(SMALL));
    await flip(key, (await world.read(key)).length - 150);
    expect(did(await repaired(world))).to.deep.equal(['rebuilt', 'condemned']);
    await world.replace(key, null);
    await expectWhole();
  });

  it('a segment of pages with damaged tables', async () => {
    const key = await segmentOf(second.descriptor.tree);
    await flip(key, (await world.read(key)).length - 150);
    expect(did(await repaired(world))).to.deep.equal(['rebuilt', 'condemned']);
    await expectWhole();
  });

  it('finds again only what bundles of the repo name and its pushes did bring: the pool’s other files are nobody’s', async () => {
    const secrets: Files = { 'listed.bin': seededBytes(77, 5 * MIB), 'other.bin': NEAR };
    await world.push(secrets, { repo: 'acme/secret' });
    const listing = { 'listed.bin': secrets['listed.bin'] as Buffer };
    await world.push({ ...FIRST, ...listing }, { missing: ['listed.bin'] });
    await world.replace(await segmentOf(digestOf(SMALL)), null);
    await repaired(world, cloneWith(FIRST));
    const repository = await world.open();
    expect((await repository.blobs.has([digestOf(SMALL)])).size).to.equal(1);
    expect((await repository.blobs.has([digestOf(secrets['listed.bin'] as Buffer)])).size).to.equal(
      0,
    );
    await repository.close();
  });

  it('two packs that changed places: all is found where it lies', async () => {
    const other = seededBytes(9, 5 * MIB);
    await world.push({ ...SECOND, 'other.bin': other });
    const [a, b] = (await world.keys('pools/acme/packs/')) as [Key, Key];
    const [bytesOfA, bytesOfB] = [await world.read(a), await world.read(b)];
    await world.replace(a, bytesOfB);
    await world.replace(b, bytesOfA);
    expect(did(await repaired(world))).to.deep.equal(['rebuilt', 'condemned', 'condemned']);
    await world.replace(a, null);
    await world.replace(b, null);
    await expectWhole();
  });

  it('of two repos of a pool the one that is healed lets its pack go, the other one keeps its own', async () => {
    const theirs = seededBytes(8, 5 * MIB);
    const [mine] = await world.keys('pools/acme/packs/');
    await world.push({ 'theirs.bin': theirs }, { repo: 'acme/theirs' });
    const other = (await world.keys('pools/acme/packs/')).find((key) => key !== mine);
    for (const key of [mine, other]) await flip(key as Key, 2 * MIB);
    const actions = await repaired(world, cloneWith(SECOND));
    const condemned = actions.filter((action) => action.did === 'condemned');
    expect(condemned.map(({ key }) => key)).to.deep.equal([mine]);
    expect((await damages(world)).map(({ key }) => key)).to.deep.equal([other]);
  });

  it('killed before any of its writes, run again it heals all the same', async () => {
    for (let nth = 1; ; nth += 1) {
      let writes = Number.POSITIVE_INFINITY;
      const dying = await makeScrubWorld((backend) => ({
        ...backend,
        putIfAbsent: async (key, body) => {
          writes -= 1;
          if (writes <= 0) throw new DatamonError('NO_SPACE', 'the process is gone');
          return backend.putIfAbsent(key, body);
        },
      }));
      for (const key of await world.keys('')) await dying.replace(key, await world.read(key));
      const [key] = await dying.keys('pools/acme/packs/');
      await dying.replace(key as Key, withBitFlipped(await dying.read(key as Key), 16 * MIB));
      writes = nth;
      const done = await repaired(dying, cloneWith(SECOND)).then(
        () => true,
        () => false,
      );
      const isWhole = done && writes > 0;
      writes = Number.POSITIVE_INFINITY;
      await repaired(dying, cloneWith(SECOND));
      expect(await damages(dying), `write ${nth}`).to.deep.equal([]);
      if (isWhole) {
        expect(nth).to.be.greaterThan(3);
        return;
      }
    }
  });

  describe('from git', () => {
    const git = (files: Files, commit: string): RepairSources => ({
      ...cloneWith(SECOND),
      bundle: async (asked) => {
        if (asked !== commit) return null;
        const { pages } = await buildTree(sortEntries(entriesOf(files)));
        return { descriptor: second.descriptor, pages: pages.map(({ bytes }) => bytes) };
      },
    });

    it('a damaged bundle gives way to the same one made again', async () => {
      const key = `repos/acme%2Fweather/bundles/${second.bundle}` as Key;
      const whole = await world.read(key);
      await flip(key, 30);
      expect(did(await repaired(world))).to.deep.equal([]);
      const actions = await repaired(world, git(SECOND, second.descriptor.commit));
      expect(did(actions)).to.deep.equal(['made from git']);
      expect((await world.read(key)).equals(whole)).to.equal(true);
      await expectWhole();
    });

    it('missing pages are made again', async () => {
      await world.replace(await segmentOf(second.descriptor.tree), null);
      await repaired(world, git(SECOND, second.descriptor.commit));
      await expectWhole();
    });

    it('another bundle is no replacement', async () => {
      const key = `repos/acme%2Fweather/bundles/${second.bundle}` as Key;
      await world.replace(key, null);
      const other: RepairSources = {
        ...NOTHING,
        bundle: async () => ({
          descriptor: { ...second.descriptor, rules: { recorder: 2, config: null } },
          pages: [],
        }),
      };
      const actions = await repaired(world, other);
      expect(did(actions)).to.deep.equal(['left']);
      expect(actions[0]?.message).to.contain('another bundle now');
      expect(await world.keys(key)).to.deep.equal([]);
    });
  });

  it('log entries, pool.json and repo.json are left, and said to be', async () => {
    const [head] = await world.keys('repos/acme%2Fweather/branches/main/');
    await flip(head as Key, 30);
    expect(did(await repaired(world, cloneWith(SECOND)))).to.deep.equal([]);
    expect((await damages(world)).map(({ key }) => key)).to.deep.equal([head]);
    await flip('pools/acme/pool.json' as Key, 10);
    const actions = await repaired(world, cloneWith(SECOND));
    expect(did(actions)).to.deep.equal(['left']);
    expect(actions[0]?.message).to.contain('repo acme/weather was left as it is');
  });

  it('asks the replicas for everything that is damaged', async () => {
    const key = await pack();
    const whole = await world.read(key);
    await flip(key, 1000);
    const { findings } = await scrubbed(world);
    const asked: Key[] = [];
    const replicated = {
      ...world.backend,
      heal: async (each: Key) => {
        asked.push(each);
        await world.replace(each, whole);
        return 'healed' as const;
      },
    };
    const actions = await listAll(healFromReplicas(replicated, findings));
    expect(did(actions)).to.deep.equal(['healed']);
    expect(asked).to.deep.equal([key]);
    await expectWhole();
    expect(await listAll(healFromReplicas(world.backend, findings))).to.deep.equal([]);
  });

  it('stopped, it says so, and leaves a store that another run heals', async () => {
    await world.replace(await pack(), null);
    const stopped = AbortSignal.abort();
    expect(await codeOf(repaired(world, cloneWith(SECOND), stopped))).to.equal('CANCELLED');
    await repaired(world, cloneWith(SECOND));
    await expectWhole();
  });
});
