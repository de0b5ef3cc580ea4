/** A local store on a file system without hard links still never overwrites. */
import { expect } from 'chai';
import { asKey, readText, textBody } from '../conformance/bodies.ts';
import { codeOf, errorOf } from '../support/code-of.ts';
import type { CrashFs } from '../support/crash-fs.ts';
import { openInMemory, openOn, ROOT, stepsOf } from '../support/local-in-memory.ts';

describe('local backend, without hard links', () => {
  const noLinks = (fs: CrashFs): void => {
    fs.fault = (step) => (step.startsWith('link') ? 'EPERM' : undefined);
  };

  it('looks before it renames, holding the key’s claim', async () => {
    const { fs, backend } = await openInMemory();
    noLinks(fs);
    const steps = await stepsOf(fs, () => backend.putIfAbsent(asKey('a/b'), textBody('x')));
    const named = steps.map((step) => step.replace(/claim-[0-9a-f]{64}/, 'CLAIM'));
    expect(named.slice(named.indexOf('create /data/store/tmp/CLAIM')).slice(0, 5)).to.deep.equal([
      'create /data/store/tmp/CLAIM',
      'close /data/store/tmp/CLAIM',
      'stat /data/store/a/b',
      'rename /data/store/tmp/TEMP /data/store/a/b',
      'unlink /data/store/tmp/CLAIM',
    ]);
  });

  it('never renames over an object that came meanwhile', async () => {
    const { fs, backend } = await openInMemory();
    const rival = await openOn(fs);
    noLinks(fs);
    fs.afterStep = async (step) => {
      if (!step.startsWith('close')) return;
      fs.afterStep = async () => {};
      await rival.putIfAbsent(asKey('a/b'), textBody('rival'));
    };
    expect(await backend.putIfAbsent(asKey('a/b'), textBody('mine'))).to.deep.equal({
      created: false,
    });
    expect(await readText(backend, 'a/b')).to.equal('rival');
  });

  it('reports UNAVAILABLE where its unfinished file was removed under it', async () => {
    const { fs, backend } = await openInMemory();
    noLinks(fs);
    fs.afterStep = async (step) => {
      if (!step.includes('claim-')) return;
      fs.afterStep = async () => {};
      for (const { name } of await fs.readFolder(`${ROOT}/tmp`)) {
        if (!name.startsWith('claim-')) await fs.unlink(`${ROOT}/tmp/${name}`);
      }
    };
    expect(await codeOf(backend.putIfAbsent(asKey('a/b'), textBody('x')))).to.equal('UNAVAILABLE');
    expect(await fs.readFolder(`${ROOT}/tmp`)).to.deep.equal([]);
  });

  it('gives up, naming the claim, where a dead process holds it; the next opening after an hour sweeps it', async () => {
    const { fs, backend } = await openInMemory();
    noLinks(fs);
    let claimed = false;
    const plain = fs.fault;
    fs.fault = (step, index) => {
      if (step.startsWith('rename')) claimed = true;
      return claimed ? 'crash' : plain(step, index);
    };
    await backend.putIfAbsent(asKey('a/b'), textBody('x')).catch(() => {});
    const after = fs.crashed('all');
    noLinks(after);
    const error = await errorOf((await openOn(after)).putIfAbsent(asKey('a/b'), textBody('x')));
    expect(error.code).to.equal('UNAVAILABLE');
    expect(error.hint).to.match(/tmp\/claim-[0-9a-f]{64} is removed once it is 60 minutes old/);
    after.nowMs += 61 * 60 * 1000;
    expect(await (await openOn(after)).putIfAbsent(asKey('a/b'), textBody('x'))).to.deep.equal({
      created: true,
    });
  });
});
