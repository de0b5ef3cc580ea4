/** get: whole, verified, below one folder and nowhere else (S19–S22). */
import {
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { globMatcher } from '../../cli/glob.ts';
import { linkProblem } from '../../cli/link-problem.ts';
import { SafeWriter } from '../../cli/safe-writer.ts';
import { digestOf } from '../../core/digest.ts';
import { hasCode } from '../../core/errors.ts';
import { EXIT } from '../../core/io.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { datamon, memoryRepo, type SeedFile, seed } from './support/cli.ts';

const FILES: SeedFile[] = [
  { path: 'data/a.csv', text: 'a,b\n' },
  { path: 'data/deep/run.sh', text: '#!/bin/sh\n', executable: true },
  { path: 'empty.bin', text: '' },
  { path: 'empty folder', kind: 'directory' },
  { path: 'link', kind: 'symlink', reference: 'data/a.csv' },
  { path: 'naïve name.txt', text: 'NFC' },
  { path: { raw: 'raw\xfe' }, text: 'raw bytes' },
];

async function repoWith(files: SeedFile[]) {
  const url = memoryRepo();
  await seed(url, { files });
  const dir = await makeTempDir();
  const get = (...args: string[]) => datamon(['get', ...args, '-R', url], { cwd: dir });
  return { url, dir, get };
}

const namesBelow = async (dir: string): Promise<string[]> =>
  (await readdir(dir, { recursive: true })).sort();

describe('datamon get', () => {
  it('writes files, exec bits, links, empty files and empty folders', async () => {
    const { dir, get } = await repoWith(FILES);
    const { status, stderr } = await get('main', 'out');
    expect([status, stderr.includes('6 files written')]).to.deep.equal([EXIT.ok, true]);
    const out = join(dir, 'out');
    expect(await readFile(join(out, 'data/a.csv'), 'utf8')).to.equal('a,b\n');
    expect((await stat(join(out, 'data/deep/run.sh'))).mode & 0o111).to.not.equal(0);
    expect((await stat(join(out, 'data/a.csv'))).mode & 0o111).to.equal(0);
    expect((await stat(join(out, 'empty.bin'))).size).to.equal(0);
    expect((await stat(join(out, 'empty folder'))).isDirectory()).to.equal(true);
    expect(await readlink(join(out, 'link'))).to.equal('data/a.csv');
    const raw = Buffer.concat([Buffer.from(`${out}/`), Buffer.from('raw\xfe', 'latin1')]);
    expect(await readFile(raw, 'utf8')).to.equal('raw bytes');
  });

  it('a file where DIR should be is named, not touched', async () => {
    const { dir, get } = await repoWith(FILES);
    await writeFile(join(dir, 'taken'), 'mine');
    for (const name of ['taken', 'taken/below']) {
      const { status, stderr } = await get('main', name);
      expect([status, stderr.includes('is not a folder')]).to.deep.equal([EXIT.usage, true]);
    }
    expect(await readFile(join(dir, 'taken'), 'utf8')).to.equal('mine');
  });

  it('leaves no temporary file behind', async () => {
    const { dir, get } = await repoWith(FILES);
    await get('main', 'out');
    expect((await namesBelow(dir)).filter((name) => name.includes('.datamon-'))).to.deep.equal([]);
  });

  it('writes into a folder named like the repo where none is given', async () => {
    const { dir, get } = await repoWith(FILES.slice(0, 1));
    await get('main');
    expect(await readFile(join(dir, 'weather/data/a.csv'), 'utf8')).to.equal('a,b\n');
  });

  it('takes a folder or a file of the bundle without what is above it', async () => {
    const { dir, get } = await repoWith(FILES);
    await get('main:data', 'folder');
    await get('main:data/deep/run.sh', 'file');
    expect(await namesBelow(join(dir, 'folder'))).to.deep.equal(['a.csv', 'deep', 'deep/run.sh']);
    expect(await namesBelow(join(dir, 'file'))).to.deep.equal(['run.sh']);
    expect((await get('main:nope', 'x')).status).to.equal(EXIT.notFound);
  });

  it('does not fetch again what is there', async () => {
    const { get } = await repoWith(FILES);
    await get('main', 'out');
    const { json, status } = await get('main', 'out', '--json');
    expect(status).to.equal(EXIT.ok);
    expect(new Set(json.map(({ outcome }) => outcome))).to.deep.equal(new Set(['already']));
  });

  it('--dry-run writes nothing', async () => {
    const { dir, get } = await repoWith(FILES);
    const { json } = await get('main', 'out', '--dry-run', '--json');
    expect(json.map(({ outcome }) => outcome)).to.include('planned');
    expect(await readdir(dir)).to.deep.equal([]);
  });

  it('--include chooses by path, from the root or from the folder asked for', async () => {
    const { dir, get } = await repoWith(FILES);
    await get('main', 'csv', '--include', '*.csv');
    await get('main', 'two', '--include', 'data/**', '--include', 'empty.bin');
    expect(await namesBelow(join(dir, 'csv'))).to.deep.equal(['data', 'data/a.csv']);
    expect(await namesBelow(join(dir, 'two'))).to.include.members([
      'data/a.csv',
      'data/deep/run.sh',
      'empty.bin',
    ]);
    expect(await namesBelow(join(dir, 'two'))).to.not.include('link');
  });

  it('replaces nothing without --force, and only files with it', async () => {
    const { dir, get } = await repoWith(FILES.slice(0, 1));
    await mkdir(join(dir, 'out/data'), { recursive: true });
    await writeFile(join(dir, 'out/data/a.csv'), 'mine');
    const refused = await get('main', 'out');
    expect(refused.status).to.equal(EXIT.partial);
    expect(refused.stdout).to.contain('--force');
    expect(await readFile(join(dir, 'out/data/a.csv'), 'utf8')).to.equal('mine');
    expect((await get('main', 'out', '--force')).status).to.equal(EXIT.ok);
    expect(await readFile(join(dir, 'out/data/a.csv'), 'utf8')).to.equal('a,b\n');
  });

  it('a folder in a file’s place is never replaced', async () => {
    const { dir, get } = await repoWith(FILES.slice(0, 1));
    await mkdir(join(dir, 'out/data/a.csv/inside'), { recursive: true });
    expect((await get('main', 'out', '--force')).status).to.equal(EXIT.partial);
    expect(await readdir(join(dir, 'out/data/a.csv'))).to.deep.equal(['inside']);
  });

  it('one missing file costs the others nothing, and the status says so', async () => {
    const { dir, get } = await repoWith([
      { path: 'gone', text: 'gone', absent: true },
      { path: 'here', text: 'here' },
    ]);
    const { status, json } = await get('main', 'out', '--json');
    expect(status).to.equal(EXIT.partial);
    expect(json.map(({ path, outcome }) => [path, outcome])).to.deep.equal([
      ['gone', 'failed'],
      ['here', 'written'],
    ]);
    expect(await readdir(join(dir, 'out'))).to.deep.equal(['here']);
  });

  it('a stopped download leaves nothing half', async () => {
    const { url, dir } = await repoWith(FILES);
    const stop = new AbortController();
    stop.abort();
    const { status } = await datamon(['get', 'main', 'out', '-R', url], {
      cwd: dir,
      signal: stop.signal,
    });
    expect(status).to.equal(EXIT.interrupted);
    expect((await namesBelow(dir)).filter((name) => name.includes('.datamon-'))).to.deep.equal([]);
  });

  it('nothing of a hostile bundle lands outside, or in a .git', async () => {
    const hostile = [
      '.git/config',
      '.GIT/hooks/x',
      'git~1/x',
      '.git /x',
      'a/../../up',
      'C:\\x',
      'a\\..\\..\\b',
    ];
    const entries: SeedFile[] = hostile.map((raw) => ({ path: { raw }, text: 'evil' }));
    const url = memoryRepo();
    const accepted: string[] = [];
    for (const entry of entries) {
      // Some are refused when the bundle is made; the rest must be refused when it is written out.
      await seed(url, { branch: `b${accepted.length}`, files: [entry] }).then(
        () => accepted.push((entry.path as { raw: string }).raw),
        (error: unknown) => expect(hasCode(error, 'INVALID')).to.equal(true),
      );
    }
    expect(accepted).to.not.be.empty;
    const dir = await makeTempDir();
    for (const index of accepted.keys()) {
      const ran = await datamon(['get', `b${index}`, 'out/deep', '-R', url, '--json'], {
        cwd: dir,
      });
      expect(ran.status, accepted[index]).to.equal(EXIT.partial);
      expect(ran.json[0]?.['outcome'], accepted[index]).to.equal('refused');
    }
    expect(await namesBelow(dir)).to.deep.equal(['out', 'out/deep']);
  });

  it('never writes through a link that lies in the folder', async () => {
    const { dir, get } = await repoWith(FILES.slice(0, 1));
    const outside = await makeTempDir();
    await mkdir(join(dir, 'out'));
    await symlink(outside, join(dir, 'out/data'));
    expect((await get('main', 'out', '--force')).status).to.equal(EXIT.partial);
    expect(await readdir(outside)).to.deep.equal([]);
  });

  it('replaces a link that has a file’s place, not what it points to', async () => {
    const { dir, get } = await repoWith(FILES.slice(0, 1));
    const outside = await makeTempDir();
    await writeFile(join(outside, 'target'), 'mine');
    await mkdir(join(dir, 'out/data'), { recursive: true });
    await symlink(join(outside, 'target'), join(dir, 'out/data/a.csv'));
    expect((await get('main', 'out')).status).to.equal(EXIT.partial);
    expect((await get('main', 'out', '--force')).status).to.equal(EXIT.ok);
    expect(await readFile(join(outside, 'target'), 'utf8')).to.equal('mine');
    expect((await lstat(join(dir, 'out/data/a.csv'))).isFile()).to.equal(true);
  });

  it('a hard link elsewhere keeps its bytes when the file is replaced', async () => {
    const { dir, get } = await repoWith(FILES.slice(0, 1));
    const { link } = await import('node:fs/promises');
    await mkdir(join(dir, 'out/data'), { recursive: true });
    await writeFile(join(dir, 'other'), 'mine');
    await link(join(dir, 'other'), join(dir, 'out/data/a.csv'));
    await get('main', 'out', '--force');
    expect(await readFile(join(dir, 'other'), 'utf8')).to.equal('mine');
  });

  it('links that lead outside are refused, and files below a bundle’s own link too', async () => {
    const { dir, get } = await repoWith([
      { path: 'out', kind: 'symlink', reference: '../../etc' },
      { path: 'abs', kind: 'symlink', reference: '/etc/passwd' },
      { path: 'fine', kind: 'symlink', reference: 'a/b' },
    ]);
    const { status, json } = await get('main', 'x', '--json');
    expect(status).to.equal(EXIT.partial);
    expect(json.map(({ path, outcome }) => `${path} ${outcome}`)).to.have.members([
      'abs refused',
      'fine written',
      'out refused',
    ]);
    expect(await readdir(join(dir, 'x'))).to.deep.equal(['fine']);
  });

  it('--force replaces only the first of twins that some file systems take for one', async () => {
    const { dir, get } = await repoWith([
      { path: 'Data', text: 'upper' },
      { path: 'data', text: 'lower' },
    ]);
    await mkdir(join(dir, 'out'));
    for (const name of ['Data', 'data']) await writeFile(join(dir, 'out', name), 'old');
    expect((await get('main', 'out', '--force')).status).to.equal(EXIT.partial);
    expect(await readFile(join(dir, 'out/Data'), 'utf8')).to.equal('upper');
    expect(await readFile(join(dir, 'out/data'), 'utf8')).to.equal('old');
  });
});

describe('links that may be made', () => {
  it('leading .. as deep as the link lies, never after a name', () => {
    for (const [depth, target] of [
      [0, 'a'],
      [0, './a/b'],
      [1, '../a'],
      [2, '../../a'],
    ] as const) {
      expect(linkProblem(depth, target), target).to.equal(null);
    }
    for (const [depth, target] of [
      [0, '../a'],
      [1, '../../a'],
      [1, 'a/../../b'],
      [2, 'a/../b'],
      [0, '/a'],
      [0, 'C:/a'],
      [0, 'a\\..\\b'],
      [0, ''],
    ] as const) {
      expect(linkProblem(depth, target), target).to.be.a('string');
    }
  });
});

describe('the safe writer', () => {
  const file = (name: string, text: string, sent = text) => ({
    segments: [Buffer.from(name)],
    oid: digestOf(text),
    sizeBytes: text.length,
    executable: false,
    replace: false,
    signal: new AbortController().signal,
    open: async function* () {
      yield Buffer.from(sent);
    },
  });

  it('refuses bytes that are not the announced ones, and leaves nothing', async () => {
    const dir = await makeTempDir();
    const writer = await SafeWriter.open(dir);
    for (const sent of ['wrong', 'right and more', 'ri']) {
      const failure = await writer
        .writeFile(file('a', 'right', sent))
        .catch((error: unknown) => error);
      expect(hasCode(failure, 'CORRUPT'), sent).to.equal(true);
    }
    expect(await readdir(dir)).to.deep.equal([]);
  });

  it('of two that write one name, one wins and none is mixed', async () => {
    const dir = await makeTempDir();
    const writer = await SafeWriter.open(dir);
    const outcomes = await Promise.allSettled([
      writer.writeFile(file('a', 'first')),
      writer.writeFile(file('a', 'other')),
    ]);
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).to.have.lengthOf(1);
    expect(['first', 'other']).to.include(await readFile(join(dir, 'a'), 'utf8'));
    expect(await readdir(dir)).to.deep.equal(['a']);
  });
});

