/** One object proved by key and bytes: whole ones pass, every single bit that is turned over is found, and so is what lies in a wrong place. */
import { expect } from 'chai';
import { bytesBody } from '../../../core/backend/backend.ts';
import { createMemoryBackend } from '../../../core/backend/memory.ts';
import { digestOf } from '../../../core/digest.ts';
import { sealJson } from '../../../core/json.ts';
import { kindOfKey } from '../../../core/key-kind.ts';
import type { Key } from '../../../core/keys.ts';
import { proveObject } from '../../../core/scrub/prove-object.ts';
import { frameOf, makeContainer, storeContainer } from '../../support/cas-containers.ts';
import { codeOf } from '../../support/code-of.ts';
import { createFaultyBackend, FaultPlan } from '../../support/faulty-backend.ts';
import { flipEveryBit } from '../../support/flip-bits.ts';
import { FREE_RECEIPT, pushIdOf, REMOTE } from '../../support/meta-world.ts';
import { makeScrubWorld, type ScrubWorld } from '../../support/scrub-world.ts';
import { seededBytes } from '../../support/splitmix64.ts';

const PAYLOADS = [Buffer.from('compressible '.repeat(20)), seededBytes(1, 200), Buffer.alloc(0)];

/** Larger ones are for soak programs. */
const SMALL_SIZE_BYTES = 3000;

async function smallPack() {
  const made = await makeContainer({ frames: PAYLOADS.map((payload) => frameOf(payload)) });
  return { made, ...(await storeContainer(made.bytes, made)) };
}

