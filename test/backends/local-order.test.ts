/** The order in which a local store makes its calls: what makes its acknowledgements true. */
import { expect } from 'chai';
import { bytesBody } from '../../core/backend/backend.ts';
import { asKey, listed, put, read, textBody } from '../conformance/bodies.ts';
import { openInMemory, openOn, stepsOf } from '../support/local-in-memory.ts';
import { seededBytes } from '../support/splitmix64.ts';

describe('local backend, order of calls', () => {
  it('writes, fsyncs, links, fsyncs folders up to the one that holds the root, removes the temporary name', async () => {
    const { fs, backend } = await openInMemory();
    const steps = await stepsOf(fs, () => backend.putIfAbsent(asKey('a/b'), textBody('x')));
    const durable = steps.filter((step) => /^(write|sync|link|unlink)/.test(step));
    expect(durable).to.deep.equal([
      'write /data/store/tmp/TEMP',
      'sync /data/store/tmp/TEMP',
      'link /data/store/tmp/TEMP /data/store/a/b',
      'link /data/store/tmp/TEMP /data/store/a/b',
      'sync /data/store/a',
      'sync /data/store',
      'sync /data',
      'unlink /data/store/tmp/TEMP',
    ]);
  });

  it('fsyncs one folder only where those above are known to be durable', async () => {
    const { fs, backend } = await openInMemory();
    await put(backend, 'a/b');
    const steps = await stepsOf(fs, () => backend.putIfAbsent(asKey('a/c'), textBody('x')));
    expect(steps).to.deep.equal([
      'stat /data/store/a/c',
      'create /data/store/tmp/TEMP',
      'write /data/store/tmp/TEMP',
      'sync /data/store/tmp/TEMP',
      'close /data/store/tmp/TEMP',
      'link /data/store/tmp/TEMP /data/store/a/c',
      'folder /data/store/a',
      'sync /data/store/a',
      'close /data/store/a',
      'unlink /data/store/tmp/TEMP',
    ]);
  });

  it('fsyncs the folder also where the object exists already, and all above where it did not make them', async () => {
    const { fs, backend } = await openInMemory();
    await put(backend, 'a/b');
    const second = await openOn(fs);
    const steps = await stepsOf(fs, () => second.putIfAbsent(asKey('a/b'), textBody('x')));
    expect(steps.filter((step) => step.startsWith('sync'))).to.deep.equal([
      'sync /data/store/a',
      'sync /data/store',
      'sync /data',
    ]);
  });

  it('shares one folder fsync among puts that wait for it', async () => {
    const { fs, backend } = await openInMemory();
    await put(backend, 'a/first');
    const keys = Array.from({ length: 20 }, (_, n) => `a/${n + 10}`);
    const steps = await stepsOf(fs, () =>
      Promise.all(keys.map((key) => backend.putIfAbsent(asKey(key), textBody(key)))),
    );
    const folderSyncs = steps.filter((step) => step === 'sync /data/store/a');
    expect(folderSyncs.length).to.be.within(1, 10);
    expect(await listed(await openOn(fs.crashed('synced')), 'a/1')).to.have.length(10);
  });

  it('fsyncs the folder after a remove', async () => {
    const { fs, backend } = await openInMemory();
    await put(backend, 'a/b');
    const steps = await stepsOf(fs, () => backend.remove(asKey('a/b')));
    expect(steps.slice(-5)).to.deep.equal([
      'unlink /data/store/a/b',
      'stat /data/store/a',
      'folder /data/store/a',
      'sync /data/store/a',
      'close /data/store/a',
    ]);
  });

  it('goes on with the rest after a short write and a short read', async () => {
    // The file system under test takes half of each write.
    const { backend } = await openInMemory();
    const bytes = seededBytes(3, 300_001);
    await backend.putIfAbsent(asKey('a/b'), bytesBody(bytes));
    expect((await read(backend, 'a/b')).equals(bytes)).to.equal(true);
  });
});
