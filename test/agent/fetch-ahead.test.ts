/** Fetching ahead: each file once and whole, never more than may lie there, nothing left, and never in the way of what is asked for. */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { createFetchAhead, type FetchAhead } from '../../agent/fetch-ahead.ts';
import type { DownloadRequest } from '../../agent/messages.ts';
import type { BatchAccess, Route, Routes } from '../../agent/routes.ts';
import type { Transfers } from '../../agent/session.ts';
import { createTempFiles } from '../../agent/temp-files.ts';
import { createTransfers } from '../../agent/transfer.ts';
import { type Digest, digestOf } from '../../core/digest.ts';
import { DatamonError } from '../../core/errors.ts';
import { type ObjectStream, STREAMED_SIZE_MAX_BYTES } from '../../core/meta/object-stream.ts';
import { secureRandom } from '../../core/random.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { type PlannedBlobs, plannedBlobs } from './support/blobs.ts';

const HREF = 'https://d.example/r/objects/x';
const FILES = ['a', 'bb', 'ccc', 'dddd'];

describe('agent/fetch-ahead', () => {
  let folder: string;
  let blobs: PlannedBlobs;
  let logged: string[];
  let stop: AbortController;
  let token: string;
  let openings: string[];

  beforeEach(async () => {
    folder = await makeTempDir();
    blobs = plannedBlobs();
    for (const file of FILES) blobs.add(file);
    logged = [];
    stop = new AbortController();
    token = 'one';
    openings = [];
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const temps = (): Promise<string[]> => readdir(join(folder, 'datamon')).catch(() => []);

  interface World {
    readonly members?: readonly string[];
    /** What the stream brings; all members unless told otherwise. */
    readonly objects?: () => AsyncIterable<{ readonly oid: Digest; readonly bytes: Uint8Array }>;
    readonly open?: (batch: BatchAccess) => Promise<ObjectStream | null>;
    readonly sizeMaxBytes?: number;
  }

  async function* streamOf(...contents: readonly string[]) {
    for (const content of contents) yield { oid: digestOf(content), bytes: Buffer.from(content) };
  }

  function transfers(world: World = {}): Transfers {
    const members = world.members ?? FILES;
    const stream = (): ObjectStream => ({
      members: members.map((content) => ({ oid: digestOf(content), size: content.length })),
      objects: world.objects?.() ?? streamOf(...members),
    });
    const routes: Routes = {
      openStandalone: async () => undefined,
      find: async (): Promise<Route> => ({
        kind: 'datamon',
        blobs,
        batch: { repoUrl: 'https://d.example/r', token },
      }),
      fallback: () => null,
      close: async () => undefined,
    };
    const log = (text: string): void => void logged.push(text);
    return createTransfers({
      routes,
      temps: async () =>
        createTempFiles({
          lfsDirectory: folder,
          pidSpace: '0123abcd',
          pid: 7,
          sharedMode: null,
          random: secureRandom,
        }),
      pauses: { sleep: async () => undefined, random: () => 0 },
      log,
      stallMs: 60_000,
      fetchAhead: (opened): FetchAhead =>
        createFetchAhead({
          open: async (batch) => {
            openings.push(batch.token ?? '');
            return world.open === undefined ? stream() : await world.open(batch);
          },
          temps: opened,
          signal: stop.signal,
          log,
          ...(world.sizeMaxBytes !== undefined && { sizeMaxBytes: world.sizeMaxBytes }),
        }),
    });
  }

  const requestOf = (content: string, sizeBytes = content.length): DownloadRequest => ({
    event: 'download',
    oid: digestOf(content),
    sizeBytes,
    action: { href: HREF, header: {} },
  });

  async function get(from: Transfers, content: string): Promise<string> {
    const options = { signal: stop.signal, onProgress: () => undefined };
    const path = await from.download(requestOf(content), options);
    expect(await readFile(path, 'utf8')).to.equal(content);
    return path;
  }

  it('brings a whole batch with one request, and hands over each file once', async () => {
    const agent = transfers();
    const paths = [];
    for (const content of FILES) paths.push(await get(agent, content));
    expect(new Set(paths).size).to.equal(FILES.length);
    expect(openings).to.deep.equal(['one']);
    expect(blobs.reads).to.deep.equal([]);
    expect(await get(agent, 'a')).to.not.equal(paths[0]);
    expect(blobs.reads).to.have.length(1);
    await agent.close();
    expect(await temps()).to.have.length(FILES.length + 1);
  });

  it('gives what is asked for out of order, and all at once', async () => {
    const agent = transfers();
    await get(agent, 'dddd');
    await Promise.all(['ccc', 'a', 'bb'].map((content) => get(agent, content)));
    expect(blobs.reads).to.deep.equal([]);
  });

  it('downloads alone what the stream leaves out, and what was not announced', async () => {
    const agent = transfers({ members: ['a', 'bb'], objects: () => streamOf('bb', 'never asked') });
    await get(agent, 'a');
    await get(agent, 'bb');
    await get(agent, 'ccc');
    expect(blobs.reads).to.have.length(2);
    await agent.close();
    expect(await temps()).to.have.length(3);
  });

  it('downloads alone what a broken stream did not bring, and names what fails then', async () => {
    const broken = async function* () {
      yield* streamOf('a');
      throw new DatamonError('UNAVAILABLE', 'cut off');
    };
    const agent = transfers({ objects: broken });
    await get(agent, 'bb');
    expect(await get(agent, 'a')).to.be.a('string');
    expect(blobs.reads).to.have.length(1);
    expect(logged.join()).to.include('cut off');
    blobs.stored.delete(digestOf('ccc'));
    const error: unknown = await get(agent, 'ccc').catch((thrown: unknown) => thrown);
    expect((error as DatamonError).message).to.include(digestOf('ccc'));
    expect((error as DatamonError).code).to.equal('NOT_FOUND');
  });

  for (const [what, open] of [
    ['does not tell', async () => null],
    [
      'does not answer',
      async () => {
        throw new DatamonError('UNAVAILABLE', 'silent');
      },
    ],
  ] as const) {
    it(`goes one by one where the server ${what}, and asks once`, async () => {
      const agent = transfers({ open });
      for (const content of FILES) await get(agent, content);
      expect(openings).to.deep.equal(['one']);
      expect(blobs.reads).to.have.length(FILES.length);
    });
  }

  it('asks nothing for a large object', async () => {
    const large = 'x'.repeat(STREAMED_SIZE_MAX_BYTES + 1);
    blobs.add(large);
    await get(transfers(), large);
    expect(openings).to.deep.equal([]);
  });

  it('keeps no more than its bound, and goes on with the next batch once that was taken', async () => {
    let given = 0;
    const objects = async function* () {
      for await (const object of streamOf(...FILES)) {
        given += 1;
        yield object;
      }
    };
    const agent = transfers({ objects, sizeMaxBytes: 3 });
    await get(agent, 'dddd');
    expect(given).to.equal(3);
    expect(logged.join()).to.include('nothing more ahead');
    expect(blobs.reads).to.have.length(1);
    await get(agent, 'a');
    await get(agent, 'bb');
    expect(blobs.reads).to.have.length(1);
    token = 'two';
    await get(agent, 'a');
    expect(blobs.reads).to.have.length(1);
  });

  it('removes what was never asked for, two batches later and at the end', async () => {
    const agent = transfers();
    for (const next of ['one', 'two', 'three']) {
      token = next;
      await get(agent, 'a');
    }
    await agent.close();
    expect(await temps()).to.have.length(3);
    expect(openings).to.deep.equal(['one', 'two', 'three']);
    token = 'one';
    await get(agent, 'bb');
    expect(openings).to.have.length(3);
  });

  it('leaves nothing when stopped in the middle of a stream', async () => {
    const waiting = async function* () {
      yield* streamOf('a', 'bb');
      await new Promise((resolve) => stop.signal.addEventListener('abort', resolve));
      yield* streamOf('ccc');
    };
    const agent = transfers({ objects: waiting });
    const path = await get(agent, 'a');
    const asked = get(agent, 'dddd').catch((thrown: unknown) => thrown);
    stop.abort();
    expect(((await asked) as DatamonError).code).to.equal('CANCELLED');
    await agent.close();
    expect(await temps()).to.deep.equal([path.split('/').at(-1)]);
  });

  it('says so where the LFS folder cannot be written, for the object that was asked for', async () => {
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'datamon'), 'a file in the way');
    const error: unknown = await get(transfers(), 'a').catch((thrown: unknown) => thrown);
    expect((error as DatamonError).code).to.equal('UNSUPPORTED');
    expect((error as DatamonError).message).to.include(join(folder, 'datamon'));
  });

  it('does not hand over a file of another size than git-lfs expects', async () => {
    const options = { signal: stop.signal, onProgress: () => undefined };
    const agent = transfers();
    const work = agent.download(requestOf('bb', 9), options);
    const error: unknown = await work.catch((thrown: unknown) => thrown);
    expect((error as DatamonError).code).to.equal('CORRUPT');
    await agent.close();
    expect(await temps()).to.deep.equal([]);
  });
});
