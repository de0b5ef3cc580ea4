/** The folder a local store lives in. */

import { readdir, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { openLocalBackend } from '../../backends/local.ts';
import { asKey, listed, put, read, readText, textBody } from '../conformance/bodies.ts';
import { codeOf } from '../support/code-of.ts';
import { openInMemory, openOn } from '../support/local-in-memory.ts';
import { makeTempDir } from '../support/temp-dir.ts';

describe('local backend, the folder it lives in', () => {
  it('makes nothing before the first put', async () => {
    const parent = await makeTempDir();
    const backend = await openLocalBackend(join(parent, 'typo', 'store'));
    expect(await listed(backend, '')).to.deep.equal([]);
    expect(await codeOf(read(backend, 'a/b'))).to.equal('NOT_FOUND');
    await backend.remove(asKey('a/b'));
    expect(await readdir(parent)).to.deep.equal([]);
  });

  it('keeps folders and files to their owner', async () => {
    const root = join(await makeTempDir(), 'store');
    const backend = await openLocalBackend(root);
    await put(backend, 'a/b');
    const modes = await Promise.all(
      [root, join(root, 'a'), join(root, 'tmp'), join(root, 'a/b')].map(
        async (path) => (await stat(path)).mode & 0o777,
      ),
    );
    expect(modes).to.deep.equal([0o700, 0o700, 0o700, 0o600]);
  });

  it('leaves no unfinished file behind, whether puts succeed or fail', async () => {
    const root = await makeTempDir();
    const backend = await openLocalBackend(root);
    await put(backend, 'a/b', 'a/b', 'a/c');
    await codeOf(backend.putIfAbsent(asKey('a/d'), { ...textBody('x'), sizeBytes: 2 }));
    await backend.now();
    expect(await readdir(join(root, 'tmp'))).to.deep.equal([]);
  });

  it('refuses keys in the place of unfinished files', async () => {
    const backend = await openLocalBackend(await makeTempDir());
    for (const key of ['tmp', 'tmp/x']) {
      expect(await codeOf(backend.putIfAbsent(asKey(key), textBody('x'))), key).to.equal('INVALID');
      expect(await codeOf(read(backend, key)), key).to.equal('INVALID');
    }
  });

  it('follows no symbolic link in place of an object', async () => {
    const root = await makeTempDir();
    const backend = await openLocalBackend(root);
    await put(backend, 'a/b');
    await symlink('/etc/hostname', join(root, 'a', 'link'));
    expect(await codeOf(read(backend, 'a/link'))).to.equal('CORRUPT');
    expect(await backend.stat(asKey('a/link'))).to.equal(null);
    expect(await codeOf(backend.putIfAbsent(asKey('a/link'), textBody('x')))).to.equal('INVALID');
  });

  it('refuses a root that is a file or no absolute path (INVALID)', async () => {
    const root = await makeTempDir();
    await writeFile(join(root, 'file'), 'x');
    expect(await codeOf(openLocalBackend(join(root, 'file')))).to.equal('INVALID');
    expect(await codeOf(openLocalBackend('relative/path'))).to.equal('INVALID');
    expect(await codeOf(openLocalBackend('/with\0nul'))).to.equal('INVALID');
  });

  it('opens a store that it may only read', async () => {
    const { fs, backend } = await openInMemory();
    await put(backend, 'a/b');
    fs.fault = (step) => (/^(create|mkdir|unlink|link)/.test(step) ? 'EROFS' : undefined);
    const readOnly = await openOn(fs);
    expect(await readText(readOnly, 'a/b')).to.equal('a/b');
    expect(await codeOf(readOnly.putIfAbsent(asKey('a/c'), textBody('x')))).to.equal('FORBIDDEN');
  });

  it('tells the time of the file system, not of the machine', async () => {
    const { fs, backend } = await openInMemory();
    fs.nowMs = 1_234_567_890_123;
    expect((await backend.now()).getTime()).to.equal(1_234_567_890_123);
  });

  it('has a URL that opens the same store, whatever the path is called', async () => {
    const root = join(await makeTempDir(), 'with space, ü & 100%');
    const backend = await openLocalBackend(`${root}/`);
    await put(backend, 'a/b');
    const { openBackend } = await import('../../backends/open.ts');
    const again = await openBackend(backend.url);
    expect(again.url).to.equal(backend.url);
    expect(await readText(again, 'a/b')).to.equal('a/b');
  });
});
