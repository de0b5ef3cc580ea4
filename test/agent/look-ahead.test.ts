/** Looking ahead: exactly what was announced, together, and never in the way of the object that was asked for. */
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { announcedObjects } from '../../agent/announced.ts';
import { createLookAhead, SMALL_SIZE_MAX_BYTES } from '../../agent/look-ahead.ts';
import type { UploadRequest } from '../../agent/messages.ts';
import { type Digest, digestOf } from '../../core/digest.ts';
import { DatamonError } from '../../core/errors.ts';
import type { SizedOid } from '../../core/meta/api-wire.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { type PlannedBlobs, plannedBlobs } from './support/blobs.ts';

const { signal } = new AbortController();

describe('agent/look-ahead', () => {
  let folder: string;
  let blobs: PlannedBlobs;
  let logged: string[];

  beforeEach(async () => {
    folder = await makeTempDir();
    blobs = plannedBlobs();
    logged = [];
  });

  const pathOf = (oid: Digest) => join(folder, oid.slice(0, 2), oid.slice(2, 4), oid);

  async function localObject(content: string): Promise<SizedOid> {
    const oid = digestOf(content);
    await mkdir(dirname(pathOf(oid)), { recursive: true });
    await writeFile(pathOf(oid), content);
    return { oid, size: content.length };
  }

  const requestOf = ({ oid, size }: SizedOid): UploadRequest => ({
    event: 'upload',
    oid,
    sizeBytes: size,
    path: pathOf(oid),
    action: null,
  });

  const ahead = (announced: () => Promise<readonly SizedOid[]>) =>
    createLookAhead({ announced, signal, log: (text) => logged.push(text) });

  it('uploads all announced small objects in one go, and each once', async () => {
    const objects = await Promise.all(['a', 'bb', 'ccc'].map(localObject));
    const look = ahead(async () => objects);
    for (const object of objects) {
      const request = requestOf(object);
      expect(await look.has({ request, blobs, batch: null })).to.equal(true);
    }
    expect(blobs.manyPuts.map((oids) => [...oids].sort())).to.deep.equal([
      objects.map(({ oid }) => oid).sort(),
    ]);
    expect(blobs.puts).to.have.length(3);
  });

  it('uploads nothing that was not announced, is large, held, missing here or of another size', async () => {
    const [good, better, held, wrong] = await Promise.all(['g', 'bb', 'h', 'w'].map(localObject));
    const large = await localObject('x'.repeat(SMALL_SIZE_MAX_BYTES + 1));
    await localObject('never announced');
    blobs.add('h');
    const gone = { oid: digestOf('gone'), size: 4 };
    const list = [good, better, held, large, gone, { ...wrong, size: 9 }] as SizedOid[];
    const look = ahead(async () => list);
    for (const object of [good, better]) {
      const request = requestOf(object as SizedOid);
      expect(await look.has({ request, blobs, batch: null })).to.equal(true);
    }
    expect(blobs.puts.sort()).to.deep.equal([good?.oid, better?.oid].sort());
  });

  it('leaves to its own request what failed ahead', async () => {
    const objects = await Promise.all(['a', 'bb'].map(localObject));
    blobs.putErrors.push(new DatamonError('UNAVAILABLE', 'busy'));
    const look = ahead(async () => objects);
    const answers = await Promise.all(
      objects.map((object) => look.has({ request: requestOf(object), blobs, batch: null })),
    );
    expect(answers).to.deep.equal([false, true]);
  });

  it('does not guess where nobody tells, and asks once', async () => {
    let asked = 0;
    const object = await localObject('a');
    const look = ahead(async () => {
      asked += 1;
      throw new DatamonError('UNAVAILABLE', 'no list');
    });
    for (let n = 0; n < 3; n += 1) {
      expect(await look.has({ request: requestOf(object), blobs, batch: null })).to.equal(false);
    }
    expect(asked).to.equal(1);
    expect(blobs.manyPuts).to.deep.equal([]);
  });

  it('asks again for the next batch', async () => {
    const asked: (string | null)[] = [];
    const object = await localObject('a');
    const look = createLookAhead({
      announced: async (batch) => {
        asked.push(batch?.token ?? null);
        return [];
      },
      signal,
      log: () => undefined,
    });
    for (const token of ['one', 'one', 'two']) {
      const batch = { repoUrl: 'https://d.example/r', token };
      await look.has({ request: requestOf(object), blobs, batch });
    }
    expect(asked).to.deep.equal(['one', 'two']);
  });

  it('gives up on all where the store breaks in the middle', async () => {
    const objects = await Promise.all(['a', 'bb'].map(localObject));
    const broken: PlannedBlobs = {
      ...blobs,
      // biome-ignore lint/correctness/useYield: it breaks before
      async *putMany() {
        throw new DatamonError('UNAVAILABLE', 'gone');
      },
    };
    const look = ahead(async () => objects);
    const [object] = objects as [SizedOid];
    const request = requestOf(object);
    expect(await look.has({ request, blobs: broken, batch: null })).to.equal(false);
    expect(logged.join()).to.include('gone');
  });

  it('reads the hook’s list, but not one that others could have written', async () => {
    const listPath = join(folder, 'list');
    const objects = [{ oid: digestOf('a'), size: 1 }];
    await writeFile(listPath, JSON.stringify({ version: 1, objects }), { mode: 0o600 });
    const read = () => announcedObjects({ listPath, batch: null, signal });
    expect(await read()).to.deep.equal(objects);
    await chmod(listPath, 0o660);
    expect(await read()).to.deep.equal([]);
  });

  it('knows of nothing without list and batch', async () => {
    expect(await announcedObjects({ listPath: undefined, batch: null, signal })).to.deep.equal([]);
  });
});
