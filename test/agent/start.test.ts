/** What a start of the agent costs, counted where it can be counted: runs of git, and parts of Node that nobody asked for. */
import { spawnSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { expect } from 'chai';
import { openClone } from '../../agent/clone.ts';
import { connect } from '../../agent/connect.ts';
import type { InitRequest } from '../../agent/messages.ts';
import { findGit } from '../../git/binary.ts';
import { type GitRepo, GitWorld } from '../support/git-repo.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const init: InitRequest = {
  event: 'init',
  operation: 'upload',
  remote: 'origin',
  concurrentTransfers: 1,
};

describe('agent, starting', () => {
  let world: GitWorld;
  let repo: GitRepo;
  let env: Record<string, string>;
  let log: string;

  beforeEach(async () => {
    world = await GitWorld.create();
    ({ repo } = await world.withRemote());
    const bin = join(world.root, 'bin');
    log = join(world.root, 'git.log');
    await mkdir(bin);
    const real = await findGit(world.env);
    const counting = `#!/bin/sh\necho "$1" >>'${log}'\nexec '${real}' "$@"\n`;
    await writeFile(join(bin, 'git'), counting, { mode: 0o755 });
    env = { ...world.env, PATH: `${bin}:${world.env['PATH']}` };
  });
  afterEach(() => world.remove());

  const start = async (): Promise<readonly string[]> => {
    await writeFile(log, '');
    const clone = await openClone(repo.dir, env);
    const { url } = await clone.endpoint(init);
    await clone.endpoint(init);
    const { signal } = new AbortController();
    const options = { init, repo: async () => clone.repo, env, batchToken: null, signal };
    await (await connect(url, options)).close();
    return (await readFile(log, 'utf8')).trim().split('\n').sort();
  };

  it('runs git three times, and twice more only to make the repo', async () => {
    await repo.git('config', 'lfs.url', `datamon::file://${world.root}/store//team/w`);
    const always = ['cat-file', 'config', 'rev-parse'];
    expect(await start()).to.deep.equal([...always, 'remote', 'var'].sort());
    expect(await start()).to.deep.equal(always);
  });

  it('takes the committed .lfsconfig of the work tree as it was when it started', async () => {
    await repo.write('.lfsconfig', `[lfs]\n\turl = datamon::file://${world.root}/one//team/w\n`);
    const clone = await openClone(repo.dir, env);
    expect((await clone.endpoint(init)).url).to.include('/one//');
    await repo.write('.lfsconfig', `[lfs]\n\turl = datamon::file://${world.root}/two//team/w\n`);
    expect((await clone.endpoint(init)).url).to.include('/one//');
  });

  it('says where it is asked, not before, that a committed .lfsconfig does not read', async () => {
    await repo.write('.lfsconfig', '[lfs\n');
    const clone = await openClone(repo.dir, env);
    const failure = await clone.endpoint(init).catch((error: Error) => error.message);
    expect(failure).to.include('git cannot read its configuration');
  });

  it('loads nothing of HTTP, and no zlib', () => {
    const script = `await import('${join(ROOT, 'agent/program.ts')}');
      const parts = process.moduleLoadList.filter((each) => /NativeModule (_?https?|zlib|.*undici)/.test(each));
      process.stdout.write(JSON.stringify(parts.map((each) => each.replace('NativeModule ', ''))));`;
    const args = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', script];
    const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    expect(stderr).to.equal('');
    expect(JSON.parse(stdout)).to.deep.equal([]);
  });
});
