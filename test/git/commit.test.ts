/** Names become commits and never options; bytes are the ones that were hashed; remotes are asked within a bound. */
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { digestOf, EMPTY_DIGEST } from '../../core/digest.ts';
import { hasCode } from '../../core/errors.ts';
import { parseGitSha } from '../../core/keys.ts';
import {
  hasObject,
  isAncestor,
  listRemoteRefs,
  peelToCommit,
  readCommit,
  resolveCommit,
} from '../../git/commit.ts';
import { committer } from '../../git/identity.ts';
import { openLfsStore, readLfsObject } from '../../git/lfs-store.ts';
import { type GitRepository, openGitRepo } from '../../git/repository.ts';
import { type GitRepo, GitWorld } from '../support/git-repo.ts';

describe('git/commit', () => {
  let world: GitWorld;
  let repo: GitRepo;
  let opened: GitRepository;
  let first: string;
  let second: string;
  before(async () => {
    world = await GitWorld.create();
    ({ repo } = await world.withRemote());
    first = await repo.commit('first');
    await repo.write('x', 'x');
    second = await repo.commit('second');
    await repo.git('tag', '-a', '-m', 'tag', 'v1');
    opened = await openGitRepo(repo.dir, world.env);
  });
  after(() => world.remove());

  it('resolves names and peels tags', async () => {
    for (const name of ['HEAD', 'main', 'v1', 'refs/tags/v1', second.slice(0, 8)]) {
      expect(await resolveCommit(opened.git, name)).to.equal(second);
    }
    expect(await peelToCommit(opened.git, 'HEAD^{tree}')).to.equal(null);
  });

  it('takes no name for an option', async () => {
    for (const name of ['--all', '-h', '--git-dir=/x', '', 'a\nb', '--']) {
      const failure = await resolveCommit(opened.git, name).catch((error: unknown) => error);
      expect(hasCode(failure, 'NOT_FOUND'), name).to.equal(true);
    }
    await repo.git('update-ref', 'refs/heads/-h', first);
    expect(await resolveCommit(opened.git, '-h')).to.equal(first);
  });

  it('reads the bytes that make the id, replacements or not', async () => {
    await repo.git('replace', second, first);
    const bytes = await readCommit(opened.git, parseGitSha(second));
    const header = `commit ${bytes.length}\0`;
    const id = createHash('sha1').update(header).update(bytes).digest('hex');
    expect(id).to.equal(second);
    await repo.git('replace', '-d', second);
  });

  it('says INCOMPLETE for a commit the clone lacks', async () => {
    const sha = parseGitSha('d'.repeat(40));
    const failure = await readCommit(opened.git, sha).catch((error: unknown) => error);
    expect(hasCode(failure, 'INCOMPLETE')).to.equal(true);
    expect(await hasObject(opened.git, sha)).to.equal(false);
    expect(await isAncestor(opened.git, sha, parseGitSha(first))).to.equal(null);
  });

  it('knows who descends from whom', async () => {
    const [older, newer] = [parseGitSha(first), parseGitSha(second)];
    expect(await isAncestor(opened.git, older, newer)).to.equal(true);
    expect(await isAncestor(opened.git, newer, older)).to.equal(false);
    expect(await isAncestor(opened.git, newer, newer)).to.equal(true);
  });

  it('lists a remote’s refs with peeled tags, and says UNAVAILABLE for no remote', async () => {
    await repo.git('push', '-q', 'origin', 'main', 'v1');
    const refs = await listRemoteRefs(opened.git, 'origin', { timeoutMs: 10_000 });
    expect(refs.get('refs/heads/main')).to.equal(second);
    expect(refs.get('refs/tags/v1^{}')).to.equal(second);
    for (const remote of ['/nowhere.git', '--upload-pack=touch /tmp/canary']) {
      const failure = await listRemoteRefs(opened.git, remote, { timeoutMs: 10_000 }).catch(
        (error: unknown) => error,
      );
      expect(hasCode(failure, 'UNAVAILABLE'), remote).to.equal(true);
    }
  });

  it('knows the committer, and the user where git knows none', async () => {
    expect(await committer(opened.git, world.env)).to.equal('Ada <ada@example.org>');
  });
});

describe('git/lfs-store', () => {
  let world: GitWorld;
  let repo: GitRepo;
  before(async () => {
    world = await GitWorld.create();
    ({ repo } = await world.withRemote());
    await repo.write('a.bin', 'data');
    await repo.commit('one');
  });
  after(() => world.remove());

  const oid = digestOf('data');

  it('finds objects where git-lfs put them, from linked work trees too', async () => {
    await repo.git('worktree', 'add', '-q', '../linked');
    for (const dir of [repo.dir, join(world.root, 'linked')]) {
      const store = await openLfsStore(await openGitRepo(dir, world.env));
      expect(await store.find(oid, 4)).to.equal(store.pathOf(oid));
      expect(store.folder).to.equal(repo.path('.git/lfs/objects'));
    }
  });

  it('takes a file of another size for absent', async () => {
    const store = await openLfsStore(await openGitRepo(repo.dir, world.env));
    expect(await store.find(oid, 5)).to.equal(null);
    expect(await store.find(digestOf('other'), 5)).to.equal(null);
  });

  it('follows lfs.storage, relative and absolute', async () => {
    const opened = await openGitRepo(repo.dir, world.env);
    await repo.git('config', 'lfs.storage', 'elsewhere');
    expect((await openLfsStore(opened)).folder).to.equal(repo.path('.git/elsewhere/objects'));
    await repo.git('config', 'lfs.storage', '/srv/lfs');
    expect((await openLfsStore(opened)).folder).to.equal('/srv/lfs/objects');
    await repo.git('config', '--unset', 'lfs.storage');
  });

  it('looks into the clone it borrows from', async () => {
    await mkdir(join(world.root, 'borrower'));
    const borrower = await world.init('borrower');
    await writeFile(
      borrower.path('.git/objects/info/alternates'),
      `${repo.path('.git/objects')}\n`,
    );
    const store = await openLfsStore(await openGitRepo(borrower.dir, world.env));
    expect(await store.find(oid, 4)).to.include(repo.path('.git/lfs/objects'));
  });

  it('reads the empty file, which has no object', async () => {
    const parts: Uint8Array[] = [];
    for await (const part of readLfsObject(null, EMPTY_DIGEST)) parts.push(part);
    expect(parts).to.deep.equal([]);
  });
});