describe('core/scrub/prove-object', function () {
  this.timeout(30_000);
  let world: ScrubWorld;

  before(async () => {
    world = await makeScrubWorld();
    const { bundle } = await world.push({
      'a.bin': seededBytes(1, 300),
      'b.txt': Buffer.from('b'),
    });
    await world.push({ 'big.bin': seededBytes(2, 5 * 1024 * 1024) });
    const repository = await world.open();
    await repository.history.setLabel('best', bundle, 'ada');
    await repository.locks.lock({ path: 'a.bin', owner: 'ada', ref: null });
    const announced = { ref: 'refs/heads/main', gitOld: null, gitNew: 'a'.repeat(40), bundle };
    await repository.history.announce({
      pushId: pushIdOf('open'),
      remote: REMOTE,
      refs: [
        {
          ...announced,
          gitNew: announced.gitNew as never,
          totals: { fileCount: 1, sizeBytes: 1 },
          extraOids: null,
          missing: [],
          forced: false,
        },
      ],
      pushedBy: 'Ada',
      receipt: FREE_RECEIPT,
    });
    await repository.history.settle(pushIdOf('open'), 'abandoned');
    await repository.close();
  });

  it('finds every object of a whole store sound, each kind by its key', async () => {
    const kinds = new Set<string>();
    for (const key of await world.keys('')) {
      const proof = await proveObject(world.backend, key);
      expect(proof.verdict, `${key}: ${proof.flaws[0]?.message}`).to.equal('sound');
      kinds.add(proof.kind.kind === 'log' ? proof.kind.log : proof.kind.kind);
    }
    expect([...kinds]).to.have.members([
      'format',
      'pool',
      'pack',
      'repo',
      'segment',
      'bundle',
      'commits',
      'branches',
      'labels',
      'locks',
      'pending',
    ]);
  });

  it('finds every bit of a pack that is turned over', async () => {
    const { backend, key, made } = await smallPack();
    const { flipped, unseen } = await flipEveryBit(backend, key);
    expect(flipped).to.equal(made.bytes.length * 8);
    expect(unseen).to.deep.equal([]);
  });

  it('finds every bit of a segment with pages and records, of a bundle and of log entries', async () => {
    const wanted = [
      'repos/acme%2Fweather/segments/',
      'repos/acme%2Fweather/bundles/',
      'repos/acme%2Fweather/branches/',
      'repos/acme%2Fweather/commits/',
      'repos/acme%2Fweather/labels/',
      'repos/acme%2Fweather/locks/',
      'repos/acme%2Fweather/pending/',
      'repos/acme%2Fweather/repo.json',
      'pools/acme/pool.json',
      'format/',
    ];
    for (const prefix of wanted) {
      let count = 0;
      for (const key of await world.keys(prefix)) {
        if ((await world.read(key)).length > SMALL_SIZE_BYTES) continue;
        const { unseen } = await flipEveryBit(world.backend, key);
        expect(unseen, key).to.deep.equal([]);
        count += 1;
      }
      expect(count, prefix).to.be.greaterThan(prefix.includes('segments') ? 2 : 0);
    }
  });

  it('tells which frame is damaged and keeps the others', async () => {
    const { backend, key, made } = await smallPack();
    const second = made.frames[1];
    const bytes = Buffer.from(made.bytes);
    const at = (second?.offset ?? 0) + 70;
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    await backend.remove(key);
    await backend.putIfAbsent(key, bytesBody(bytes));
    const { verdict, flaws, intact } = await proveObject(backend, key);
    expect(verdict).to.equal('damaged');
    expect(flaws.map(({ part }) => part)).to.deep.equal(['frame', 'whole']);
    expect(flaws[0]?.offset).to.equal(second?.offset);
    const covered = made.frames.map(({ offset, storedLength }) =>
      intact?.covers(offset, offset + 64 + storedLength),
    );
    expect(covered).to.deep.equal([true, false, true]);
  });

  it('keeps the frames of a pack whose tables are gone', async () => {
    const { backend, key, made } = await smallPack();
    await backend.remove(key);
    await backend.putIfAbsent(key, bytesBody(made.bytes.subarray(0, made.bytes.length - 40)));
    const { flaws, intact } = await proveObject(backend, key);
    expect(flaws.map(({ part }) => part)).to.deep.equal(['tables']);
    expect(intact?.covers(64, made.trailer.tablesOffset)).to.equal(true);
  });

  it('finds containers that are empty, zeroed, or stand under another id', async () => {
    const { backend, key, made } = await smallPack();
    const other = key.replace(/.{4}$/, made.id.endsWith('0000') ? '1111' : '0000') as Key;
    await backend.putIfAbsent(other, bytesBody(made.bytes));
    expect((await proveObject(backend, other)).flaws[0]?.message).to.contain(made.id);
    for (const bytes of [Buffer.alloc(0), Buffer.alloc(made.bytes.length)]) {
      await backend.remove(key);
      await backend.putIfAbsent(key, bytesBody(bytes));
      expect((await proveObject(backend, key)).verdict).to.equal('damaged');
    }
  });

  it('finds intact entries that stand at another number, another branch or another repo', async () => {
    const backend = createMemoryBackend();
    const [entry] = await world.keys('repos/acme%2Fweather/branches/main/');
    const bytes = await world.read(entry as Key);
    for (const place of [
      (entry as Key).replace(/7$/, '5'),
      (entry as Key).replace('/main/', '/dev/'),
    ]) {
      await backend.putIfAbsent(place as Key, bytesBody(bytes));
      expect((await proveObject(backend, place as Key)).verdict, place).to.equal('damaged');
    }
    const moved = 'repos/acme%2Fother/repo.json' as Key;
    await backend.putIfAbsent(
      moved,
      bytesBody(await world.read('repos/acme%2Fweather/repo.json' as Key)),
    );
    expect((await proveObject(backend, moved)).verdict).to.equal('damaged');
  });

  it('says of what is sealed well and makes no sense that it is damaged, of later formats that they are newer', async () => {
    const backend = createMemoryBackend();
    const entry = (event: object) =>
      sealJson({ n: 1, previous: null, nonce: '0', event: event as never });
    const first = '999999999998';
    const log = `repos/acme%2Fweather/branches/main/${first}` as Key;
    await backend.putIfAbsent(log, bytesBody(entry({ branch: 'main' })));
    expect((await proveObject(backend, log)).verdict).to.equal('damaged');
    const format = `format/${first}` as Key;
    await backend.putIfAbsent(format, bytesBody(entry({ version: 2, features: [] })));
    expect((await proveObject(backend, format)).verdict).to.equal('newer');
  });

  it('tells foreign objects and absent ones, and fails where the store does', async () => {
    const backend = createMemoryBackend();
    for (const key of ['notes.txt', 'pools/acme/packs/00/zz', 'repos/a/branches/main/1']) {
      await backend.putIfAbsent(key as Key, bytesBody(Buffer.from('hi')));
      expect((await proveObject(backend, key as Key)).verdict, key).to.equal('foreign');
    }
    const absent = `repos/a/bundles/${digestOf('x')}` as Key;
    expect((await proveObject(backend, absent)).verdict).to.equal('missing');
    const failing = createFaultyBackend(world.backend, new FaultPlan().fail('get', 1));
    const [bundle] = await world.keys('repos/acme%2Fweather/bundles/');
    expect(await codeOf(proveObject(failing, bundle as Key))).to.equal('UNAVAILABLE');
  });

  it('reads kinds back from keys', () => {
    expect(kindOfKey('repos/acme%2Fweather/branches/a%2Fb/999999999998')).to.deep.equal({
      kind: 'log',
      log: 'branches',
      prefix: 'repos/acme%2Fweather/branches/a%2Fb/',
      n: 1,
      owner: 'acme%2Fweather',
      name: 'a%2Fb',
    });
    const id = 'ab'.repeat(16);
    expect(kindOfKey(`pools/acme/packs/ab/${id}`)).to.deep.equal({
      kind: 'pack',
      pool: 'acme',
      id,
    });
    expect(kindOfKey(`pools/acme/packs/ac/${id}`).kind).to.equal('foreign');
  });
});
