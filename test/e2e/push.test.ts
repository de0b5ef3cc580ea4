/** A push through a server, as its user sees it: objects, bundle, receipt, clones with and without datamon. */
import { readFile, readlink, stat, symlink } from 'node:fs/promises';
import { expect } from 'chai';
import { seededBytes } from '../support/splitmix64.ts';
import { type Project, Stage } from './support/stage.ts';

const MIB = 1024 * 1024;

describe('end to end: push through a server', function () {
  this.timeout(120_000);
  let stage: Stage;
  before(async () => {
    stage = await Stage.set({ server: 'running' });
  });
  after(() => stage.strike());

  describe('first push, edit, re-push', () => {
    let project: Project;
    let commits: string[];
    const first = seededBytes(1, 24 * MIB);
    const second = Buffer.concat([
      first.subarray(0, 12 * MIB),
      seededBytes(2, MIB),
      first.subarray(12 * MIB),
    ]);
    let firstOutput: string;
    let secondOutput: string;
    let grownBytes: number;

    before(async () => {
      project = await stage.project('edits');
      const { repo } = project;
      await repo.write('big.bin', first);
      await repo.write('small.bin', 'x');
      commits = [await repo.commit('First')];
      const pushed = await repo.run(['push', '-u', 'origin', 'main']);
      expect(pushed.status, pushed.stderr).to.equal(0);
      firstOutput = pushed.stderr;
      await repo.write('big.bin', second);
      commits.push(await repo.commit('Insert a MiB'));
      const before = await stage.storeBytes();
      const again = await repo.run(['push']);
      expect(again.status, again.stderr).to.equal(0);
      secondOutput = again.stderr;
      grownBytes = (await stage.storeBytes()) - before;
    });

    it('prints the bundle behind git’s own report', () => {
      const lines = firstOutput.trimEnd().split('\n');
      const report = lines.findIndex((line) => line.includes('main -> main'));
      const bundle = lines.findIndex((line) => /^datamon: bundle [0-9a-f]{7,}/.test(line));
      expect(report, firstOutput).to.be.greaterThan(-1);
      expect(bundle, firstOutput).to.be.greaterThan(report);
      expect(lines.at(-1), firstOutput).to.match(/^datamon: http/);
    });

    it('says how much of the second push was reused, and stores no more than what changed', () => {
      const percent = /(\d+) % reused/.exec(secondOutput);
      expect(percent, secondOutput).to.not.equal(null);
      expect(Number(percent?.[1])).to.be.within(90, 99);
      expect(grownBytes).to.be.at.most(1.75 * MIB);
    });

    it('logs one bundle per push, newest first, next to its commit', async () => {
      const bundles = await stage.log(project);
      expect(bundles.map((bundle) => bundle.commit)).to.deep.equal([...commits].reverse());
      const [newest, oldest] = bundles;
      expect(oldest).to.include({
        branch: 'main',
        files: 2,
        bytes: first.length + 1,
        pushedBy: 'Ada <ada@example.org>',
      });
      expect(newest?.newBytes).to.be.within(MIB, 1.75 * MIB);
      expect(newest?.storedBytes).to.be.within(MIB, 1.75 * MIB);
      expect(Date.parse(newest?.pushedAt ?? '')).to.be.greaterThan(0);
    });

    it('diff of the two commits names the changed file alone', async () => {
      const diff = await stage.mustRun('datamon', [
        'diff',
        commits[0] ?? '',
        commits[1] ?? '',
        '--repo',
        project.url,
      ]);
      expect(diff).to.match(/^\s*M\s+big\.bin\b/m);
      expect(diff).to.not.contain('small.bin');
    });

    it('the page shows each bundle next to its commit', async () => {
      const page = await (
        await fetch(`${project.url}/commits/main`, { headers: { accept: 'text/html' } })
      ).text();
      for (const { bundle, commit } of await stage.log(project)) {
        expect(page).to.contain(bundle.slice(0, 7));
        expect(page).to.contain(commit.slice(0, 7));
      }
      const raw = await fetch(`${project.url}/raw/main/small.bin`);
      expect(await raw.text()).to.equal('x');
    });

    it('cat and get read it back without git', async () => {
      const out = `${stage.world.root}/got`;
      await stage.mustRun('datamon', ['get', 'main', out, '--repo', project.url]);
      expect((await readFile(`${out}/big.bin`)).equals(second)).to.equal(true);
      expect(
        await stage.mustRun('datamon', ['cat', 'main:small.bin', '--repo', project.url]),
      ).to.equal('x');
    });

    it('a clone with datamon is byte-identical, with no per-clone configuration', async () => {
      const clone = await stage.world.clone(project.remote, 'edits-clone');
      expect((await clone.read('big.bin')).equals(second)).to.equal(true);
    });

    it('a clone without datamon is byte-identical over basic transfer', async () => {
      const home = await stage.plainHome();
      const cloned = await stage.world.run(
        'git',
        ['clone', '-q', project.remote.dir, 'edits-plain'],
        { env: home },
      );
      expect(cloned.status, cloned.stderr).to.equal(0);
      expect((await readFile(`${stage.world.root}/edits-plain/big.bin`)).equals(second)).to.equal(
        true,
      );
    });

    it('a push without datamon goes over basic transfer, and is recorded afterwards', async () => {
      const home = await stage.plainHome();
      const cloned = await stage.world.run(
        'git',
        ['clone', '-q', project.remote.dir, 'edits-basic'],
        { env: home },
      );
      expect(cloned.status, cloned.stderr).to.equal(0);
      const cwd = `${stage.world.root}/edits-basic`;
      await stage.world.run('git', ['checkout', '-q', '-b', 'basic'], { cwd, env: home });
      await stage.world.run(
        'sh',
        ['-c', 'head -c 300000 big.bin > copy.bin && git add copy.bin && git commit -qm Copy'],
        { cwd, env: home },
      );
      const pushed = await stage.world.run('git', ['push', '-q', 'origin', 'basic'], {
        cwd,
        env: home,
      });
      expect(pushed.status, pushed.stderr).to.equal(0);
      await project.repo.git('fetch', '-q');
      await project.repo.git('checkout', '-q', 'basic');
      await stage.mustRun('datamon', ['record'], { cwd: project.repo.dir });
      await project.repo.git('checkout', '-q', 'main');
      const recorded = (await stage.log(project)).find((bundle) => bundle.branch === 'basic');
      expect(recorded?.files).to.equal(3);
    });

    it('an identical file under another name and in another branch stores none of its bytes', async () => {
      const { repo } = project;
      await repo.git('checkout', '-q', '-b', 'copies');
      await repo.write('renamed.bin', second);
      await repo.commit('Copy');
      const before = await stage.storeBytes();
      const pushed = await repo.run(['push', 'origin', 'copies']);
      expect(pushed.status, pushed.stderr).to.equal(0);
      expect((await stage.storeBytes()) - before).to.be.at.most(32 * 1024);
      const copy = (await stage.log(project)).find((bundle) => bundle.branch === 'copies');
      expect(copy?.newBytes).to.equal(0);
      expect(pushed.stderr).to.contain('100 % reused');
      await repo.git('checkout', '-q', 'main');
    });

    it('a push of nothing new prints nothing of datamon', async () => {
      const pushed = await project.repo.run(['push']);
      expect(pushed.status).to.equal(0);
      expect(pushed.stderr).to.not.contain('datamon');
    });

    it('killed and started again on the same store, the server has everything', async () => {
      await stage.killServer('SIGKILL');
      await stage.startServer();
      expect((await stage.log(project)).length).to.be.at.least(2);
      const clone = await stage.world.clone(project.remote, 'edits-after-restart');
      expect((await clone.read('big.bin')).equals(second)).to.equal(true);
    });
  });

  it('round-trips sizes around every limit, odd names, exec bit and symlinks', async () => {
    const project = await stage.project('odd');
    const { repo } = project;
    const sizes = [
      0,
      1,
      16_383,
      16_384,
      65_535,
      65_536,
      65_537,
      262_143,
      262_144,
      262_145,
      4 * MIB - 1,
      4 * MIB + 1,
    ];
    const files = new Map<string, Buffer>(
      sizes.map((size) => [`size-${size}.bin`, seededBytes(size + 7, size)]),
    );
    const names = [
      'a b.bin',
      'quo"te\'s.bin',
      'new\nline.bin',
      'caf\u00e9.bin',
      'cafe\u0301.bin',
      '-dash.bin',
      '$(echo x).bin',
      'tab\t.bin',
      'ünï/cødé.bin',
    ];
    for (const [index, name] of names.entries())
      files.set(name, seededBytes(100 + index, 5000 + index));
    for (const [name, bytes] of files)
      await repo.write(name, bytes, name === 'a b.bin' ? 0o755 : 0o644);
    await symlink('a b.bin', repo.path('link.bin'));
    await repo.commit('Odd ones');
    const pushed = await repo.run(['push', '-q', 'origin', 'main']);
    expect(pushed.status, pushed.stderr).to.equal(0);
    const clone = await stage.world.clone(project.remote, 'odd-clone');
    for (const [name, bytes] of files)
      expect((await clone.read(name)).equals(bytes), JSON.stringify(name)).to.equal(true);
    expect((await stat(clone.path('a b.bin'))).mode & 0o100).to.equal(0o100);
    expect(await readlink(clone.path('link.bin'))).to.equal('a b.bin');
    const out = `${stage.world.root}/odd-got`;
    await stage.mustRun('datamon', ['get', 'main', out, '--repo', project.url]);
    for (const [name, bytes] of files) {
      if (bytes.length > 0)
        expect((await readFile(`${out}/${name}`)).equals(bytes), JSON.stringify(name)).to.equal(
          true,
        );
    }
    expect((await stat(`${out}/a b.bin`)).mode & 0o100).to.equal(0o100);
  });

  it('a push without data makes no repo, though the server is asked beside git', async () => {
    const { repo, url: made } = await stage.project('code-only');
    const url = made.replace('/code-only', '/never-made');
    await repo.git('config', 'lfs.url', url);
    await repo.write('code.txt', 'no data');
    await repo.commit('Code');
    const pushed = await repo.run(['push', 'origin', 'main']);
    expect(pushed.status, pushed.stderr).to.equal(0);
    const { status, stderr } = await stage.run('datamon', ['log', '--repo', url]);
    expect(status).to.not.equal(0);
    expect(stderr).to.contain('there is no repo team/never-made');
  });
});
