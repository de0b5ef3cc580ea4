/** Announcements that nobody confirmed are settled later, by whoever looks: at or past what was pushed is confirmed, all else let go. */
import { readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { newPushId } from '../../git/record-commit.ts';
import { remoteId } from '../../git/remote-id.ts';
import { type GitRepository, openGitRepo } from '../../git/repository.ts';
import {
  dropRef,
  type LocalPending,
  listPending,
  type PendingRef,
  pendingFile,
  removePending,
  writePending,
} from '../../hooks/local-pending.ts';
import { PENDING_TTL_MS, type PendingFate, reconcile } from '../../hooks/reconcile.ts';
import { type HookedProject, HookStage } from '../support/hook-stage.ts';
import { hookWorld } from '../support/hook-world.ts';

describe('hooks/reconcile', function () {
  this.timeout(30_000);
  let stage: HookStage;
  let project: HookedProject;
  let repo: GitRepository;
  let base: Omit<LocalPending, 'pushId' | 'refs'>;
  let pushed: PendingRef;

  before(async () => {
    stage = await HookStage.create();
    project = await stage.project('p');
    await project.repo.write('a.bin', 'data');
    await project.repo.commit('first');
    const { bundle, commit, totals, receipt } = await stage.pushAndRecord(project);
    repo = await openGitRepo(project.repo.dir, stage.world.env);
    base = {
      version: 1,
      remoteName: 'origin',
      remoteUrl: project.remote.dir,
      remote: await remoteId(project.remote.dir, '/'),
      lfsUrl: `datamon::${project.url}`,
      isAnnounced: false,
      pushedBy: 'Ada <ada@example.org>',
      createdAtMs: 0,
      gitPid: null,
    };
    pushed = {
      ref: 'refs/heads/x',
      tracking: null,
      gitOld: null,
      gitNew: commit,
      tip: commit,
      bundle,
      base: null,
      totals,
      extraOids: null,
      missing: [],
      forced: false,
      receipt,
      isQuiet: false,
    };
  });
  after(() => stage.remove());
  afterEach(async () => {
    for (const { pushId } of await listPending(repo)) await removePending(repo, pushId);
  });

  const write = (refs: readonly PendingRef[], more: Partial<LocalPending> = {}) =>
    writePending(repo, { ...base, pushId: newPushId(), refs, ...more });
  const settle = (nowMs: number, alive: readonly number[] = []): Promise<readonly PendingFate[]> =>
    reconcile({
      world: hookWorld({ env: stage.world.env, cwd: project.repo.dir, nowMs, alive }),
      repo,
      signal: AbortSignal.timeout(20_000),
      style: 'off',
    });
  async function only(): Promise<LocalPending> {
    const [left, ...more] = await listPending(repo);
    if (left === undefined || more.length > 0) throw new Error('not one pending push');
    return left;
  }

  it('confirms the refs that took and lets go of the others', async () => {
    await project.remote.git('update-ref', 'refs/heads/late', pushed.gitNew ?? '');
    await write([
      { ...pushed, ref: 'refs/heads/late' },
      { ...pushed, ref: 'refs/heads/never' },
    ]);
    expect(await settle(2 * PENDING_TTL_MS)).to.deep.equal(['abandoned']);
    expect(await listPending(repo)).to.deep.equal([]);
    expect(await stage.branches(project)).to.have.members(['main', 'late']);
  });

  it('confirms what the remote has moved past', async () => {
    await project.repo.write('code.py', 'x');
    const next = await project.repo.commit('next');
    await project.repo.git('-c', 'core.hooksPath=/dev/null', 'push', '-q', 'origin', 'main:past');
    await write([{ ...pushed, ref: 'refs/heads/past' }]);
    expect(await settle(2 * PENDING_TTL_MS)).to.deep.equal(['confirmed']);
    const [event] = await stage.events(project, 'past');
    expect(event?.gitNew).to.equal(pushed.gitNew).and.not.equal(next);
  });

  it('waits for a push that runs, and for one that may still run', async () => {
    await write([{ ...pushed, ref: 'refs/heads/running' }], { gitPid: 4242 });
    expect(await settle(PENDING_TTL_MS - 1, [4242])).to.deep.equal([]);
    expect(await settle(1000)).to.deep.equal(['abandoned']);
    await write([{ ...pushed, ref: 'refs/heads/unknown' }]);
    expect(await settle(PENDING_TTL_MS - 1)).to.deep.equal(['open']);
    expect(await settle(PENDING_TTL_MS + 1)).to.deep.equal(['abandoned']);
  });

  it('takes a process of another day for another process', async () => {
    await write([{ ...pushed, ref: 'refs/heads/yesterday' }], { gitPid: 4242 });
    expect(await settle(PENDING_TTL_MS + 1, [4242])).to.deep.equal(['abandoned']);
  });

  it('keeps what it cannot ask about', async () => {
    await write([pushed], { remoteUrl: join(stage.world.root, 'nowhere.git') });
    expect(await settle(2 * PENDING_TTL_MS)).to.deep.equal(['open']);
    expect((await only()).refs).to.have.length(1);
  });

  it('takes refs out one by one', async () => {
    await write([pushed, { ...pushed, ref: 'refs/heads/y' }]);
    const { pushId } = await only();
    expect((await dropRef(repo, pushId, 'refs/heads/y')).isLast).to.equal(false);
    expect((await only()).refs).to.deep.equal([pushed]);
    expect((await dropRef(repo, pushId, pushed.ref)).isLast).to.equal(true);
  });

  it('keeps its files private, and leaves alone what it does not understand', async () => {
    await write([pushed]);
    const { pushId } = await only();
    const file = pendingFile(repo, pushId);
    expect((await stat(file)).mode & 0o777).to.equal(0o600);
    const folder = join(file, '..');
    await writeFile(join(folder, `${'b'.repeat(32)}.json`), '{"version":2}');
    await writeFile(join(folder, `${'c'.repeat(32)}.json`), '{"vers');
    await writeFile(join(folder, 'notes.json'), '{}');
    expect(await listPending(repo)).to.have.length(1);
    await settle(2 * PENDING_TTL_MS);
    expect(await readdir(folder))
      .to.include('notes.json')
      .and.not.include(`${pushId}.json`);
  });

  it('treats a deleted ref as taken once it is gone', async () => {
    await write([
      {
        ...pushed,
        ref: 'refs/heads/late',
        gitOld: pushed.gitNew,
        gitNew: null,
        tip: null,
        bundle: null,
        totals: { fileCount: 0, sizeBytes: 0 },
      },
    ]);
    expect(await settle(1000)).to.deep.equal(['open']);
    await project.remote.git('update-ref', '-d', 'refs/heads/late');
    expect(await settle(1000)).to.deep.equal(['confirmed']);
    expect((await stage.events(project, 'late')).at(-1)?.gitNew).to.equal(null);
  });
});
