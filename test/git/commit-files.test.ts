/** The files of a commit told by what changed: always the bundle that all of them make, or all of them after all. */
import { rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { openRepositoryUrl } from '../../client/open.ts';
import { digestOf } from '../../core/digest.ts';
import type { Repository } from '../../core/meta/repository.ts';
import { resolveCommit } from '../../git/commit.ts';
import { type CommitFiles, filesOf, filesSince, RECORDER_VERSION } from '../../git/commit-files.ts';
import { rememberTree } from '../../git/known-trees.ts';
import { ownFolder } from '../../git/own-folder.ts';
import { passingOids, storeBundle } from '../../git/record-commit.ts';
import { type GitRepository, openGitRepo } from '../../git/repository.ts';
import { useFastPaths } from '../support/fast-paths.ts';
import { type GitRepo, GitWorld } from '../support/git-repo.ts';

describe('git/commit-files', function () {
  this.timeout(15_000);
  useFastPaths();
  let world: GitWorld;
  let repo: GitRepo;
  let opened: GitRepository;
  let repository: Repository;

  const openStore = (name: string) =>
    openRepositoryUrl(`file://${world.root}/${name}//team/r`, {
      create: { by: 'Ada', remote: 'github.com/team/r' },
    });

  beforeEach(async () => {
    world = await GitWorld.create();
    ({ repo } = await world.withRemote());
    opened = await openGitRepo(repo.dir, world.env);
    repository = await openStore('store');
    await repo.write('a.bin', 'a');
    await repo.write('sub/b.bin', 'b');
    await repo.write('code.py', 'print()');
    await remember();
  });
  afterEach(async () => {
    await repository.close();
    await world.remove();
  });

  /** Commits, stores, and notes the tree, as a push does. */
  async function remember(): Promise<CommitFiles> {
    await repo.commit('a version');
    const commit = await resolveCommit(opened.git, 'HEAD');
    const files = await filesOf(opened, commit);
    const { descriptor } = await storeBundle(repository, files);
    const { config, lfsCount } = files;
    await rememberTree(opened, {
      ...{ commit, config, lfsCount },
      tree: descriptor.tree,
      recorder: RECORDER_VERSION,
    });
    return files;
  }

  /** The next commit's files, told both ways. They make the same bundle. */
  async function both(): Promise<{ readonly all: CommitFiles; readonly since: CommitFiles }> {
    const start = await resolveCommit(opened.git, 'HEAD');
    await repo.commit('the next version');
    const commit = await resolveCommit(opened.git, 'HEAD');
    const since = await filesSince(opened, commit, start);
    const told = await storeBundle(repository, since);
    const all = await filesOf(opened, commit);
    expect(told.bundle).to.equal((await storeBundle(repository, all)).bundle);
    expect(since.lfsCount).to.equal(all.lfsCount);
    return { all, since };
  }

  it('are those that changed, whatever became of them', async () => {
    await repo.write('a.bin', 'edited');
    await repo.git('rm', '-q', 'sub/b.bin');
    await repo.write('new/c.bin', 'c');
    await repo.write('empty.bin', '');
    await repo.write('README.md', '# x\n');
    await repo.write('code.py', 'print(1)');
    await symlink('a.bin', repo.path('link'));
    const { since, all } = await both();
    expect(
      since.since?.changes.map(({ path, entry }) => [path, entry?.kind ?? null]),
    ).to.deep.equal([
      ['README.md', 'git'],
      ['a.bin', 'lfs'],
      ['empty.bin', 'lfs'],
      ['new/c.bin', 'lfs'],
      ['sub/b.bin', null],
    ]);
    expect([...since.gitBlobs]).to.deep.equal([...all.gitBlobs]);
  });

  it('are none where nothing changed, and know that LFS files are gone', async () => {
    expect((await both()).since.since?.changes).to.deep.equal([]);
    await remember();
    await repo.git('rm', '-q', 'a.bin', 'sub/b.bin');
    const { since } = await both();
    expect(since).to.include({ lfsCount: 0 });
    expect(since.since).to.be.an('object');
  });

  it('are none where code alone changed, and forget a document that is gone', async () => {
    await repo.write('code.py', 'print(3)');
    expect((await both()).since.since?.changes).to.deep.equal([]);
    await repo.write('README.md', 'long '.repeat(1000));
    await remember();
    await repo.git('rm', '-q', 'README.md');
    expect((await both()).since.since?.changes).to.deep.equal([{ path: 'README.md', entry: null }]);
  });

  it('see a submodule that moved, whatever the clone’s configuration shows', async () => {
    const inner = await world.init('inner');
    await inner.write('f', '1');
    await inner.commit('inner');
    await repo.write('.datamon.yaml', 'record: all\n');
    await repo.git('submodule', '--quiet', 'add', inner.dir, 'lib');
    await repo.git('config', '-f', '.gitmodules', 'submodule.lib.ignore', 'all');
    await repo.git('config', 'submodule.lib.ignore', 'all');
    await remember();
    await inner.write('f', '2');
    const moved = await inner.commit('moved');
    await repo.git('update-index', '--cacheinfo', `160000,${moved},lib`);
    const start = await resolveCommit(opened.git, 'HEAD');
    await repo.git('commit', '-q', '-m', 'the next version');
    const commit = await resolveCommit(opened.git, 'HEAD');
    const since = await filesSince(opened, commit, start);
    expect(since.since?.changes.map(({ path }) => path)).to.deep.equal(['lib']);
    const all = await storeBundle(repository, await filesOf(opened, commit));
    expect((await storeBundle(repository, since)).bundle).to.equal(all.bundle);
  });

  it('of a commit beside the known one are not taken for files on the way', async () => {
    await repo.write('x.bin', 'x');
    await remember();
    const start = await resolveCommit(opened.git, 'HEAD');
    await repo.write('y.bin', 'y');
    await repo.git('add', '-A');
    await repo.git('commit', '-q', '--amend', '-m', 'amended');
    const commit = await resolveCommit(opened.git, 'HEAD');
    const since = await filesSince(opened, commit, start);
    expect(since.since?.changes.map(({ path }) => path)).to.deep.equal(['y.bin']);
    expect(await passingOids(opened, since, { exclude: [start] })).to.deep.equal([]);
  });

  it('follow a folder that becomes a file, and an exec bit', async () => {
    await repo.git('rm', '-q', '-r', 'sub');
    await repo.write('sub', 'a file now');
    await repo.write('a.bin', 'a', 0o755);
    const { since } = await both();
    expect(since.since?.changes.map(({ path }) => path)).to.deep.equal(['a.bin', 'sub/b.bin']);
  });

  it('list everything where the rules say so', async () => {
    await repo.write('.datamon.yaml', 'record: all\n');
    expect((await both()).since.since, 'the rules changed').to.equal(null);
    await remember();
    await repo.write('code.py', 'print(2)');
    await symlink('a.bin', repo.path('link'));
    const { since } = await both();
    expect(since.entries.map(({ path, kind }) => [path, kind])).to.deep.equal([
      ['code.py', 'git'],
      ['link', 'symlink'],
    ]);
    expect(since.since).to.be.an('object');
  });

  it('are all of them where attributes changed, which decide what an empty file is', async () => {
    await repo.write('empty.dat', '');
    await remember();
    await repo.write('sub/.gitattributes', '*.dat filter=lfs\n');
    expect((await both()).since.since).to.equal(null);
    await remember();
    await repo.write('.gitattributes', '*.bin filter=lfs\n*.dat filter=lfs\n');
    expect((await both()).since.since).to.equal(null);
  });

  it('are all of them where a pointer has extensions', async () => {
    const pointer = [
      'version https://git-lfs.github.com/spec/v1',
      `ext-0-zip sha256:${digestOf('plain')}`,
      `oid sha256:${digestOf('zipped')}`,
      'size 6',
      '',
    ].join('\n');
    await repo.write('ext.txt', pointer);
    const { since } = await both();
    expect(since.since).to.equal(null);
    expect([...since.pointerExtensions]).to.deep.equal(['zip']);
  });

  it('are all of them for a store that does not have the tree', async () => {
    const other = await openStore('other');
    try {
      const start = await resolveCommit(opened.git, 'HEAD');
      await repo.write('a.bin', 'edited');
      await repo.commit('the next version');
      const commit = await resolveCommit(opened.git, 'HEAD');
      const since = await filesSince(opened, commit, start);
      expect(since.since).to.be.an('object');
      const there = await storeBundle(other, since);
      expect(there.files.entries).to.have.length(2);
      expect(there.bundle).to.equal((await storeBundle(repository, since)).bundle);
    } finally {
      await other.close();
    }
  });

  it('are all of them where nothing is known, or what is known does not read', async () => {
    await writeFile(join(ownFolder(opened), 'known-trees.json'), '{"version":1,"trees":[{}');
    expect((await both()).since.since).to.equal(null);
    await writeFile(
      join(ownFolder(opened), 'known-trees.json'),
      '{"version":1,"trees":[{"commit":"../x","tree":1}]}',
    );
    expect((await both()).since.since).to.equal(null);
    const commit = await resolveCommit(opened.git, 'HEAD');
    const rest = { recorder: RECORDER_VERSION, config: null, lfsCount: 2 };
    await writeFile(
      join(ownFolder(opened), 'known-trees.json'),
      JSON.stringify({ version: 1, trees: [{ commit, tree: 'no digest', ...rest }] }),
    );
    expect((await both()).since.since).to.equal(null);
    await rm(ownFolder(opened), { recursive: true });
    expect((await both()).since.since).to.equal(null);
  });
});
