/** Compiled code is kept below the user's own cache folder, and nowhere else. */
import { spawnSync } from 'node:child_process';
import { readdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { expect } from 'chai';
import { compileCacheFolder } from '../../core/compile-cache.ts';
import { makeTempDir } from '../support/temp-dir.ts';

const ROOT = resolve(import.meta.dirname, '../..');

describe('core/compile-cache', () => {
  const start = (main: string, env: Record<string, string>) =>
    spawnSync(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', join(ROOT, main), 'help'],
      {
        env: { PATH: process.env['PATH'] ?? '', ...env },
        input: '',
        encoding: 'utf8',
        timeout: 20_000,
      },
    );

  it('is below XDG_CACHE_HOME, else the home folder, else nowhere', () => {
    expect(compileCacheFolder({ XDG_CACHE_HOME: '/c', HOME: '/h' })).to.equal('/c/datamon/node');
    expect(compileCacheFolder({ XDG_CACHE_HOME: 'c', HOME: '/h' })).to.equal(
      '/h/.cache/datamon/node',
    );
    expect(compileCacheFolder({ HOME: 'h' })).to.equal(null);
    expect(compileCacheFolder({})).to.equal(null);
  });

  for (const main of ['cli/main.ts', 'agent/main.ts']) {
    it(`${main} keeps what it compiled, and starts where it cannot`, async () => {
      const home = await makeTempDir();
      const kept = start(main, { HOME: home });
      expect([kept.status, kept.stderr]).to.deep.equal([0, '']);
      expect(await readdir(join(home, '.cache', 'datamon', 'node'))).to.have.length.above(0);
      const blocked = await makeTempDir();
      await writeFile(join(blocked, '.cache'), 'a file');
      const without = start(main, { HOME: blocked });
      expect([without.status, without.stderr]).to.deep.equal([0, '']);
      expect(without.stdout).to.equal(kept.stdout);
    });
  }
});
