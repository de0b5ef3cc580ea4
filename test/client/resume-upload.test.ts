/** An interrupted upload goes on where it was cut, by either door: what was stored in whole packs is not sent again, and the journal is only ever a hint. */
import { cp, readdir, readFile, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { openUploadJournal } from '../../client/upload-journal.ts';
import type { Backend } from '../../core/backend/backend.ts';
import { createMemoryBackend } from '../../core/backend/memory.ts';
import { createMeteredBackend, type MeteredBackend } from '../../core/backend/metered.ts';
import { collect } from '../../core/bytes.ts';
import type { BlobSource } from '../../core/cas/blob-store.ts';
import { digestOf } from '../../core/digest.ts';
import { DatamonError } from '../../core/errors.ts';
import { condemnedLog, parsePoolName, parseRepoName, type RepoName } from '../../core/keys.ts';
import { openLog } from '../../core/log.ts';
import type { Repository } from '../../core/meta/repository.ts';
import { openRepository } from '../../core/open-repository.ts';
import { secureRandom } from '../../core/random.ts';
import { openQuick, sourceOf } from '../support/api-world.ts';
import { codeOf, errorOf } from '../support/code-of.ts';
import { startRealServer } from '../support/real-server.ts';
import { seededBytes, splitmix64 } from '../support/splitmix64.ts';
import { makeTempDir } from '../support/temp-dir.ts';

const MIB = 1024 * 1024;
const REPO = parseRepoName('acme/weather');
const OTHER_REPO = parseRepoName('acme/tides');
const CREATE = { by: 'ada', remote: null };
/** Large enough that reuse from one after the other never counts as fragmented. */
const PACK = 2 * MIB;
/** Two packs on their way, one being filled. */
const PACKS_WINDOW = 3 * PACK;
/** Three batches of chunks that a server is asked about. */
const ASKED_WINDOW = 12 * MIB;
const SIZE = 26 * MIB;
const CUT = 24 * MIB;
const BYTES = seededBytes(31, SIZE);

/** A store behind one of the two doors, as one client after the other opens it. */
interface Door {
  /** What a cut loses at most. */
  readonly window: number;
  readonly metered: MeteredBackend;
  open(journalDir?: string, repo?: RepoName): Promise<Repository>;
  /** The process behind the door dies and comes back. */
  restart(secret?: string): Promise<void>;
}

async function directDoor(): Promise<Door> {
  const metered = createMeteredBackend(createMemoryBackend());
  const nowMs = (): number => Date.now();
  return {
    window: PACKS_WINDOW,
    metered,
    open: async (folder, repo = REPO) =>
      openRepository(metered.backend, repo, {
        create: CREATE,
        spoolDir: await makeTempDir(),
        packSizeMaxBytes: PACK,
        ...(folder !== undefined && {
          journal: openUploadJournal({
            folder,
            store: 'memory:',
            repo,
            random: secureRandom,
            nowMs,
          }),
        }),
      }),
    restart: () => Promise.resolve(),
  };
}

async function serverDoor(): Promise<Door> {
  const metered = createMeteredBackend(createMemoryBackend());
  let server = await startRealServer({ backend: metered.backend });
  return {
    window: PACKS_WINDOW + ASKED_WINDOW,
    metered,
    open: (journalDir, repo = REPO) =>
      openQuick(`${server.origin}/${repo}`, {
        create: CREATE,
        packSizeMaxBytes: PACK,
        ...(journalDir !== undefined && { journalDir }),
      }),
    restart: async (secret) => {
      if (secret === undefined) await server.restart();
      else server = await startRealServer({ backend: metered.backend, secret, port: server.port });
    },
  };
}

/** The file, until its reader dies. */
const cutSource = (bytes: Buffer, cut: number): BlobSource => ({
  ...sourceOf(bytes, 'data/big.bin'),
  async *open() {
    for (let at = 0; at < cut; at += 65_536) yield bytes.subarray(at, at + 65_536);
    throw new DatamonError('NO_SPACE', 'cut');
  },
});

async function interrupted(door: Door, journalDir: string): Promise<void> {
  const repository = await door.open(journalDir);
  expect(await codeOf(repository.blobs.put(cutSource(BYTES, CUT)))).to.equal('NO_SPACE');
  await repository.close();
}

const notes = async (folder: string): Promise<readonly string[]> =>
  (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

/** What a put of `bytes` sends, and what its receipt says. */
async function putAgain(door: Door, journalDir: string | undefined, bytes = BYTES) {
  const repository = await door.open(journalDir);
  const before = door.metered.counts().createdBytes;
  const receipt = await repository.blobs.put(sourceOf(bytes, 'data/big.bin'));
  await repository.close();
  const sentBytes = door.metered.counts().createdBytes - before;
  const fresh = await door.open();
  const back = await collect(fresh.blobs.get(digestOf(bytes)), bytes.length);
  expect(back.equals(bytes), 'what reads back').to.equal(true);
  return { receipt, sentBytes };
}

async function packKeys(backend: Backend): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of backend.list('pools/acme/packs/')) keys.push(key);
  return keys;
}

