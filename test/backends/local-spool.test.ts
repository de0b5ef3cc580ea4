/** Files that were written on the store's own disk: taken as they are, and no less durable for it. */
import { expect } from 'chai';
import type { Body } from '../../core/backend/backend.ts';
import { asKey, listed, read } from '../conformance/bodies.ts';
import { codeOf } from '../support/code-of.ts';
import type { CrashFs } from '../support/crash-fs.ts';
import { openInMemory, openOn, stepsOf } from '../support/local-in-memory.ts';
import { seededBytes, splitmix64 } from '../support/splitmix64.ts';

const KEY = asKey('pools/x/packs/ab/one');
const BYTES = seededBytes(1, 20_000);

/** A body whose bytes lie in a file that the store named; reading it again would fail. */
async function spooled(fs: CrashFs, path: string, sizeBytes = BYTES.length): Promise<Body> {
  const file = await fs.open(path, 'create');
  for (let done = 0; done < BYTES.length; ) done += await file.write(BYTES.subarray(done));
  await file.close();
  return {
    sizeBytes,
    file: path,
    // biome-ignore lint/correctness/useYield: it must not be asked for bytes
    async *open() {
      throw new Error('the body was read');
    },
  };
}

async function opened() {
  const { fs, backend } = await openInMemory();
  const path = (await backend.spoolPath?.()) ?? '';
  return { fs, backend, body: await spooled(fs, path), path };
}

describe('local backend, files on its own disk', () => {
  it('are linked, not read, and synced before that', async () => {
    const { fs, backend, body, path } = await opened();
    const steps = await stepsOf(fs, () => backend.putIfAbsent(KEY, body));
    const named = path.replace(/[0-9a-f]{12}-\d+-[0-9a-f]{32}/, 'TEMP');
    const sync = steps.indexOf(`sync ${named}`);
    const link = steps.findIndex((step) => step.startsWith(`link ${named} `));
    expect(sync).to.be.at.least(0);
    expect(link).to.be.greaterThan(sync);
    expect((await read(backend, KEY)).equals(BYTES)).to.equal(true);
  });

  it('stay when their name in tmp is removed, and survive a power loss at any call', async () => {
    const count = (await lossAt(Number.POSITIVE_INFINITY, 0)).steps;
    for (let nth = 0; nth < count; nth += 1) {
      for (let seed = 0; seed < 5; seed += 1) await lossAt(nth, seed);
    }
  });

  it('of another size than announced are refused (INVALID), and nothing is stored', async () => {
    const { fs, backend } = await openInMemory();
    const body = await spooled(fs, (await backend.spoolPath?.()) ?? '', BYTES.length - 1);
    expect(await codeOf(backend.putIfAbsent(KEY, body))).to.equal('INVALID');
    expect(await listed(backend, '')).to.deep.equal([]);
  });

  it('whose fsync failed once are never synced again, nor taken', async () => {
    const { fs, backend, body } = await opened();
    fs.fault = (step) => (step.startsWith('sync /data/store/tmp/') ? 'EIO' : undefined);
    expect(await codeOf(backend.putIfAbsent(KEY, body))).to.equal('UNAVAILABLE');
    fs.fault = () => undefined;
    const steps = await stepsOf(fs, () => backend.putIfAbsent(KEY, body).catch(() => {}));
    expect(steps.filter((step) => step.startsWith('sync '))).to.deep.equal([]);
    expect(await listed(backend, '')).to.deep.equal([]);
  });

  it('elsewhere are read, like any body', async () => {
    const { backend } = await openInMemory();
    const body: Body = {
      sizeBytes: BYTES.length,
      file: '/data/elsewhere',
      async *open() {
        yield BYTES;
      },
    };
    await backend.putIfAbsent(KEY, body);
    expect((await read(backend, KEY)).equals(BYTES)).to.equal(true);
  });
});

/** Puts, with the power lost at call `nth`: what was acknowledged is whole afterwards, anything else whole or absent. */
async function lossAt(nth: number, seed: number): Promise<{ readonly steps: number }> {
  const { fs, backend, body, path } = await opened();
  const first = fs.steps.length;
  fs.fault = (_step, index) => (index === first + nth ? 'crash' : undefined);
  let acknowledged = false;
  try {
    await backend.putIfAbsent(KEY, body);
    acknowledged = true;
    await fs.unlink(path);
  } catch {
    // The power went.
  }
  const steps = fs.steps.length - first;
  const after = await openOn(fs.crashed(seed === 0 ? 'synced' : splitmix64(seed)));
  const found = await listed(after, '');
  if (acknowledged) expect(found, `call ${nth}, seed ${seed}`).to.deep.equal([KEY]);
  if (found.length > 0) expect((await read(after, KEY)).equals(BYTES)).to.equal(true);
  return { steps };
}
