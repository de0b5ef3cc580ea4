/** A full disk: a clear error, nothing lost, nothing half-done, and work goes on once there is space. */
import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { openLocalBackend } from '../../backends/local.ts';
import { type LocalFs, nodeFs } from '../../backends/local-fs.ts';
import { type Backend, bytesBody } from '../../core/backend/backend.ts';
import type { DatamonError } from '../../core/errors.ts';
import { asKey, listed, read } from '../conformance/bodies.ts';
import { errorOf } from '../support/code-of.ts';
import { seededBytes } from '../support/splitmix64.ts';
import { makeTempDir } from '../support/temp-dir.ts';

const run = promisify(execFile);
const DISK_SIZE_BYTES = 4 * 1024 * 1024;
const OBJECT_SIZE_BYTES = 300_000;
const FILL_COUNT = 5;

const bytesOf = (n: number): Buffer => seededBytes(n, OBJECT_SIZE_BYTES);
const keyOf = (n: number): string => `a/${n}`;

/** Puts until the disk is full; returns the failure and how many were acknowledged. */
async function fill(backend: Backend): Promise<{ error: DatamonError; count: number }> {
  let count = 0;
  const error = await errorOf(async () => {
    for (; ; count += 1) await backend.putIfAbsent(asKey(keyOf(count)), bytesBody(bytesOf(count)));
  });
  return { error, count };
}

async function checkFullDisk(root: string, fs: LocalFs): Promise<void> {
  const backend = await openLocalBackend(root, { fs });
  for (let round = 0; round < FILL_COUNT; round += 1) {
    const { error, count } = await fill(backend);
    expect(error.code).to.equal('NO_SPACE');
    expect(error.message).to.match(/the disk is full \(ENOSPC\)/);
    expect(error.message).to.contain(root);
    expect(count).to.be.greaterThan(5);
    expect(await listed(backend, '')).to.have.length(count);
    expect(await readdir(join(root, 'tmp'))).to.deep.equal([]);
    for (let n = 0; n < count; n += 1) {
      expect((await read(backend, keyOf(n))).equals(bytesOf(n)), keyOf(n)).to.equal(true);
    }
    await backend.remove(asKey(keyOf(0)));
    await backend.remove(asKey(keyOf(count - 1)));
    await backend.putIfAbsent(asKey(keyOf(0)), bytesBody(bytesOf(0)));
  }
}

/** A disk that is full as soon as the store holds so many bytes; for machines where none can be mounted. */
function smallFs(root: string): LocalFs {
  let usedBytes = 0;
  return {
    ...nodeFs,
    async open(path, how) {
      const file = await nodeFs.open(path, how);
      const write = async (bytes: Uint8Array): Promise<number> => {
        if (usedBytes + bytes.length > DISK_SIZE_BYTES) {
          throw Object.assign(new Error('full'), { code: 'ENOSPC' });
        }
        usedBytes += bytes.length;
        return file.write(bytes);
      };
      return { ...file, write };
    },
    async unlink(path) {
      const { sizeBytes } = await nodeFs.stat(path);
      await nodeFs.unlink(path);
      // A temporary name goes while the object stays, but where its put failed.
      if (!path.startsWith(join(root, 'tmp'))) usedBytes -= sizeBytes;
    },
  };
}

async function mountTmpfs(path: string): Promise<boolean> {
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${DISK_SIZE_BYTES}`, 'tmpfs', path]);
    return true;
  } catch {
    return false;
  }
}

describe('local backend, full disk', () => {
  it('says so, loses nothing, and goes on once there is space', async function () {
    const root = await makeTempDir();
    if (await mountTmpfs(root)) {
      try {
        await checkFullDisk(root, nodeFs);
      } finally {
        await run('umount', [root]);
      }
      return;
    }
    if (this.test !== undefined) this.test.title += ' (no tmpfs can be mounted here: injected)';
    await checkFullDisk(root, smallFs(root));
  }).timeout(20_000);

  it('reports the same where the fullness is injected', async () => {
    const root = await makeTempDir();
    await checkFullDisk(root, smallFs(root));
  }).timeout(20_000);
});
