/** What a bundle lists comes from the commit alone: pointers, root documents, and more where `.datamon.yaml` says so. */
import { symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import * as yaml from 'yaml';
import { digestOf, EMPTY_DIGEST } from '../../core/digest.ts';
import { hasCode } from '../../core/errors.ts';
import { type GitSha, parseGitSha } from '../../core/keys.ts';
import type { Entry } from '../../core/meta/model.ts';
import { readObjects } from '../../git/cat-file.ts';
import { changedPointers, pointersIntroduced, pointersOfCommit } from '../../git/pointers.ts';
import { type GitRepository, openGitRepo } from '../../git/repository.ts';
import { parseRules } from '../../git/rules.ts';
import { type GitRepo, GitWorld } from '../support/git-repo.ts';
import { seededBytes } from '../support/splitmix64.ts';

async function listed(repo: GitRepository, commit: string): Promise<readonly Entry[]> {
  const content = await pointersOfCommit(repo, parseGitSha(commit));
  return gather(content.entries);
}

async function gather<T>(items: AsyncIterable<T>): Promise<readonly T[]> {
  const gathered: T[] = [];
  for await (const item of items) gathered.push(item);
  return gathered;
}

const pathsOf = (entries: readonly { readonly path: string }[]): readonly string[] =>
  entries.map(({ path }) => path);

const pointerText = (seed: number): string =>
  `version https://git-lfs.github.com/spec/v1\noid sha256:${digestOf(String(seed))}\nsize ${seed}\n`;

describe('git/pointers', () => {
  let world: GitWorld;
  let count = 0;
  before(async () => {
    world = await GitWorld.create();
  });
  after(() => world.remove());

  async function fresh(): Promise<{ readonly repo: GitRepo; readonly opened: GitRepository }> {
    count += 1;
    const { repo } = await world.withRemote(`p${count}`);
    return { repo, opened: await openGitRepo(repo.dir, world.env) };
  }

  it('lists LFS files and root documents, nothing else', async () => {
    const { repo, opened } = await fresh();
    const bytes = seededBytes(1, 5000);
    await repo.write('data/a.bin', bytes);
    await repo.write('README.md', '# Weather\n');
    await repo.write('LICENSE', 'MIT\n');
    await repo.write('docs/README.md', 'not at the root\n');
    await repo.write('src/secret.py', 'password = 1\n');
    const entries = await listed(opened, await repo.commit('one'));
    expect(pathsOf(entries)).to.deep.equal(['LICENSE', 'README.md', 'data/a.bin']);
    expect(entries[2]).to.deep.equal({
      path: 'data/a.bin',
      kind: 'lfs',
      executable: false,
      oid: digestOf(bytes),
      sizeBytes: 5000,
    });
    expect(entries[1]).to.include({ kind: 'git', oid: digestOf('# Weather\n'), sizeBytes: 10 });
  });

  it('lists everything where the commit’s own rules say so', async () => {
    const { repo, opened } = await fresh();
    await repo.write('.datamon.yaml', 'record: all\n');
    await repo.write('src/tool.sh', '#!/bin/sh\n', 0o755);
    await repo.write('big.txt', 'x'.repeat(300_000));
    await symlink('src/tool.sh', repo.path('link'));
    const commit = await repo.commit('one');
    const content = await pointersOfCommit(opened, parseGitSha(commit));
    const entries = await gather(content.entries);
    expect(pathsOf(entries)).to.deep.equal([
      '.datamon.yaml',
      '.gitattributes',
      'big.txt',
      'link',
      'src/tool.sh',
    ]);
    expect(entries[2]).to.include({ kind: 'git', oid: digestOf('x'.repeat(300_000)) });
    expect(entries[3]).to.include({ kind: 'symlink', reference: 'src/tool.sh', sizeBytes: 11 });
    expect(entries[4]).to.include({ executable: true });
    expect(content.rules).to.deep.equal({ record: 'all', config: digestOf('record: all\n') });
    expect(content.gitBlobs.size).to.equal(5);
  });

  it('reads the rules of the commit, not of the work tree', async () => {
    const { repo, opened } = await fresh();
    await repo.write('code.py', 'x\n');
    const commit = await repo.commit('one');
    await repo.write('.datamon.yaml', 'record: all\n');
    expect(await listed(opened, commit)).to.deep.equal([]);
  });

  it('keeps exec bits, odd names and NFD as they are, sorted by bytes', async () => {
    const { repo, opened } = await fresh();
    const names = [
      'a b.bin',
      'new\nline.bin',
      '"quoted".bin',
      'e\u0301.bin',
      '\u00e9.bin',
      '-h.bin',
    ];
    for (const [index, name] of names.entries()) {
      await repo.write(name, seededBytes(index, 100 + index), index === 0 ? 0o755 : 0o644);
    }
    const entries = await listed(opened, await repo.commit('odd'));
    const expected = names.map((name) => Buffer.from(name, 'utf8').toString('latin1'));
    expect(pathsOf(entries)).to.deep.equal(expected.toSorted());
    expect(entries.find(({ path }) => path === 'a b.bin')?.executable).to.equal(true);
  });

  it('keeps paths that are no UTF-8', async () => {
    const { repo, opened } = await fresh();
    const blob = await repo.run(['hash-object', '-w', '--stdin'], { input: pointerText(7) });
    const tree = await opened.git.bytes(['mktree', '-z'], {
      input: Buffer.concat([
        Buffer.from(`100644 blob ${blob.stdout.trim()}\t`),
        Buffer.from([0xff, 0x62, 0x00]),
      ]),
    });
    const commit = await repo.git('commit-tree', '-m', 'raw', tree.toString().trim());
    expect(pathsOf(await listed(opened, commit))).to.deep.equal(['\xffb']);
  });

  it('lists empty LFS files, but no other empty file', async () => {
    const { repo, opened } = await fresh();
    await repo.write('empty.bin', '');
    await repo.write('sub/empty.bin', '');
    await repo.write('sub/__init__.py', '');
    await repo.write('.git/info/attributes', '*.py filter=lfs\n');
    const entries = await listed(opened, await repo.commit('one'));
    expect(entries.map(({ path, kind, oid }) => ({ path, kind, oid }))).to.deep.equal([
      { path: 'empty.bin', kind: 'lfs', oid: EMPTY_DIGEST },
      { path: 'sub/empty.bin', kind: 'lfs', oid: EMPTY_DIGEST },
    ]);
  });

  it('names a submodule by its commit', async () => {
    const { repo, opened } = await fresh();
    const inner = await world.init('inner');
    const innerCommit = await inner.commit('one');
    await repo.git('submodule', '--quiet', 'add', inner.dir, 'sub');
    await repo.write('.datamon.yaml', 'record: all\n');
    const entries = await listed(opened, await repo.commit('one'));
    expect(entries.at(-1)).to.include({ path: 'sub', kind: 'submodule', reference: innerCommit });
  });

  it('ignores replacement refs', async () => {
    const { repo, opened } = await fresh();
    await repo.write('a.bin', 'true content');
    const commit = await repo.commit('true');
    await repo.write('a.bin', 'another content');
    const other = await repo.commit('other');
    await repo.git('replace', commit, other);
    expect((await listed(opened, commit))[0]?.oid).to.equal(digestOf('true content'));
  });

  it('takes a symlink to a pointer’s text for a link', async () => {
    const { repo, opened } = await fresh();
    await repo.write('.datamon.yaml', 'record: all\n');
    await repo.write('copy.txt', 'some/where');
    await symlink('some/where', repo.path('link'));
    const entries = await listed(opened, await repo.commit('one'));
    expect(entries.find(({ path }) => path === 'link')).to.include({ reference: 'some/where' });
    expect(entries.find(({ path }) => path === 'copy.txt')?.kind).to.equal('git');
  });

  it('finds what a range introduced, intermediate versions too, and leaves out what the remote has', async () => {
    const { repo, opened } = await fresh();
    const oids: string[] = [];
    const commits: GitSha[] = [];
    for (let version = 0; version < 4; version += 1) {
      await repo.write('a.bin', `version ${version}`);
      oids.push(digestOf(`version ${version}`));
      commits.push(parseGitSha(await repo.commit(`v${version}`)));
    }
    const [first, , , last] = commits as [GitSha, GitSha, GitSha, GitSha];
    const all = await pointersIntroduced(opened.git, { include: [last], exclude: [] });
    expect(all.map(({ oid }) => oid)).to.have.members(oids);
    const unknown = 'f'.repeat(40);
    const range = { include: [last], exclude: [first, unknown] };
    const some = await pointersIntroduced(opened.git, range);
    expect(some.map(({ oid }) => oid)).to.have.members(oids.slice(1));
    expect(some[0]?.path).to.equal('a.bin');
  });

  it('tells what changed between two commits, with the version before', async () => {
    const { repo, opened } = await fresh();
    await repo.write('a.bin', 'one');
    await repo.write('gone.bin', 'gone');
    await repo.write('code.py', '1');
    const before = parseGitSha(await repo.commit('one'));
    await repo.write('a.bin', 'two');
    await repo.write('b.bin', 'new');
    await repo.write('code.py', '2');
    await repo.git('rm', '-q', 'gone.bin');
    const after = parseGitSha(await repo.commit('two'));
    const changed = await changedPointers(opened.git, { before, after });
    expect(
      changed.map(({ path, before, after }) => [path, before?.oid ?? null, after?.oid ?? null]),
    ).to.deep.equal([
      ['a.bin', digestOf('one'), digestOf('two')],
      ['b.bin', null, digestOf('new')],
      ['gone.bin', digestOf('gone'), null],
    ]);
    const fromNothing = await changedPointers(opened.git, { before: null, after });
    expect(pathsOf(fromNothing)).to.deep.equal(['a.bin', 'b.bin']);
  });

  it('reads thousands of objects and large ones through one process', async () => {
    const { repo, opened } = await fresh();
    for (let file = 0; file < 300; file += 1) {
      await writeFile(join(repo.dir, `f${file}`), `content ${file}`);
    }
    await writeFile(join(repo.dir, 'big'), seededBytes(3, 3_000_000));
    await repo.commit('many');
    const shas = (await repo.git('ls-files', '-s')).split('\n').map((line) => line.slice(7, 47));
    const objects = await gather(readObjects(opened.git, shas, { keepBytes: 100 }));
    expect(objects.map(({ sha }) => sha)).to.deep.equal(shas);
    const big = objects.find(({ sizeBytes }) => sizeBytes === 3_000_000);
    expect(big).to.include({ digest: digestOf(seededBytes(3, 3_000_000)), content: null });
  });

  it('says INCOMPLETE for an object the clone lacks', async () => {
    const { opened } = await fresh();
    const failure = await gather(
      readObjects(opened.git, ['1'.repeat(40)], { keepBytes: 10 }),
    ).catch((error: unknown) => error);
    expect(hasCode(failure, 'INCOMPLETE')).to.equal(true);
  });

  it('ends its git when the reader leaves early', async () => {
    const { repo, opened } = await fresh();
    for (let file = 0; file < 50; file += 1) await repo.write(`f${file}.bin`, `content ${file}`);
    const commit = await repo.commit('many');
    const content = await pointersOfCommit(opened, parseGitSha(commit));
    for await (const entry of content.entries) {
      expect(entry.kind).to.equal('lfs');
      break;
    }
  });
});

describe('git/rules', () => {
  const parse = (text: string) => parseRules(Buffer.from(text), 'c'.repeat(40), yaml);

  it('defaults to LFS files and ignores keys it does not know', () => {
    for (const text of ['', '# nothing\n', 'record: lfs', 'record:\n', 'later: [1, 2]\n']) {
      expect(parse(text)).to.equal('lfs');
    }
    expect(parse('later: x\nrecord: all\n')).to.equal('all');
  });

  it('refuses what it does not understand, naming file and commit', () => {
    for (const text of ['record: some', 'record: [all]', '- all', 'record: "', '\xff']) {
      const bytes = Buffer.from(text, 'latin1');
      expect(() => parseRules(bytes, 'c'.repeat(40), yaml)).to.throw(
        '.datamon.yaml of commit cccccccccc',
      );
    }
    expect(() => parseRules(Buffer.alloc(70_000, '#'), 'c'.repeat(40), yaml)).to.throw('larger');
    expect(() => parse('a: &a [x]\nb: [*a, *a]\nrecord: all')).to.throw('not YAML');
  });
});
