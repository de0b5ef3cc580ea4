/** init, status, record, doctor and refs inside a clone, with real git and git-lfs on a directory store. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { EXIT } from '../../core/io.ts';
import { type GitRepo, GitWorld } from '../support/git-repo.ts';
import { type CliOptions, datamon, withRepo } from './support/cli.ts';

describe('datamon in a clone', function () {
  // Each test runs git and git-lfs dozens of times.
  this.timeout(40_000);
  let world: GitWorld;
  let repo: GitRepo;
  let remote: GitRepo;
  let store: string;
  const run = (argv: string[], options: CliOptions = {}) =>
    datamon(argv, { cwd: repo.dir, ...options, env: { ...world.env, ...options.env } });

  beforeEach(async () => {
    world = await GitWorld.create();
    ({ repo, remote } = await world.withRemote('weather'));
    store = join(world.root, 'store');
  });
  afterEach(() => world.remove());

  /** What a push without hook and agent leaves: the git remote has the commit, the store nothing. */
  async function pushed(message = 'Data'): Promise<string> {
    await repo.write('a.bin', `bytes of ${message}`);
    const commit = await repo.commit(message);
    await repo.git('push', '-q', '--no-verify', 'origin', 'HEAD:main');
    return commit;
  }

  describe('init', () => {
    it('refuses outside of a clone with a sentence', async () => {
      const { status, stderr } = await run(['init', store], { cwd: '/' });
      expect([status, stderr.includes('not inside a git repository')]).to.deep.equal([
        EXIT.notFound,
        true,
      ]);
    });

    it('keeps a directory’s path in this clone, and names the repo after the remote', async () => {
      const { json, status } = await run(['init', store, '--json']);
      expect(status).to.equal(EXIT.ok);
      expect(json[0]).to.include({ repo: 'weather', written: 'clone', hooks: 'ours' });
      expect(await repo.git('config', '--local', 'lfs.url')).to.equal(
        `datamon::file://${store}//weather`,
      );
      expect((await repo.git('status', '--porcelain')).includes('.lfsconfig')).to.equal(false);
    });

    it('--shared writes .lfsconfig with the two commands on top, and keeps what is in it', async () => {
      await repo.write('.lfsconfig', '[lfs]\n\tfetchexclude = big\n');
      await run(['init', store, '--shared', '--lenient', '--repo', 'acme/weather']);
      const text = await readFile(repo.path('.lfsconfig'), 'utf8');
      expect(text).to.match(/^# .*\n#.*datamon install.*\n#.*git lfs pull\n/);
      expect(text).to.contain(`url = datamon::file://${store}//acme/weather`);
      expect(text).to.contain('fetchexclude = big').and.to.contain('skipdownloaderrors = true');
      expect(text).to.not.contain('[datamon');
      expect(await repo.git('config', '--local', 'lfs.url')).to.contain('//acme/weather');
    });

    it('a second time changes nothing', async () => {
      await run(['init', store, '--shared']);
      const before = await readFile(repo.path('.lfsconfig'), 'utf8');
      expect((await run(['init', store, '--shared', '--json'])).json[0]).to.include({
        written: null,
      });
      expect(await readFile(repo.path('.lfsconfig'), 'utf8')).to.equal(before);
    });

    it('names the repo after host remotes, and takes it from the URL', async () => {
      await repo.git('remote', 'set-url', 'origin', 'git@git.example.org:acme/weather.git');
      expect((await run(['init', store, '--json'])).json[0]).to.include({ repo: 'acme/weather' });
      expect((await run(['init', `${store}//other/name`, '--json'])).json[0]).to.include({
        repo: 'other/name',
      });
    });

    it('--remote writes for that remote alone, and must name one', async () => {
      await run(['init', store, '--shared', '--remote', 'origin']);
      expect(await readFile(repo.path('.lfsconfig'), 'utf8')).to.contain(
        '[remote "origin"]\n\tlfsurl = ',
      );
      expect((await run(['init', store, '--remote', 'nope'])).status).to.equal(EXIT.usage);
    });

    it('--no-hooks and datamon.hooks=off leave hooks alone', async () => {
      expect((await run(['init', store, '--no-hooks', '--json'])).json[0]).to.include({
        hooks: 'off',
      });
      // Remembered, so that the agent does not put them in later.
      expect(await repo.git('config', '--local', 'datamon.hooks')).to.equal('off');
      await repo.git('config', '--local', '--unset', 'datamon.hooks');
      await repo.git('config', 'datamon.hooks', 'off');
      expect((await run(['init', store, '--json'])).json[0]).to.include({ hooks: 'off' });
    });

    it('prints the snippet where the hook is somebody else’s, and touches nothing', async () => {
      const hook = await repo.writeHook('pre-push', '#!/bin/sh\necho mine\n');
      const { json, stderr } = await run(['init', store, '--json']);
      expect(json[0]).to.include({ hooks: 'refused' });
      expect(stderr).to.contain('datamon hook pre-push');
      expect(await readFile(hook, 'utf8')).to.equal('#!/bin/sh\necho mine\n');
    });

    it('writes nothing where the store cannot be used', async () => {
      await writeFile(store, 'a file, no folder');
      const { status, stderr } = await run(['init', store, '--shared']);
      expect(status).to.not.equal(EXIT.ok);
      expect(stderr).to.match(/^datamon: .+/);
      expect(await repo.git('status', '--porcelain')).to.not.contain('.lfsconfig');
    });

    it('a server must answer', async () => {
      expect((await run(['init', 'http://127.0.0.1:9/acme/x'])).status).to.equal(EXIT.unavailable);
    });
  });

  describe('record', () => {
    it('makes the bundle of what is on the remote, sends what is missing, and is idempotent', async () => {
      await run(['init', store, '--no-hooks']);
      const commit = await pushed();
      await repo.git('checkout', '-q', '-B', 'main');
      const { json, status } = await run(['record', '--json']);
      expect(status).to.equal(EXIT.ok);
      expect(json[0]).to.include({
        ref: 'refs/heads/main',
        commit,
        outcome: 'recorded',
        uploaded: 1,
      });
      expect((await run(['record', '--json'])).json[0]).to.include({
        outcome: 'already',
        uploaded: 0,
      });
      expect((await run(['cat', 'HEAD:a.bin'])).stdout).to.equal('bytes of Data');
      expect((await run(['log', '--json'])).json.map((row) => row['commit'])).to.deep.equal([
        commit,
      ]);
    });

    it('records nothing that was not pushed', async () => {
      await run(['init', store, '--no-hooks']);
      await pushed();
      await repo.write('a.bin', 'not pushed');
      await repo.commit('Local only');
      await run(['record', 'main']);
      expect((await run(['log', '--json'])).json).to.have.lengthOf(1);
      expect((await run(['record', 'nope'])).status).to.equal(EXIT.notFound);
    });

    it('--all takes branches and tags; a tag becomes a label', async () => {
      await run(['init', store, '--no-hooks']);
      const commit = await pushed();
      await repo.git('tag', '-a', 'v1', '-m', 'One');
      await repo.git('push', '-q', '--no-verify', 'origin', 'v1', 'HEAD:refs/heads/side');
      const { json } = await run(['record', '--all', '--json']);
      expect(json.map(({ ref }) => ref)).to.have.members([
        'refs/heads/main',
        'refs/heads/side',
        'refs/tags/v1',
      ]);
      expect((await run(['show', 'v1', '--json'])).json[0]).to.include({ commit });
      expect((await run(['label', '--json'])).json[0]).to.include({ label: 'v1' });
    });

    it('says which bytes are nowhere, with status 3', async () => {
      await run(['init', store, '--no-hooks']);
      await pushed();
      await world.run('rm', ['-rf', repo.path('.git/lfs/objects')]);
      const { status, json } = await run(['record', 'main', '--json']);
      expect(status).to.equal(EXIT.partial);
      expect(json[0]?.['missing']).to.deep.equal(['a.bin']);
    });

    it('a remote that does not answer is named', async () => {
      await run(['init', store, '--no-hooks']);
      await repo.git('remote', 'set-url', 'origin', join(world.root, 'gone.git'));
      const { status, stderr } = await run(['record']);
      expect([status, stderr.includes('git ls-remote origin')]).to.deep.equal([
        EXIT.unavailable,
        true,
      ]);
    });
  });

  describe('refs', () => {
    it('takes what git knows, also commits that no push ended at', async () => {
      await run(['init', store, '--no-hooks']);
      await repo.write('a.bin', 'inner');
      const inner = await repo.commit('Inner');
      const tip = await pushed('Tip');
      await run(['record', 'main']);
      expect((await run(['show', 'HEAD~1', '--json'])).json[0]).to.include({
        bundle: null,
        commit: inner,
      });
      const { json } = await run(['diff', 'HEAD~1', 'HEAD', '--json']);
      expect(json.map(({ path, change }) => [path, change])).to.deep.equal([['a.bin', 'changed']]);
      expect((await run(['show', '--json'])).json[0]).to.include({ commit: tip });
      expect((await run(['ls', 'HEAD^', '-q'])).stdout).to.equal('a.bin\n');
      expect((await run(['label', 'set', 'x', 'HEAD~1'])).status).to.equal(EXIT.notFound);
    });

    it('another repo’s refs have nothing to do with this clone', async () => {
      await run(['init', store, '--no-hooks']);
      await pushed();
      const other = `file://${store}//other`;
      await withRepo(other, () => Promise.resolve());
      expect((await run(['show', 'HEAD', '-R', other])).status).to.equal(EXIT.notFound);
    });
  });

  describe('status', () => {
    it('of a clone without datamon says how to begin', async () => {
      const { stdout, status } = await run([]);
      expect([status, stdout.includes('datamon init URL')]).to.deep.equal([EXIT.ok, true]);
    });

    it('tells repo, hooks, HEAD and the last push', async () => {
      await run(['init', store]);
      const commit = await pushed();
      await run(['record', 'main']);
      const [row] = (await run(['status', '--json'])).json;
      expect(row).to.include({ repo: 'weather', mode: 'store', hooks: 'ours', problem: null });
      expect(row?.['head']).to.include({ commit });
      expect(row?.['lastPush']).to.include({ commit, branch: 'main' });
      expect(row?.['pending']).to.deep.equal([]);
    });

    it('a store that is gone is a line, not the end', async () => {
      await run(['init', store]);
      await world.run('rm', ['-rf', store]);
      const [row] = (await run(['status', '--json'])).json;
      expect(row?.['problem']).to.be.a('string');
      expect((await run([])).status).to.equal(EXIT.ok);
    });

    it('asks no git host whether it is a datamon server', async () => {
      await repo.git('remote', 'set-url', 'origin', 'https://github.com/acme/weather.git');
      expect((await run(['status', '--json'])).json[0]).to.include({ url: null });
    });
  });

  describe('doctor', () => {
    const bad = async () =>
      (await run(['doctor', '--json'])).json
        .filter(({ ok }) => ok === false)
        .map(({ check }) => check);

    it('is content with a clone that was set up', async () => {
      await run(['install']);
      await run(['init', store, '--shared']);
      await pushed();
      await run(['record', 'main']);
      expect(await bad()).to.deep.equal([]);
    });

    it('finds stray keys, uncommitted .lfsconfig, missing hooks, lock checks off; --fix mends three', async () => {
      await run(['install']);
      await run(['init', store, '--shared']);
      for (const hook of ['pre-push', 'reference-transaction'])
        await rm(repo.path('.git/hooks', hook));
      await world.run('git', ['config', '--file', '.lfsconfig', 'datamon.receipt', 'off'], {
        cwd: repo.dir,
      });
      await repo.git('config', 'lfs.https://old.example.org.locksverify', 'false');
      expect(await bad()).to.have.members([
        'hooks',
        'lfsconfig-keys',
        'lfsconfig-committed',
        'locks-verify',
      ]);
      await run(['doctor', '--fix']);
      expect(await bad()).to.deep.equal(['lfsconfig-committed']);
    });

    it('finds data that is neither here nor in the store', async () => {
      await run(['install']);
      await run(['init', store, '--no-hooks']);
      await pushed();
      await world.run('rm', ['-rf', repo.path('.git/lfs/objects')]);
      expect(await bad()).to.include('data');
    });
  });

  it('the git remote is untouched by all of it', async () => {
    await run(['init', store]);
    expect(await remote.git('for-each-ref')).to.equal('');
  });
});
