/** The agent in a real clone: what it finds there, the hooks it installs on first contact, the repo it makes, the tokens it uses. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { openClone } from '../../agent/clone.ts';
import { connect } from '../../agent/connect.ts';
import { installHooksOnce } from '../../agent/first-contact.ts';
import type { InitRequest } from '../../agent/messages.ts';
import { codeOf } from '../support/code-of.ts';
import { type GitRepo, GitWorld } from '../support/git-repo.ts';

const init: InitRequest = {
  event: 'init',
  operation: 'upload',
  remote: 'origin',
  concurrentTransfers: 1,
};
const { signal } = new AbortController();

describe('agent in a clone', () => {
  let world: GitWorld;
  let repo: GitRepo;
  let env: Record<string, string>;

  beforeEach(async () => {
    world = await GitWorld.create();
    ({ repo } = await world.withRemote());
    const bin = join(world.root, 'bin');
    await mkdir(bin);
    await writeFile(join(bin, 'datamon'), '#!/bin/sh\n', { mode: 0o755 });
    env = { ...world.env, DATAMON_LAUNCHER: bin };
  });
  afterEach(() => world.remove());

  const storeUrl = () => `datamon::file://${world.root}/store//team/w`;

  it('sees the endpoint, the LFS folder and the settings as git-lfs does', async () => {
    await repo.write('.lfsconfig', `[lfs]\n\turl = ${storeUrl()}\n`);
    await repo.git('config', 'lfs.storage', 'elsewhere');
    await repo.git('config', 'core.sharedRepository', 'group');
    await repo.git('config', 'lfs.pruneverifyremotealways', 'true');
    const clone = await openClone(repo.dir, env);
    expect(await clone.endpoint(init)).to.deep.equal({ url: storeUrl(), isStore: true });
    expect(await clone.lfsDirectory()).to.equal(repo.path('.git', 'elsewhere'));
    expect(await clone.sharedRepository()).to.equal('group');
    expect(await clone.prunesAfterCheck()).to.equal(true);
    expect(await clone.hooksPolicy()).to.equal(null);
  });

  it('swaps the stock hook for ours on first contact, and notes the clone', async () => {
    const stock = await repo.writeHook('pre-push', '#!/bin/sh\ngit lfs pre-push "$@"\n');
    await installHooksOnce(await openClone(repo.dir, env), env);
    expect(await readFile(stock, 'utf8')).to.include(join(world.root, 'bin', 'datamon'));
    expect(await readFile(join(world.root, 'home/.state/datamon/repos'), 'utf8')).to.include(
      repo.dir,
    );
  });

  it('leaves somebody else’s hook alone', async () => {
    const foreign = await repo.writeHook('pre-push', '#!/bin/sh\nmake test\n');
    await installHooksOnce(await openClone(repo.dir, env), env);
    expect(await readFile(foreign, 'utf8')).to.equal('#!/bin/sh\nmake test\n');
  });

  it('installs nothing where there is no launcher to call', async () => {
    const stock = await repo.writeHook('pre-push', '#!/bin/sh\ngit lfs pre-push "$@"\n');
    await installHooksOnce(await openClone(repo.dir, env), world.env);
    expect(await readFile(stock, 'utf8')).to.not.include('datamon');
  });

  it('makes the repo at the first upload, with who and which git remote; a download makes none', async () => {
    const clone = await openClone(repo.dir, env);
    const options = { init, repo: async () => clone.repo, env, batchToken: null, signal };
    const reading = { ...options, init: { ...init, operation: 'download' as const } };
    expect(await codeOf(connect(storeUrl(), reading))).to.equal('NOT_FOUND');
    const opened = await connect(storeUrl(), options);
    const info = await opened.history.info();
    await opened.close();
    expect(info.createdBy).to.equal('Ada <ada@example.org>');
    expect(info.remote).to.match(/^file:\/\/.*\/work$/);
    const again = await connect(storeUrl(), reading);
    await again.close();
  });
});