describe('globs', () => {
  const matches = (glob: string, path: string): boolean => globMatcher(glob)(path);

  it('follow gitignore’s reading of stars and slashes', () => {
    for (const [glob, path] of [
      ['*.csv', 'a/b/c.csv'],
      ['data/*.csv', 'data/a.csv'],
      ['data/**', 'data/a/b.csv'],
      ['**/b.csv', 'b.csv'],
      ['/a?c', 'abc'],
      ['[a-c]x', 'bx'],
      ['[!a]x', 'bx'],
      ['data/', 'data/a/b'],
      ['a\\*b', 'a*b'],
      ['a/**/b', 'a/b'],
    ] as const) {
      expect(matches(glob, path), `${glob} ${path}`).to.equal(true);
    }
    for (const [glob, path] of [
      ['data/*.csv', 'data/a/b.csv'],
      ['*.csv', 'a.csv.gz'],
      ['/a', 'b/a'],
      ['[!a]x', 'ax'],
      ['a\\*b', 'axb'],
      ['a.b', 'axb'],
    ] as const) {
      expect(matches(glob, path), `${glob} ${path}`).to.equal(false);
    }
  });

  it('many stars cost no more than their number', () => {
    expect(matches(`${'*a'.repeat(30)}b`, 'a'.repeat(2000))).to.equal(false);
    expect(() => globMatcher('')).to.throw('not a usable glob');
  });
});
