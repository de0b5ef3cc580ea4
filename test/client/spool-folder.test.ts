/** Spool folders: private, named by who made them, swept when that process is dead, and only then. */
import { mkdir, readdir, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { openSpoolFolder } from '../../client/spool-folder.ts';
import type { LocalHost } from '../../core/local-host.ts';
import { makeTempDir } from '../support/temp-dir.ts';

const ALIVE = 11;
const host: LocalHost = { id: 'a'.repeat(12), pid: ALIVE, isAlive: async (pid) => pid === ALIVE };
const DAY_MS = 24 * 60 * 60 * 1000;

describe('client/spool-folder', () => {
  let parent: string;
  beforeEach(async () => {
    parent = await makeTempDir();
  });

  const made = async (name: string): Promise<void> => {
    await mkdir(join(parent, name));
    await writeFile(join(parent, name, 'datamon-x.spool'), 'bytes');
  };

  it('is for this user alone, and gone when removed', async () => {
    const spool = await openSpoolFolder({ parent, host });
    expect((await stat(spool.dir)).mode & 0o777).to.equal(0o700);
    await spool.remove();
    expect(await readdir(parent)).to.deep.equal([]);
  });

  it('removes what killed processes left, whole, and leaves all else', async () => {
    const dead = `datamon-${host.id}-12-abcDEF`;
    const kept = [
      `datamon-${host.id}-${ALIVE}-abcDEF`,
      `datamon-${'b'.repeat(12)}-12-abcDEF`,
      'datamon-test-abcDEF',
      'datamon-0123',
      'other',
    ];
    for (const name of [dead, ...kept]) await made(name);
    await symlink(join(parent, 'other'), join(parent, `datamon-${host.id}-13-abcDEF`));
    const { dir } = await openSpoolFolder({ parent, host });
    const left = (await readdir(parent)).map((name) => join(parent, name));
    const expected = [...kept, `datamon-${host.id}-13-abcDEF`].map((name) => join(parent, name));
    expect(left.sort()).to.deep.equal([...expected, dir].sort());
  });

  it('removes those of another boot or container after a week', async () => {
    const name = `datamon-${'b'.repeat(12)}-12-abcDEF`;
    await made(name);
    const old = new Date(Date.now() - 8 * DAY_MS);
    await utimes(join(parent, name), old, old);
    await openSpoolFolder({ parent, host });
    expect(await readdir(parent)).to.not.include(name);
  });

  it('the next one knows this very process to be alive', async () => {
    const first = await openSpoolFolder({ parent });
    await openSpoolFolder({ parent });
    expect((await stat(first.dir)).isDirectory()).to.equal(true);
  });
});
