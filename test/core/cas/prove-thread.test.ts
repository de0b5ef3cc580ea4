/** Packs proved beside the main thread: intact ones are stored as they came, others refused with the words of the plain way, early. */
import { readdir } from 'node:fs/promises';
import { expect } from 'chai';
import { collect } from '../../../core/bytes.ts';
import { OPEN_PACK_LACKS_BYTES } from '../../../core/cas/container-format.ts';
import { THREAD_PROOF_SIZE_MIN_BYTES } from '../../../core/cas/prove-thread.ts';
import type { DatamonError } from '../../../core/errors.ts';
import { switchOffFastPaths } from '../../../core/fast-paths.ts';
import type { Key } from '../../../core/keys.ts';
import { frameOf, makeContainer, streamOf, withBitFlipped } from '../../support/cas-containers.ts';
import { listed, makeCasWorld } from '../../support/cas-world.ts';
import { seededBytes } from '../../support/splitmix64.ts';

const SLICE_SIZE_BYTES = 65_536;

describe('proving packs beside the main thread', function () {
  this.timeout(60_000);
  afterEach(() => switchOffFastPaths(process.env));

  const made = async () => {
    const frames = [frameOf(Buffer.alloc(300_000, 'compressible '))];
    for (let seed = 1; seed <= 4; seed += 1) frames.push(frameOf(seededBytes(seed, 1_600_000)));
    frames.push(frameOf(seededBytes(5, 1)));
    const pack = await makeContainer({ frames });
    expect(pack.bytes.length).above(THREAD_PROOF_SIZE_MIN_BYTES);
    return pack;
  };

  it('takes an intact one, whose frames lie across blocks', async () => {
    const pack = await made();
    const { stores, backend, spoolDir } = await makeCasWorld();
    const { length } = pack.bytes;
    const accept = () =>
      stores.ingest.acceptPack({
        id: pack.id,
        stream: streamOf(pack.bytes, SLICE_SIZE_BYTES),
        sizeBytes: length,
        form: 'sealed',
      });
    const accepted = await Promise.all([accept(), accept()]);
    for (const { frameCount } of accepted) expect(frameCount).equal(pack.frames.length);
    const [found] = await listed(backend, 'pools/');
    expect((await collect(backend.get(found?.key as Key), 2 * length)).equals(pack.bytes)).equal(
      true,
    );
    expect(await readdir(spoolDir)).deep.equal([]);
  });

  it('takes an open one, and stores what the sealed one would be', async () => {
    const pack = await made();
    const { stores, backend } = await makeCasWorld();
    const { length } = pack.bytes;
    const stream = streamOf(pack.bytes.subarray(0, -OPEN_PACK_LACKS_BYTES), SLICE_SIZE_BYTES);
    await stores.ingest.acceptPack({ id: pack.id, stream, sizeBytes: length, form: 'open' });
    const [found] = await listed(backend, 'pools/');
    const stored = await collect(backend.get(found?.key as Key), 2 * length);
    expect(stored.equals(pack.bytes)).equal(true);
  });

  it('refuses what is damaged, too long or too short, as the plain way does, and takes the next', async () => {
    const pack = await made();
    const { length } = pack.bytes;
    const places = [0, 30, 5_000_000, 6_390_000, length - 200, length - 100, length - 1];
    const offers = places.map((at) => withBitFlipped(pack.bytes, at * 8));
    offers.push(pack.bytes.subarray(0, length - 1), Buffer.concat([pack.bytes, Buffer.of(0)]));
    const { stores, backend, spoolDir } = await makeCasWorld();
    const accept = (bytes: Uint8Array) =>
      stores.ingest
        .acceptPack({
          id: pack.id,
          stream: streamOf(bytes, SLICE_SIZE_BYTES),
          sizeBytes: length,
          form: 'sealed',
        })
        .then(
          () => 'taken',
          ({ code, message }: DatamonError) => `${code} ${message}`,
        );
    for (const [index, bytes] of offers.entries()) {
      switchOffFastPaths({ DATAMON_FAST_PATHS_OFF: 'prove-thread' });
      const plain = await accept(bytes);
      switchOffFastPaths({});
      expect(await accept(bytes), `offer ${index}`)
        .equal(plain)
        .match(/^INVALID/);
    }
    expect(await listed(backend, '')).deep.equal([]);
    expect(await readdir(spoolDir)).deep.equal([]);
    expect(await accept(pack.bytes)).equal('taken');
  });

  it('asks for no more of a pack whose beginning is a lie', async () => {
    const pack = await made();
    const { stores } = await makeCasWorld();
    let givenBytes = 0;
    const counted = async function* () {
      for await (const bytes of streamOf(withBitFlipped(pack.bytes, 0), SLICE_SIZE_BYTES)) {
        givenBytes += bytes.length;
        yield bytes;
      }
    };
    switchOffFastPaths({});
    const taking = stores.ingest.acceptPack({
      id: pack.id,
      stream: counted(),
      sizeBytes: pack.bytes.length,
      form: 'sealed',
    });
    expect(await taking.catch(({ code }: DatamonError) => code)).equal('INVALID');
    expect(givenBytes).below(pack.bytes.length / 2);
  });
});
