/** What `datamon record` and the hooks build on: the same commit is the same bundle, and recording twice changes nothing. */
import { rm } from 'node:fs/promises';
import { expect } from 'chai';
import { openRepositoryUrl } from '../../client/open.ts';
import { digestOf } from '../../core/digest.ts';
import type { Repository } from '../../core/meta/repository.ts';
import { resolveCommit } from '../../git/commit.ts';
import { filesOf } from '../../git/commit-files.ts';
import { type RecordedRef, recordRef, storeBundle } from '../../git/record-commit.ts';
import { type GitRepository, openGitRepo } from '../../git/repository.ts';
import { type GitRepo, GitWorld } from '../support/git-repo.ts';

const REMOTE = 'github.com/team/r';

describe('git/record-commit', function () {
  this.timeout(15_000);
  let world: GitWorld;
  let repo: GitRepo;
  let opened: GitRepository;
  let repository: Repository;

  beforeEach(async () => {
    world = await GitWorld.create();
    ({ repo } = await world.withRemote());
    opened = await openGitRepo(repo.dir, world.env);
    repository = await openRepositoryUrl(`file://${world.root}/store//team/r`, {
      create: { by: 'Ada', remote: REMOTE },
    });
  });
  afterEach(async () => {
    await repository.close();
    await world.remove();
  });

  async function record(ref: string, upload: 'missing' | 'nothing'): Promise<RecordedRef> {
    const commit = await resolveCommit(opened.git, 'HEAD');
    const request = { repository, repo: opened, remote: REMOTE, ref, commit, upload };
    return recordRef({ ...request, pushedBy: 'Ada <ada@example.org>' });
  }

  it('uploads, records, and finds all done the second time', async () => {
    await repo.write('a.bin', 'data');
    await repo.commit('one');
    const first = await record('refs/heads/main', 'missing');
    expect(first).to.include({ outcome: 'recorded', uploadedCount: 1 });
    expect(first.receipt).to.include({ newBytes: 4 });
    const again = await record('refs/heads/main', 'missing');
    expect(again).to.include({ outcome: 'already', uploadedCount: 0, bundle: first.bundle });
  });

  it('marks what is nowhere, and heals when it comes back', async () => {
    await repo.write('a.bin', 'data');
    await repo.commit('one');
    const incomplete = await record('refs/heads/main', 'nothing');
    expect(incomplete.missing).to.deep.equal([{ oid: digestOf('data'), path: 'a.bin' }]);
    await repo.write('b.bin', 'more');
    await repo.commit('two');
    const healed = await record('refs/heads/main', 'missing');
    expect(healed).to.include({ uploadedCount: 2 });
    expect(healed.missing).to.deep.equal([]);
  });

  it('makes the same bundle of a commit in two clones', async () => {
    await repo.write('a.bin', 'data');
    await repo.write('README.md', '# x\n');
    await repo.commit('one');
    const commit = await resolveCommit(opened.git, 'HEAD');
    const here = await storeBundle(repository, await filesOf(opened, commit));
    const clone = await world.clone(repo, 'clone', '--bare');
    const there = await openGitRepo(clone.dir, world.env);
    await rm(repo.path('.git/lfs'), { recursive: true });
    const same = await storeBundle(repository, await filesOf(there, commit));
    expect(same.bundle).to.equal(here.bundle);
  });

  it('records a tag as a label and another remote’s branch apart', async () => {
    await repo.write('a.bin', 'data');
    await repo.commit('one');
    await record('refs/tags/v1', 'missing');
    const labels: string[] = [];
    for await (const { event } of repository.history.labels()) labels.push(event.label);
    expect(labels).to.deep.equal(['v1']);
  });

  it('tells a forced move', async () => {
    await repo.write('a.bin', 'one');
    await repo.commit('one');
    await record('refs/heads/main', 'missing');
    await repo.write('a.bin', 'two');
    await repo.git('commit', '-q', '-a', '--amend', '-m', 'two');
    await record('refs/heads/main', 'missing');
    for await (const { event } of repository.history.branchLog('main')) {
      expect(event).to.include({ forced: true, gap: false });
      break;
    }
  });
});
