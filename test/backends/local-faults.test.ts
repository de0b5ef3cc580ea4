/** What each failing call of a local store leaves, and what it is reported as. */

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { openLocalBackend } from '../../backends/local.ts';
import { bytesBody } from '../../core/backend/backend.ts';
import { DatamonError } from '../../core/errors.ts';
import { asKey, listed, put, read, readText, textBody } from '../conformance/bodies.ts';
import { codeOf, errorOf } from '../support/code-of.ts';
import { CrashFs } from '../support/crash-fs.ts';
import { openInMemory, openOn, ROOT, stepsOf } from '../support/local-in-memory.ts';
import { seededBytes } from '../support/splitmix64.ts';
import { makeTempDir } from '../support/temp-dir.ts';

describe('local backend, failing calls', () => {
  const KEY = 'repos/x/repo.json';
  const body = bytesBody(seededBytes(1, 5000));

  /** Puts while call `nth` of the put fails. */
  async function putWithFault(nth: number, code: string): Promise<void> {
    const { fs, backend } = await openInMemory();
    const before = fs.steps.length;
    fs.fault = (_step, index) => (index === before + nth ? code : undefined);
    const outcome = await backend.putIfAbsent(asKey(KEY), body).catch((error) => error);
    fs.fault = () => undefined;
    const acknowledged = 'created' in outcome;
    if (!acknowledged) expect(outcome).to.be.instanceOf(DatamonError);
    const store = await openOn(acknowledged ? fs.crashed('synced') : fs);
    const found = await listed(store, '');
    if (acknowledged) expect(found).to.deep.equal([KEY]);
    for (const key of found) expect(await read(store, key)).to.have.length(5000);
    await backend.putIfAbsent(asKey(KEY), body);
    expect(await listed(await openOn(fs.crashed('synced')), '')).to.deep.equal([KEY]);
  }

  for (const code of ['EIO', 'ENOSPC', 'EACCES', 'EMFILE']) {
    it(`acknowledges nothing that is not there when any one call fails with ${code}`, async () => {
      const { fs, backend } = await openInMemory();
      const steps = await stepsOf(fs, () => backend.putIfAbsent(asKey(KEY), body));
      for (const [nth, step] of steps.entries()) {
        await putWithFault(nth, code).catch((cause) => {
          throw new Error(`call ${nth}: ${step}`, { cause });
        });
      }
    });
  }

  it('never fsyncs a file again, nor links it, once its fsync failed', async () => {
    const { fs, backend } = await openInMemory();
    fs.fault = (step) => (step === `sync ${ROOT}/tmp/TEMP` ? 'EIO' : undefined);
    const steps = await stepsOf(fs, () => codeOf(backend.putIfAbsent(asKey(KEY), body)));
    expect(steps.filter((step) => step === `sync ${ROOT}/tmp/TEMP`)).to.have.length(1);
    expect(steps.filter((step) => step.startsWith('link'))).to.deep.equal([]);
    expect(steps.at(-1)).to.equal(`unlink ${ROOT}/tmp/TEMP`);
  });

  it('says of a failed folder fsync that what was stored may not survive', async () => {
    const { fs, backend } = await openInMemory();
    fs.fault = (step) => (step === `sync ${ROOT}/repos/x` ? 'EIO' : undefined);
    const error = await errorOf(backend.putIfAbsent(asKey(KEY), body));
    expect(error.code).to.equal('UNAVAILABLE');
    expect(error.message).to.contain('may not survive');
  });

  it('does without folder fsync where the file system has none', async () => {
    const { fs, backend } = await openInMemory();
    fs.fault = (step) => (/^sync .*(store|x|repos|data)$/.test(step) ? 'EINVAL' : undefined);
    expect(await backend.putIfAbsent(asKey(KEY), body)).to.deep.equal({ created: true });
  });

  it('does without the fsync above a root that others made, where that folder is closed to it', async () => {
    const fs = new CrashFs('/data', ROOT);
    fs.fault = (step) => (step === 'folder /data' ? 'EACCES' : undefined);
    const backend = await openOn(fs);
    expect(await backend.putIfAbsent(asKey(KEY), body)).to.deep.equal({ created: true });
  });

  it('knows its own link where the system repeated it and says that it exists', async () => {
    const { fs, backend } = await openInMemory();
    await put(backend, 'repos/x/other');
    const links = fs.link.bind(fs);
    fs.link = async (from, to) => {
      await links(from, to);
      await links(from, to);
    };
    expect(await backend.putIfAbsent(asKey(KEY), body)).to.deep.equal({ created: true });
  });

  it('reports UNAVAILABLE where its unfinished file was removed under it', async () => {
    const { fs, backend } = await openInMemory();
    fs.afterStep = async (step) => {
      if (!step.startsWith('close')) return;
      fs.afterStep = async () => {};
      for (const { name } of await fs.readFolder(`${ROOT}/tmp`))
        await fs.unlink(`${ROOT}/tmp/${name}`);
    };
    expect(await codeOf(backend.putIfAbsent(asKey(KEY), body))).to.equal('UNAVAILABLE');
  });

  it('reports bytes that the disk cannot read as CORRUPT, as it does a file that is too short', async () => {
    const { fs, backend } = await openInMemory();
    await backend.putIfAbsent(asKey(KEY), body);
    fs.fault = (step) => (step.startsWith('read') ? 'EIO' : undefined);
    expect(await codeOf(read(backend, KEY))).to.equal('CORRUPT');
    fs.fault = () => undefined;
    const openFile = fs.open.bind(fs);
    fs.open = async (path, how) => ({ ...(await openFile(path, how)), read: async () => 0 });
    expect(await codeOf(read(backend, KEY))).to.equal('CORRUPT');
  });

  it('closes what it opened when a reader stops early', async () => {
    const { fs, backend } = await openInMemory();
    await backend.putIfAbsent(asKey('a/large'), bytesBody(seededBytes(2, 600_000)));
    const steps = await stepsOf(fs, async () => {
      for await (const _ of backend.get(asKey('a/large'))) break;
    });
    expect(steps.at(-1)).to.equal(`close ${ROOT}/a/large`);
  });

  it('makes its folders again where somebody removed them', async () => {
    const root = join(await makeTempDir(), 'store');
    const backend = await openLocalBackend(root);
    await put(backend, 'a/b/c');
    await rm(root, { recursive: true });
    expect(await backend.putIfAbsent(asKey('a/b/c'), textBody('again'))).to.deep.equal({
      created: true,
    });
    expect(await readText(backend, 'a/b/c')).to.equal('again');
  });
});