async function condemnAll(backend: Backend): Promise<void> {
  const prefix = condemnedLog(parsePoolName('acme'));
  const log = openLog({ backend, prefix, random: secureRandom, parse: (event) => event });
  const condemned = (await packKeys(backend)).map((key) => key.slice(-32));
  await log.update(() => ({ condemned }));
}

for (const [name, makeDoor] of [
  ['straight on a store', directDoor],
  ['through a server', serverDoor],
] as const) {
  describe(`resumed upload ${name}`, function () {
    this.timeout(20_000);
    let door: Door;
    let folder: string;

    beforeEach(async () => {
      door = await makeDoor();
      folder = await makeTempDir();
      await interrupted(door, folder);
      expect((await notes(folder)).length).to.be.at.least((CUT - door.window) / PACK);
    });

    it('sends only what was in no whole pack, says so, and forgets the notes', async () => {
      await door.restart();
      const { receipt, sentBytes } = await putAgain(door, folder);
      const restBytes = SIZE - CUT;
      expect(sentBytes).to.be.below(restBytes + door.window + 64 * 1024);
      expect(receipt.newBytes).to.equal(SIZE);
      expect(receipt.resumedBytes).to.be.within(CUT - door.window, CUT);
      expect(receipt.storedBytes).to.be.within(sentBytes - 64 * 1024, sentBytes + 64 * 1024);
      expect(await notes(folder)).to.deep.equal([]);
    });

    it('cut again and again at random, it sends each byte about once', async () => {
      const seed = Date.now() % 1_000_000;
      const random = splitmix64(seed);
      const before = door.metered.counts().createdBytes;
      const other = await makeTempDir();
      for (let cuts = 0; cuts < 4; cuts += 1) {
        const repository = await door.open(other, OTHER_REPO);
        const cut = Math.floor(random() * SIZE);
        await repository.blobs.put(cutSource(BYTES, cut)).catch(() => undefined);
        await repository.close();
      }
      const repository = await door.open(other, OTHER_REPO);
      await repository.blobs.put(sourceOf(BYTES));
      await repository.close();
      const stored = door.metered.counts().createdBytes - before;
      expect(stored, `seed ${seed}`).to.be.below(SIZE + 4 * PACK + 256 * 1024);
      const back = (await door.open(undefined, OTHER_REPO)).blobs.get(digestOf(BYTES));
      expect((await collect(back, SIZE)).equals(BYTES), `seed ${seed}`).to.equal(true);
    });

    it('without the journal everything is sent again, and is as right', async () => {
      await rm(folder, { recursive: true });
      const { receipt, sentBytes } = await putAgain(door, folder);
      expect(sentBytes).to.be.above(SIZE);
      expect(receipt.resumedBytes).to.equal(0);
    });

    it('notes that a crash left half-written count as none', async () => {
      const [first = '', second = '', third = '', ...rest] = await notes(folder);
      await truncate(first, 0);
      await truncate(second, 100);
      const damaged = await readFile(third);
      damaged.writeUInt8((damaged[200] ?? 0) ^ 1, 200);
      await writeFile(third, damaged);
      const { receipt } = await putAgain(door, folder);
      expect(receipt.resumedBytes).to.be.within(1, rest.length * PACK);
    });

    it('notes of another repo are not used, wherever they lie', async () => {
      const other = await makeTempDir();
      const repository = await door.open(other, OTHER_REPO);
      await repository.blobs.put(cutSource(BYTES, CUT)).catch(() => undefined);
      await repository.close();
      const [theirs = ''] = await readdir(other);
      const [ours = ''] = await readdir(folder);
      await rm(join(folder, ours), { recursive: true });
      await cp(join(other, theirs), join(folder, ours), { recursive: true });
      const { receipt } = await putAgain(door, folder);
      expect(receipt.resumedBytes).to.equal(0);
    });

    it('notes older than a ticket are not used, and go', async () => {
      const long = new Date(Date.now() - 15 * 24 * 60 * 60 * 1000);
      for (const path of await notes(folder)) await utimes(path, long, long);
      const { receipt } = await putAgain(door, folder);
      expect(receipt.resumedBytes).to.equal(0);
      expect(await notes(folder)).to.deep.equal([]);
    });

    it('packs that are gone are sent again', async () => {
      const { backend } = door.metered;
      for (const key of await packKeys(backend)) await backend.remove(key as never);
      const { receipt } = await putAgain(door, folder);
      expect(receipt.resumedBytes).to.equal(0);
    });

    it('condemned packs are sent again', async () => {
      await condemnAll(door.metered.backend);
      await door.restart();
      const { receipt, sentBytes } = await putAgain(door, folder);
      expect(receipt.resumedBytes).to.equal(0);
      expect(sentBytes).to.be.above(SIZE);
    });

    it('a file changed between the attempts reuses its own chunks, and its digest decides', async () => {
      const changed = Buffer.concat([BYTES.subarray(0, 4 * MIB), seededBytes(32, 2 * MIB)]);
      const { receipt } = await putAgain(door, folder, changed);
      expect(receipt.resumedBytes).to.be.within(3 * MIB, 4 * MIB);
    });

    it('a file that is not what was announced is refused by its name', async () => {
      const repository = await door.open(folder);
      const wrong = { ...sourceOf(BYTES, 'data/big.bin'), oid: digestOf('other') };
      const error = await errorOf(repository.blobs.put(wrong));
      expect(error.code).to.equal('MISMATCH');
      expect(error.message).to.contain('data/big.bin');
      expect((await repository.blobs.has([digestOf('other')])).size).to.equal(0);
    });

    it('the same process goes on too', async () => {
      const other = await makeTempDir();
      const repository = await door.open(other, OTHER_REPO);
      await repository.blobs.put(cutSource(BYTES, CUT)).catch(() => undefined);
      const receipt = await repository.blobs.put(sourceOf(BYTES));
      expect(receipt.resumedBytes).to.be.within(CUT - door.window, CUT);
      expect(receipt.newBytes).to.equal(SIZE);
      await repository.close();
      expect(await notes(other)).to.deep.equal([]);
    });
  });
}

describe('resumed upload and tickets', function () {
  this.timeout(20_000);

  it('a server with another secret refuses the tickets: everything is sent again', async () => {
    const door = await serverDoor();
    const folder = await makeTempDir();
    await interrupted(door, folder);
    await door.restart('another secret of more than thirty-two bytes');
    const { receipt, sentBytes } = await putAgain(door, folder);
    expect(receipt.resumedBytes).to.equal(0);
    expect(receipt.newBytes).to.equal(SIZE);
    expect(sentBytes).to.be.above(SIZE);
    expect(await notes(folder)).to.deep.equal([]);
  });
});
