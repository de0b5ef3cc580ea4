/** What listing a local store reads, and what it does not show. */

import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { openLocalBackend } from '../../backends/local.ts';
import { listed, put } from '../conformance/bodies.ts';
import { openInMemory, ROOT, stepsOf } from '../support/local-in-memory.ts';
import { makeTempDir } from '../support/temp-dir.ts';

describe('local backend, listing', () => {
  const KEYS = [
    'format/1',
    'pools/p/packs/00/x',
    'repos/a/log/1',
    'repos/a/seg/1',
    'repos/b/log/1',
  ];

  async function foldersRead(prefix: string, after?: string, count = 100): Promise<string[]> {
    const { fs, backend } = await openInMemory();
    await put(backend, ...KEYS);
    const steps = await stepsOf(fs, async () => {
      let found = 0;
      for await (const _ of backend.list(prefix, after)) {
        found += 1;
        if (found === count) break;
      }
    });
    return steps
      .filter((step) => step.startsWith('list'))
      .map((step) => step.slice(`list ${ROOT}`.length).replace(/\/$/, ''));
  }

  it('reads only the folders that its prefix allows', async () => {
    expect(await foldersRead('repos/a/log/')).to.deep.equal(['/repos/a/log']);
    expect(await foldersRead('repos/a/l')).to.deep.equal(['/repos/a', '/repos/a/log']);
    expect(await foldersRead('pools/')).to.deep.equal([
      '/pools',
      '/pools/p',
      '/pools/p/packs',
      '/pools/p/packs/00',
    ]);
  });

  it('does not read folders that lie before its start', async () => {
    expect(await foldersRead('', 'repos/a/seg/1')).to.deep.equal([
      '',
      '/repos',
      '/repos/a',
      '/repos/a/seg',
      '/repos/b',
      '/repos/b/log',
    ]);
    expect(await foldersRead('repos/', 'repos/a0')).to.deep.equal([
      '/repos',
      '/repos/b',
      '/repos/b/log',
    ]);
  });

  it('reads a folder only when its turn comes', async () => {
    expect(await foldersRead('', undefined, 1)).to.deep.equal(['', '/format']);
  });

  it('asks the size of no file but those it lists', async () => {
    const { fs, backend } = await openInMemory();
    await put(backend, 'log/1', 'log/2', 'log/3');
    const steps = await stepsOf(fs, async () => {
      for await (const _ of backend.list('log/')) break;
    });
    expect(steps.filter((step) => step.startsWith('stat'))).to.deep.equal([`stat ${ROOT}/log/1`]);
  });

  it('shows neither unfinished files nor what is no key', async () => {
    const root = await makeTempDir();
    const backend = await openLocalBackend(root);
    await put(backend, 'a/b');
    await writeFile(join(root, '.DS_Store'), 'x');
    await writeFile(join(root, 'a', 'Readme.TXT'), 'x');
    await writeFile(join(root, 'tmp', 'stray'), 'x');
    await symlink('/etc/hostname', join(root, 'a', 'link'));
    await mkdir(join(root, 'lost+found'));
    expect(await listed(backend, '')).to.deep.equal(['a/b']);
    expect(await listed(backend, 'tmp/')).to.deep.equal([]);
  });
});
