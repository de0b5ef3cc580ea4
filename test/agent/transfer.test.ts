/** One object up or down: what fails leaves nothing behind, what breaks off goes on where it stopped. */
import { appendFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { sweepTempFiles } from '../../agent/leftovers.ts';
import type { Action, DownloadRequest, UploadRequest } from '../../agent/messages.ts';
import type { Route, Routes } from '../../agent/routes.ts';
import { createTempFiles, KEPT_SIZE_MIN_BYTES } from '../../agent/temp-files.ts';
import { createTransfers } from '../../agent/transfer.ts';
import { type Digest, digestOf } from '../../core/digest.ts';
import { DatamonError, type ErrorCode } from '../../core/errors.ts';
import { secureRandom } from '../../core/random.ts';
import { seededBytes } from '../support/splitmix64.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { type PlannedBlobs, plannedBlobs } from './support/blobs.ts';

const CONTENT = 'The quick brown fox jumps over the lazy dog, and then some more of it.';

describe('agent/transfer', () => {
  let folder: string;
  let blobs: PlannedBlobs;
  let logged: string[];
  let progress: number[];
  let stop: AbortController;

  beforeEach(async () => {
    folder = await makeTempDir();
    blobs = plannedBlobs();
    logged = [];
    progress = [];
    stop = new AbortController();
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const directRoutes = (): Routes => ({
    openStandalone: async () => undefined,
    find: async (): Promise<Route> => ({ kind: 'datamon', blobs, batch: null }),
    fallback: () => null,
    close: async () => undefined,
  });

  const transfers = (routes: Routes = directRoutes(), stallMs = 60_000) =>
    createTransfers({
      routes,
      temps: async () => {
        const place = { lfsDirectory: folder, pidSpace: '0123abcd' };
        const isAlive = (pid: number) => pid === 7;
        const { leftovers } = await sweepTempFiles({ ...place, isAlive, nowMs: Date.now() });
        return createTempFiles({
          ...place,
          pid: 7,
          sharedMode: null,
          random: secureRandom,
          leftovers,
        });
      },
      pauses: { sleep: async () => undefined, random: () => 0 },
      log: (text) => logged.push(text),
      stallMs,
    });

  const options = () => ({
    signal: stop.signal,
    onProgress: (bytes: number) => void progress.push(bytes),
  });

  const temps = (): Promise<string[]> => readdir(join(folder, 'datamon')).catch(() => []);

  async function uploadOf(content: string, name = 'file'): Promise<UploadRequest> {
    const path = join(folder, name);
    await writeFile(path, content);
    const oid = digestOf(content);
    return { event: 'upload', oid, sizeBytes: Buffer.byteLength(content), path, action: null };
  }

  const downloadOf = (oid: Digest, sizeBytes = CONTENT.length): DownloadRequest => ({
    event: 'download',
    oid,
    sizeBytes,
    action: null,
  });

  async function failure(work: Promise<unknown>, code: ErrorCode): Promise<DatamonError> {
    const error: unknown = await work.then(
      () => null,
      (thrown: unknown) => thrown,
    );
    expect(error).to.be.instanceOf(DatamonError);
    expect((error as DatamonError).code).to.equal(code);
    return error as DatamonError;
  }

  describe('upload', () => {
    it('stores the file and reports progress', async () => {
      await transfers().upload(await uploadOf(CONTENT), options());
      expect(blobs.stored.get(digestOf(CONTENT))?.toString()).to.equal(CONTENT);
      expect(progress.at(-1)).to.equal(CONTENT.length);
    });

    it('stores an empty file', async () => {
      await transfers().upload(await uploadOf(''), options());
      expect(blobs.stored.has(digestOf(''))).to.equal(true);
    });

    it('reads nothing of an object the repo holds', async () => {
      blobs.add(CONTENT);
      await transfers().upload(await uploadOf(CONTENT), options());
      expect(blobs.puts).to.deep.equal([]);
    });

    it('names a file that is gone, and records nothing', async () => {
      const request = { ...(await uploadOf(CONTENT)), path: join(folder, 'gone') };
      const error = await failure(transfers().upload(request, options()), 'MISMATCH');
      expect(error.message).to.include(join(folder, 'gone'));
      expect(blobs.puts).to.deep.equal([]);
    });

    it('names a file that has grown', async () => {
      const request = await uploadOf(CONTENT);
      await appendFile(request.path, 'x');
      const error = await failure(transfers().upload(request, options()), 'MISMATCH');
      expect(error.message).to.include(request.path);
      expect(blobs.stored.size).to.equal(0);
    });

    it('notices content of the same length that changed, before its last byte is passed on', async () => {
      const request = await uploadOf(CONTENT);
      await writeFile(request.path, CONTENT.toUpperCase());
      const error = await failure(transfers().upload(request, options()), 'MISMATCH');
      expect(error.message).to.include('nothing was recorded');
      expect(blobs.stored.size).to.equal(0);
    });

    it('notices a file that gets shorter while it is read', async () => {
      const request = await uploadOf('x'.repeat(300 * 1024));
      const shrinking: PlannedBlobs = {
        ...blobs,
        put: async (source) => {
          const pieces = source.open()[Symbol.asyncIterator]();
          await pieces.next();
          await writeFile(request.path, '');
          await pieces.next();
          throw new Error('not reached');
        },
      };
      const routes = {
        ...directRoutes(),
        find: async () => ({ kind: 'datamon', blobs: shrinking, batch: null }) as Route,
      };
      const error = await failure(transfers(routes).upload(request, options()), 'MISMATCH');
      expect(error.message).to.include('shorter');
    });

    it('goes on with a file whose name is taken away meanwhile', async () => {
      const request = await uploadOf(CONTENT);
      const pruned: Routes = {
        ...directRoutes(),
        find: async () => {
          await rm(request.path);
          return { kind: 'datamon', blobs, batch: null };
        },
      };
      await transfers(pruned).upload(request, options());
      expect(blobs.stored.size).to.equal(1);
    });

    it('tries again where it may pass, and says so in the log', async () => {
      blobs.putErrors.push(new DatamonError('UNAVAILABLE', 'busy'));
      await transfers().upload(await uploadOf(CONTENT), options());
      expect(blobs.puts).to.have.length(2);
      expect(logged.join()).to.include('busy');
    });

    it('does not try again where it will not pass', async () => {
      blobs.putErrors.push(new DatamonError('NO_SPACE', 'full'));
      await failure(transfers().upload(await uploadOf(CONTENT), options()), 'NO_SPACE');
      expect(blobs.puts).to.have.length(1);
    });

    it('gives up after a bounded number of attempts', async () => {
      for (let n = 0; n < 50; n += 1) blobs.putErrors.push(new DatamonError('UNAVAILABLE', 'busy'));
      await failure(transfers().upload(await uploadOf(CONTENT), options()), 'UNAVAILABLE');
      expect(blobs.puts.length).to.be.below(10);
    });

    it('ends when stopped though the store never answers', async () => {
      const silent: PlannedBlobs = { ...blobs, put: () => new Promise(() => undefined) };
      const routes = {
        ...directRoutes(),
        find: async () => ({ kind: 'datamon', blobs: silent, batch: null }) as Route,
      };
      const work = transfers(routes).upload(await uploadOf(CONTENT), options());
      setImmediate(() => stop.abort());
      await failure(work, 'CANCELLED');
    });

    it('ends when nothing moves for too long', async () => {
      const silent: PlannedBlobs = { ...blobs, put: () => new Promise(() => undefined) };
      const routes = {
        ...directRoutes(),
        find: async () => ({ kind: 'datamon', blobs: silent, batch: null }) as Route,
      };
      const work = transfers(routes, 20).upload(await uploadOf(CONTENT), options());
      expect((await failure(work, 'UNAVAILABLE')).message).to.include('nothing moved');
    });
  });

  describe('download', () => {
    it('hands back a file of its own with the right bytes, on the file system of the LFS store', async () => {
      const oid = blobs.add(CONTENT);
      const path = await transfers().download(downloadOf(oid), options());
      expect(path).to.match(
        new RegExp(`^${folder}/datamon/${oid}-datamon-7-0123abcd[0-9a-f]{8}\\.part$`),
      );
      expect(await readFile(path, 'utf8')).to.equal(CONTENT);
      expect(progress.at(-1)).to.equal(CONTENT.length);
    });

    it('never hands out one file twice', async () => {
      const oid = blobs.add(CONTENT);
      const both = transfers();
      const paths = await Promise.all([
        both.download(downloadOf(oid), options()),
        both.download(downloadOf(oid), options()),
      ]);
      expect(new Set(paths).size).to.equal(2);
    });

    it('serves an empty object', async () => {
      const oid = blobs.add('');
      const path = await transfers().download(downloadOf(oid, 0), options());
      expect(await readFile(path)).to.have.length(0);
    });

    it('leaves a finished file alone when everything is closed', async () => {
      const opened = transfers();
      const path = await opened.download(downloadOf(blobs.add(CONTENT)), options());
      await opened.close();
      expect(await readFile(path, 'utf8')).to.equal(CONTENT);
    });

    const failures: Readonly<Record<string, readonly [() => DownloadRequest, ErrorCode]>> = {
      'an object the repo has not': [() => downloadOf(digestOf('other')), 'NOT_FOUND'],
      'an object that is shorter than announced': [
        () => downloadOf(blobs.add(CONTENT), CONTENT.length + 1),
        'CORRUPT',
      ],
      'an object that is longer than announced': [
        () => downloadOf(blobs.add(CONTENT), CONTENT.length - 1),
        'CORRUPT',
      ],
      'an object with other bytes': [
        () => {
          blobs.stored.set(digestOf(CONTENT), Buffer.from(CONTENT.toUpperCase()));
          return downloadOf(digestOf(CONTENT));
        },
        'CORRUPT',
      ],
    };
    for (const [name, [request, code]] of Object.entries(failures)) {
      it(`leaves nothing of ${name}, and says what to do`, async () => {
        const error = await failure(transfers().download(request(), options()), code);
        expect(error.hint).to.be.a('string');
        expect(await temps()).to.deep.equal([]);
      });
    }

    it('goes on where it broke off, and counts no byte twice', async () => {
      const oid = blobs.add(CONTENT);
      blobs.breaks.push(30, 20);
      const path = await transfers().download(downloadOf(oid), options());
      expect(await readFile(path, 'utf8')).to.equal(CONTENT);
      expect(blobs.reads).to.deep.equal([0, 30, 50]);
      expect(progress).to.deep.equal([...progress].sort((a, b) => a - b));
    });

    it('survives any number of breaks as long as each attempt gets further', async () => {
      const oid = blobs.add(CONTENT);
      for (let n = 0; n < 6; n += 1) blobs.breaks.push(10);
      const path = await transfers().download(downloadOf(oid), options());
      expect(await readFile(path, 'utf8')).to.equal(CONTENT);
    });

    it('gives up where no attempt gets further, and leaves nothing', async () => {
      const oid = blobs.add(CONTENT);
      for (let n = 0; n < 100; n += 1) blobs.breaks.push(0);
      await failure(transfers().download(downloadOf(oid), options()), 'UNAVAILABLE');
      expect(blobs.reads.length).to.be.below(10);
      expect(await temps()).to.deep.equal([]);
    });

    describe('that was interrupted before', () => {
      const LARGE = seededBytes(5, 3 * KEPT_SIZE_MIN_BYTES);
      const KEPT = 2 * KEPT_SIZE_MIN_BYTES;

      /** The beginning that a killed process left. */
      async function leftOf(beginning: Uint8Array): Promise<void> {
        await mkdir(join(folder, 'datamon'), { recursive: true });
        const name = `${digestOf(LARGE)}-datamon-99-0123abcdffffffff.part`;
        await writeFile(join(folder, 'datamon', name), beginning);
      }

      async function get(): Promise<Buffer> {
        const oid = blobs.add(LARGE);
        return readFile(await transfers().download(downloadOf(oid, LARGE.length), options()));
      }

      it('goes on at the byte the file ends with, by a file of its own', async () => {
        await leftOf(LARGE.subarray(0, KEPT));
        expect((await get()).equals(LARGE)).to.equal(true);
        expect(blobs.reads).to.deep.equal([KEPT]);
        expect(await temps()).to.have.length(1);
        expect(progress).to.deep.equal([...progress].sort((a, b) => a - b));
      });

      it('asks for nothing where all of it came', async () => {
        await leftOf(LARGE);
        expect((await get()).equals(LARGE)).to.equal(true);
        expect(blobs.reads).to.deep.equal([]);
      });

      it('begins anew, once, where the beginning was damaged', async () => {
        const damaged = Buffer.from(LARGE.subarray(0, KEPT));
        damaged.fill(0, KEPT - 4096);
        await leftOf(damaged);
        expect((await get()).equals(LARGE)).to.equal(true);
        expect(blobs.reads).to.deep.equal([KEPT, 0]);
      });

      it('begins anew where more was left than the object has', async () => {
        await leftOf(Buffer.concat([LARGE, Buffer.from('more')]));
        expect((await get()).equals(LARGE)).to.equal(true);
        expect(blobs.reads).to.deep.equal([0]);
      });

      it('is left for the next one where it is stopped again, in this process too', async () => {
        const oid = blobs.add(LARGE);
        const same = transfers();
        const work = same.download(downloadOf(oid, LARGE.length), {
          signal: stop.signal,
          onProgress: (bytes) => bytes > KEPT && stop.abort(),
        });
        await failure(work, 'CANCELLED');
        expect(await temps()).to.have.length(1);
        stop = new AbortController();
        const path = await same.download(downloadOf(oid, LARGE.length), options());
        expect((await readFile(path)).equals(LARGE)).to.equal(true);
        expect(blobs.reads.at(-1)).to.be.at.least(KEPT);
        expect(await temps()).to.have.length(1);
      });

      it('one of two processes takes the beginning, the other a new file', async () => {
        await leftOf(LARGE.subarray(0, KEPT));
        const oid = blobs.add(LARGE);
        const [first, second] = [transfers(), transfers()];
        const paths = await Promise.all(
          [first, second].map((each) => each.download(downloadOf(oid, LARGE.length), options())),
        );
        expect(new Set(paths).size).to.equal(2);
        for (const path of paths) expect((await readFile(path)).equals(LARGE)).to.equal(true);
        expect(blobs.reads.filter((start) => start === KEPT)).to.have.length(1);
      });
    });

    it('leaves nothing when stopped in the middle', async () => {
      const oid = blobs.add(CONTENT);
      const work = transfers().download(downloadOf(oid), {
        signal: stop.signal,
        onProgress: () => stop.abort(),
      });
      await failure(work, 'CANCELLED');
      expect(await temps()).to.deep.equal([]);
    });

    it('says so where the LFS folder cannot be written', async () => {
      await writeFile(join(folder, 'datamon'), 'a file in the way');
      const oid = blobs.add(CONTENT);
      const error = await failure(transfers().download(downloadOf(oid), options()), 'UNSUPPORTED');
      expect(error.message).to.include(join(folder, 'datamon'));
    });

    it('reads a store that hangs no longer than it may', async () => {
      const hanging: PlannedBlobs = {
        ...blobs,
        async *get() {
          await new Promise(() => undefined);
          yield new Uint8Array();
        },
      };
      const routes = {
        ...directRoutes(),
        find: async () => ({ kind: 'datamon', blobs: hanging, batch: null }) as Route,
      };
      await mkdir(join(folder, 'datamon'), { recursive: true });
      await failure(
        transfers(routes, 20).download(downloadOf(digestOf('x')), options()),
        'UNAVAILABLE',
      );
      expect(await temps()).to.deep.equal([]);
    });
  });

  describe('where datamon’s own way fails', () => {
    const action: Action = { href: 'file:///etc/passwd', header: {} };
    const withPlainWay = (): Routes => ({
      ...directRoutes(),
      fallback: (_request, error) =>
        (error as DatamonError).code === 'UNSUPPORTED' ? { kind: 'basic', action } : null,
    });

    it('takes the plain way, which speaks http and https alone', async () => {
      blobs.putErrors.push(new DatamonError('UNSUPPORTED', 'too new'));
      const request = await uploadOf(CONTENT);
      const error = await failure(
        transfers(withPlainWay()).upload(request, options()),
        'FORBIDDEN',
      );
      expect(error.message).to.include('file:');
      expect(logged.join()).to.include('too new');
    });

    it('hands out no file that could not be written, whichever way is tried next', async () => {
      const oid = blobs.add(CONTENT);
      const broken = createTransfers({
        routes: withPlainWay(),
        temps: async () => {
          const place = { lfsDirectory: folder, pidSpace: '0123abcd' };
          const made = createTempFiles({
            ...place,
            pid: 7,
            sharedMode: null,
            random: secureRandom,
          });
          return {
            ...made,
            create: async (wanted) => {
              const file = await made.create(wanted);
              file.handle.write = () =>
                Promise.reject(Object.assign(new Error('disk'), { code: 'EIO' }));
              return file;
            },
          };
        },
        pauses: { sleep: async () => undefined, random: () => 0 },
        log: (text) => logged.push(text),
      });
      const error = await failure(broken.download(downloadOf(oid), options()), 'UNSUPPORTED');
      expect(error.message).to.include('disk');
      expect(await temps()).to.deep.equal([]);
    });

    it('does not where the object is at fault', async () => {
      blobs.putErrors.push(new DatamonError('TOO_LARGE', 'no'));
      const request = await uploadOf(CONTENT);
      await failure(transfers(withPlainWay()).upload(request, options()), 'TOO_LARGE');
    });
  });
});
