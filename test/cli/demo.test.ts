/** The demo on a machine that lacks something, and stopped half-way: it says what is missing, and leaves nothing behind. */
import { readdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { EXIT } from '../../core/io.ts';
import { findProgram } from '../../git/binary.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { datamon, spawnDatamon } from './support/cli.ts';

describe('datamon demo', function () {
  this.timeout(30_000);

  it('names what is missing and how to get it, before it makes anything', async () => {
    const temp = await makeTempDir();
    const bin = await makeTempDir();
    const of = (PATH: string) => datamon(['demo', '--exit'], { env: { PATH, TMPDIR: temp } });
    const noGit = await of(bin);
    expect([noGit.status, noGit.stdout]).to.deep.equal([EXIT.notFound, '']);
    expect(noGit.stderr).to.contain('needs git,').and.contain('apt-get install git ');
    await symlink((await findProgram('git', process.env)) ?? '', join(bin, 'git'));
    const noLfs = await of(bin);
    expect(noLfs.status).to.equal(EXIT.notFound);
    expect(noLfs.stderr).to.contain('needs git-lfs').and.contain('apt-get install git-lfs');
    expect(await readdir(temp)).to.deep.equal([]);
  });

  it('Ctrl-C deletes everything and ends with 130', async () => {
    const temp = await makeTempDir();
    const home = await makeTempDir();
    const { status, stderr } = await spawnDatamon(['demo'], {
      // Node keeps compiled code below the cache folder; that is no trace of the demo.
      env: { TMPDIR: temp, HOME: home, XDG_CACHE_HOME: await makeTempDir() },
      onStart: (child) => {
        // The first line: the folder is there. The second: the server runs.
        let said = '';
        child.stdout?.on('data', (part: Buffer) => {
          said += part.toString('utf8');
          if (said.includes('datamon serve')) child.kill('SIGINT');
        });
      },
    });
    expect(status, stderr).to.equal(EXIT.interrupted);
    expect(await readdir(temp)).to.deep.equal([]);
    expect(await readdir(home)).to.deep.equal([]);
  });
});
