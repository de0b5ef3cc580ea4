/** Wherever a push is cut off, what comes next ends in one bundle, recorded once, or in none: step by step, each step left out in turn. */
import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { openRepositoryUrl } from '../../client/open.ts';
import { EXIT } from '../../core/io.ts';
import { openGitRepo } from '../../git/repository.ts';
import { listPending } from '../../hooks/local-pending.ts';
import { prePush } from '../../hooks/pre-push.ts';
import { PENDING_TTL_MS, reconcile, settleByRemote } from '../../hooks/reconcile.ts';
import { referenceTransaction } from '../../hooks/reference-transaction.ts';
import { datamon } from '../cli/support/cli.ts';
import type { GitRepo } from '../support/git-repo.ts';
import { type HookedProject, HookStage } from '../support/hook-stage.ts';
import { hookWorld, type RecordedHookWorld } from '../support/hook-world.ts';

const NONE = '0'.repeat(40);

describe('a push cut off', function () {
  this.timeout(30_000);
  let stage: HookStage;
  let count = 0;
  before(async () => {
    stage = await HookStage.create();
  });
  after(() => stage.remove());

  interface Started extends HookedProject {
    readonly commit: string;
  }

  async function started(): Promise<Started> {
    count += 1;
    const project = await stage.project(`cut-${count}`);
    await project.repo.write('a.bin', `data ${count}`);
    return { ...project, commit: await project.repo.commit('first') };
  }

  const worldOf = (repo: GitRepo, input = ''): RecordedHookWorld =>
    hookWorld({ env: stage.world.env, cwd: repo.dir, input });
  const lineOf = ({ commit }: Started): string =>
    `refs/heads/main ${commit} refs/heads/main ${NONE}`;

  /** The steps of a push: git runs the hook, moves the remote's ref, then tells the other hook. */
  async function hookRuns(project: Started): Promise<RecordedHookWorld> {
    const world = worldOf(project.repo, `${lineOf(project)}\n`);
    const status = await prePush(world, ['origin', project.remote.dir]);
    expect(status, world.said()).to.equal(EXIT.ok);
    return world;
  }
  const refMoves = ({ repo }: Started): Promise<string> =>
    repo.git('-c', 'core.hooksPath=/dev/null', 'push', '-q', 'origin', 'main');
  async function hookIsTold({ repo, commit }: Started): Promise<string> {
    const world = worldOf(repo, `${NONE} ${commit} refs/remotes/origin/main\n`);
    await referenceTransaction(world, ['committed']);
    return world.said();
  }
  async function storeGone<T>(work: () => Promise<T>): Promise<T> {
    await rename(stage.storeFolder, `${stage.storeFolder}.gone`);
    try {
      return await work();
    } finally {
      await rm(stage.storeFolder, { recursive: true, force: true });
      await rename(`${stage.storeFolder}.gone`, stage.storeFolder);
    }
  }
  const verb = ({ repo }: Started, ...argv: string[]) =>
    datamon(argv, {
      cwd: repo.dir,
      env: stage.world.env,
      runtime: {
        programs: {
          serve: () => Promise.reject(new Error('not here')),
          agent: () => Promise.reject(new Error('not here')),
          hook: () => import('../../hooks/main.ts'),
        },
      },
    });
  async function isRecordedOnce(project: Started): Promise<void> {
    expect((await stage.events(project)).map(({ gitNew }) => gitNew)).to.deep.equal([
      project.commit,
    ]);
    expect(await stage.pendings(project.repo)).to.deep.equal([]);
    expect(await stage.announced(project)).to.equal(0);
  }

  it('after its files, before it is announced: nothing shows, and the next sends no file again', async () => {
    const project = await started();
    const pending = join(
      stage.storeFolder,
      'repos',
      encodeURIComponent(`team/cut-${count}`),
      'pending',
    );
    const create = { by: 'Ada <ada@example.org>', remote: null };
    await (await openRepositoryUrl(project.url, { create })).close();
    await writeFile(pending, 'in the way');
    const world = worldOf(project.repo, `${lineOf(project)}\n`);
    expect(await prePush(world, ['origin', project.remote.dir])).to.equal(EXIT.failure);
    expect(world.said()).to.contain('1 file changed');
    expect(await stage.pendings(project.repo)).to.deep.equal([]);
    await rm(pending);
    expect(await stage.branches(project)).to.deep.equal([]);
    const ran = await project.repo.run(['push', 'origin', 'main']);
    expect(ran.stderr).to.not.contain('file changed');
    await stage.settled(project.repo);
    await isRecordedOnce(project);
  });

  it('after it is announced, before the ref moved: let go, and pushing again is recorded once', async () => {
    const project = await started();
    await hookRuns(project);
    await verb(project, 'status');
    expect(await stage.announced(project)).to.equal(0);
    expect(await stage.branches(project)).to.deep.equal([]);
    await hookRuns(project);
    await hookRuns(project);
    await refMoves(project);
    await hookIsTold(project);
    await verb(project, 'status');
    await isRecordedOnce(project);
  });

  for (const argv of [['status'], ['log'], ['show'], ['record']]) {
    it(`after the ref moved, before it is recorded: datamon ${argv.join(' ')} records it`, async () => {
      const project = await started();
      await hookRuns(project);
      await refMoves(project);
      expect(await stage.branches(project)).to.deep.equal([]);
      const ran = await verb(project, ...argv);
      expect([ran.status, ran.stderr]).to.deep.equal([EXIT.ok, '']);
      expect(ran.stdout).to.contain(project.commit.slice(0, 7));
      await isRecordedOnce(project);
    });
  }

  it('with the store gone when it should be recorded: the push is done, and recorded later', async () => {
    const project = await started();
    await hookRuns(project);
    await refMoves(project);
    const said = await storeGone(() => hookIsTold(project));
    expect(said).to.contain('the push is done, but not in the history yet');
    expect(said).to.contain('next push or datamon command');
    const offline = await storeGone(() => verb(project, 'status'));
    expect(offline.status, offline.stderr).to.equal(EXIT.ok);
    expect(await stage.pendings(project.repo)).to.have.length(1);
    await verb(project, 'log');
    await isRecordedOnce(project);
  });

  it('confirmed by many at once: recorded once', async () => {
    const project = await started();
    await hookRuns(project);
    await refMoves(project);
    const repo = await openGitRepo(project.repo.dir, stage.world.env);
    const [pending] = await listPending(repo);
    if (pending === undefined) throw new Error('nothing is pending');
    const confirming = {
      world: worldOf(project.repo),
      repo,
      signal: AbortSignal.timeout(20_000),
      style: 'off',
    } as const;
    const fates = await Promise.all([
      settleByRemote(confirming, pending),
      settleByRemote(confirming, pending),
      settleByRemote(confirming, pending),
      hookIsTold(project),
    ]);
    expect(fates.slice(0, 3)).to.deep.equal(['confirmed', 'confirmed', 'confirmed']);
    await isRecordedOnce(project);
  });

  it('by another who was first: the loser’s push leaves no trace', async () => {
    const project = await started();
    const other = await stage.world.clone(project.remote, `other-${count}`);
    await other.git('config', 'lfs.url', `datamon::${project.url}`);
    await other.git('checkout', '-q', '-b', 'main');
    await other.write('.gitattributes', '*.bin filter=lfs diff=lfs merge=lfs -text\n');
    await other.write('b.bin', `theirs ${count}`);
    const loser = { ...project, repo: other, commit: await other.commit('theirs') };
    await Promise.all([hookRuns(project), hookRuns(loser)]);
    expect(await stage.announced(project)).to.equal(2);
    await refMoves(project);
    await hookIsTold(project);
    expect(
      (await other.run(['-c', 'core.hooksPath=/dev/null', 'push', 'origin', 'main'])).status,
    ).to.not.equal(0);
    const fates = await reconcile({
      world: hookWorld({ env: stage.world.env, cwd: other.dir, nowMs: 2 * PENDING_TTL_MS }),
      repo: await openGitRepo(other.dir, stage.world.env),
      signal: AbortSignal.timeout(20_000),
      style: 'off',
    });
    expect(fates).to.deep.equal(['abandoned']);
    expect(await stage.pendings(other)).to.deep.equal([]);
    await isRecordedOnce(project);
    const found = await stage.visit(project, ({ history }) =>
      history.bundleOfCommit(loser.commit as never),
    );
    expect(found).to.equal(null);
  });
});
