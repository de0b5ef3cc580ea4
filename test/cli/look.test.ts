/** log, show, ls, diff and cat on a repo filled through core. */
import { expect } from 'chai';
import { EXIT } from '../../core/io.ts';
import { datamon, memoryRepo, type SeedFile, seed, withRepo } from './support/cli.ts';

const FIRST: SeedFile[] = [
  { path: 'data/a.csv', text: 'a,b\n1,2\n' },
  { path: 'data/deep/b.bin', text: 'B'.repeat(1000), executable: true },
  { path: 'README.md', text: '# Weather\n', kind: 'git' },
  { path: 'link', kind: 'symlink', reference: 'data/a.csv' },
  { path: { raw: 'odd\xff\nname' }, text: 'odd' },
];
const SECOND: SeedFile[] = [
  { path: 'data/a.csv', text: 'a,b\n1,2\n3,4\n' },
  { path: 'data/new.csv', text: 'new' },
  ...FIRST.slice(2),
];

async function twoPushes() {
  const url = memoryRepo();
  const made = await seed(
    url,
    { files: FIRST, message: 'First' },
    { files: SECOND, message: 'Second\n\nDatamon-Input: acme/raw@1234567' },
  );
  const [first, second] = made;
  if (first === undefined || second === undefined) throw new Error('two pushes were made');
  return { url, first, second };
}

describe('datamon log', () => {
  it('prints one object per bundle, newest first, with the promised fields', async () => {
    const { url, first, second } = await twoPushes();
    const { json, status } = await datamon(['log', '-R', url, '--json']);
    expect(status).to.equal(0);
    expect(json.map(({ bundle }) => bundle)).to.deep.equal([second.bundle, first.bundle]);
    expect(json[1]).to.include({
      commit: first.commit,
      branch: 'main',
      files: 5,
      pushedBy: 'Ada <ada@example.org>',
      newBytes: 1021,
      storedBytes: 1021,
    });
    expect(json[0]?.['bytes']).to.be.a('number');
    expect(json[0]?.['pushedAt']).to.match(/^\d{4}-\d\d-\d\dT/);
  });

  it('shows each bundle once over all branches, every push of one branch', async () => {
    const url = memoryRepo();
    await seed(url, { files: FIRST }, { branch: 'side', files: SECOND });
    await withRepo(url, async ({ history }) => {
      for await (const { event } of history.branchLog('main')) {
        await history.recordMove({
          ...event,
          pushId: '0'.repeat(32) as never,
          remote: 'example.org/acme/weather',
          ref: 'refs/heads/copy',
          gitOld: null,
        });
      }
    });
    const all = (await datamon(['log', '-R', url, '--json'])).json;
    expect(all.map(({ branch }) => branch)).to.deep.equal(['copy', 'side']);
    expect((await datamon(['log', 'main', '-R', url, '--json'])).json).to.have.lengthOf(1);
  });

  it('-n limits, and is checked', async () => {
    const { url } = await twoPushes();
    expect((await datamon(['log', '-n', '1', '-R', url, '--json'])).json).to.have.lengthOf(1);
    for (const bad of ['0', 'x', '1.5', '99999999999']) {
      expect((await datamon(['log', '-n', bad, '-R', url])).status, bad).to.equal(EXIT.usage);
    }
  });

  it('--path keeps the pushes that changed a file or folder', async () => {
    const { url, first, second } = await twoPushes();
    const of = async (path: string) =>
      (await datamon(['log', '-R', url, '--path', path, '-q'])).stdout
        .trim()
        .split('\n')
        .filter(Boolean);
    expect(await of('README.md')).to.deep.equal([first.bundle]);
    expect(await of('data/new.csv')).to.deep.equal([second.bundle]);
    expect(await of('data/')).to.deep.equal([second.bundle, first.bundle]);
    expect(await of('dat')).to.deep.equal([]);
  });

  it('--stat counts what each push did', async () => {
    const { url } = await twoPushes();
    const { json } = await datamon(['log', '-R', url, '--stat', '--json']);
    expect(json[0]).to.include({ added: 1, removed: 1, changed: 1 });
    expect(json[1]).to.include({ added: 5, removed: 0, changed: 0 });
  });

  it('an unknown repo and an unknown branch are NOT_FOUND', async () => {
    const { url } = await twoPushes();
    expect((await datamon(['log', 'nope', '-R', url])).status).to.equal(EXIT.notFound);
    expect((await datamon(['log', '-R', url.replace('weather', 'nope')])).status).to.equal(
      EXIT.notFound,
    );
  });

  it('as text it is a line per push, with sizes and reuse', async () => {
    const { url, first } = await twoPushes();
    const lines = (await datamon(['log', '-R', url])).stdout.trimEnd().split('\n');
    expect(lines).to.have.lengthOf(2);
    expect(lines[1]).to.contain(first.bundle.slice(0, 7)).and.to.contain('Ada').and.to.contain('%');
  });
});

describe('titles of columns', () => {
  it('stand above what -v asked for, and above nothing a program reads', async () => {
    const url = memoryRepo();
    await seed(url, { files: [{ path: 'a', text: 'x' }] });
    const titled = await datamon(['log', '-v', '-R', url]);
    expect(titled.stdout).to.match(
      /^bundle +commit +branch +pushed +by +files +size +new +reused\n/,
    );
    expect((await datamon(['log', '-R', url])).stdout).to.not.contain('bundle');
  });
});

describe('datamon show', () => {
  it('tells commit, receipt and lineage', async () => {
    const { url, first, second } = await twoPushes();
    const [row] = (await datamon(['show', 'main', '-R', url, '--json'])).json;
    expect(row).to.include({ bundle: second.bundle, commit: second.commit, files: 5 });
    expect(row?.['inputs']).to.deep.equal(['acme/raw@1234567']);
    expect(row?.['parents']).to.deep.equal([{ commit: first.commit, bundle: first.bundle }]);
    expect(row?.['push']).to.include({ branch: 'main', pushedBy: 'Ada <ada@example.org>' });
  });

  it('takes ids, prefixes, commits, branches, labels, latest and positions', async () => {
    const { url, first, second } = await twoPushes();
    await datamon(['label', 'set', 'v1', first.bundle, '-R', url]);
    const at = async (ref: string) => (await datamon(['show', ref, '-R', url, '-q'])).stdout.trim();
    for (const ref of [
      first.bundle,
      first.bundle.slice(0, 9),
      first.commit,
      first.commit.slice(0, 9),
      'v1',
      'main~1',
    ]) {
      expect(await at(ref), ref).to.equal(first.bundle);
    }
    for (const ref of ['main', 'latest']) expect(await at(ref), ref).to.equal(second.bundle);
  });

  it('without REF and without a clone it is the newest push', async () => {
    const { url, second } = await twoPushes();
    expect((await datamon(['show', '-R', url, '-q'])).stdout.trim()).to.equal(second.bundle);
  });

  it('says what an unknown ref is not', async () => {
    const { url } = await twoPushes();
    const { status, stderr } = await datamon(['show', 'nope', '-R', url]);
    expect([status, stderr.includes('"nope" is no bundle')]).to.deep.equal([EXIT.notFound, true]);
  });
});

describe('datamon ls', () => {
  it('lists a folder: folders with their sums, then files', async () => {
    const { url } = await twoPushes();
    const { json } = await datamon(['ls', 'main~1', '-R', url, '--json']);
    expect(json[0]).to.include({ path: 'data', kind: 'folder', files: 2, bytes: 1008 });
    expect(json.map(({ kind }) => kind)).to.deep.equal(['folder', 'git', 'symlink', 'lfs']);
  });

  it('gives paths that are not UTF-8 as base64, and quotes them for people', async () => {
    const { url } = await twoPushes();
    const { json } = await datamon(['ls', 'main', '-R', url, '--json']);
    const base64 = Buffer.from('odd\xff\nname', 'latin1').toString('base64');
    expect(json.at(-1)?.['path']).to.deep.equal({ base64 });
    expect((await datamon(['ls', 'main', '-R', url])).stdout).to.contain('"odd\\377\\nname"');
  });

  it('-r lists everything below, :PATH starts there', async () => {
    const { url } = await twoPushes();
    const { stdout } = await datamon(['ls', 'main:data', '-r', '-q', '-R', url]);
    expect(stdout).to.equal('data/a.csv\ndata/new.csv\n');
  });

  it('-l adds mode and oid for people; --json has them anyway', async () => {
    const { url } = await twoPushes();
    const long = (await datamon(['ls', 'main~1:data/deep', '-l', '-R', url])).stdout;
    expect(long).to.match(/^exec +1\.0 KB +[0-9a-f]{7} +data\/deep\/b\.bin\n$/);
    const [row] = (await datamon(['ls', 'main~1:data/deep/b.bin', '-R', url, '--json'])).json;
    expect(row).to.include({ executable: true, bytes: 1000 });
  });

  it('a path that is not there is NOT_FOUND', async () => {
    const { url } = await twoPushes();
    for (const flags of [[], ['-r']]) {
      expect((await datamon(['ls', 'main:nope', ...flags, '-R', url])).status).to.equal(
        EXIT.notFound,
      );
    }
  });
});

describe('datamon diff', () => {
  it('names added, removed and changed files with sizes', async () => {
    const { url, first, second } = await twoPushes();
    const { json } = await datamon(['diff', first.commit, second.bundle, '-R', url, '--json']);
    expect(json.map(({ path, change }) => [path, change])).to.deep.equal([
      ['data/a.csv', 'changed'],
      ['data/deep/b.bin', 'removed'],
      ['data/new.csv', 'added'],
    ]);
    expect(json[0]).to.include({ bytesBefore: 8, bytesAfter: 12 });
    expect(json[2]).to.include({ bytesBefore: null, bytesAfter: 3 });
  });

  it('as text: a letter, a path, sizes; the sum is talk', async () => {
    const { url } = await twoPushes();
    const { stdout, stderr } = await datamon(['diff', 'main~1', 'main', '-R', url]);
    expect(stdout).to.equal(
      'M  data/a.csv       8 bytes → 12 bytes\nD  data/deep/b.bin  1.0 KB\nA  data/new.csv     3 bytes\n',
    );
    expect(stderr).to.contain('3 files differ: 1 added, 1 removed, 1 changed');
  });

  it('a change too small for the rounded size shows by how much', async () => {
    const url = memoryRepo();
    const text = 'x'.repeat(12_000);
    await seed(
      url,
      { files: [{ path: 'a', text }] },
      { files: [{ path: 'a', text: `${text}yy` }] },
    );
    const forth = await datamon(['diff', 'main~1', 'main', '-R', url]);
    const back = await datamon(['diff', 'main', 'main~1', '-R', url]);
    expect([forth.stdout, back.stdout]).to.deep.equal([
      'M  a  12 KB (+2 bytes)\n',
      'M  a  12 KB (-2 bytes)\n',
    ]);
  });

  it('--exit-code tells by the status', async () => {
    const { url } = await twoPushes();
    const run = (...refs: string[]) => datamon(['diff', ...refs, '--exit-code', '-R', url]);
    expect((await run('main~1', 'main')).status).to.equal(EXIT.failure);
    expect((await run('main', 'main')).status).to.equal(EXIT.ok);
  });

  it('A..B, A alone, and paths behind --', async () => {
    const { url } = await twoPushes();
    const paths = async (...args: string[]) =>
      (await datamon(['diff', '-q', '-R', url, ...args])).stdout;
    const all = 'data/a.csv\ndata/deep/b.bin\ndata/new.csv\n';
    expect(await paths('main~1..main')).to.equal(all);
    expect(await paths('main~1')).to.equal(all);
    expect(await paths('main~1', 'main', '--', 'data/deep')).to.equal('data/deep/b.bin\n');
    expect(await paths('main~1', 'main', '--', 'data/de')).to.equal('');
  });
});

describe('datamon cat', () => {
  it('writes the bytes, or a range with both ends', async () => {
    const { url } = await twoPushes();
    const text = async (...args: string[]) =>
      (await datamon(['cat', 'main:data/a.csv', '-R', url, ...args])).stdout;
    expect(await text()).to.equal('a,b\n1,2\n3,4\n');
    expect(await text('--range', '0-2')).to.equal('a,b');
    expect(await text('--range', '8-')).to.equal('3,4\n');
    expect(await text('--range=8-1000')).to.equal('3,4\n');
  });

  it('refuses ranges that say nothing, and what is no file', async () => {
    const { url } = await twoPushes();
    for (const range of ['x', '-5', '3-1', '1-2-3', '']) {
      expect(
        (await datamon(['cat', 'main:data/a.csv', `--range=${range}`, '-R', url])).status,
        range,
      ).to.equal(EXIT.usage);
    }
    expect((await datamon(['cat', 'main:data/a.csv', '--range=500-', '-R', url])).status).to.equal(
      EXIT.usage,
    );
    expect((await datamon(['cat', 'main', '-R', url])).status).to.equal(EXIT.usage);
    expect((await datamon(['cat', 'main:link', '-R', url])).status).to.equal(EXIT.failure);
    expect((await datamon(['cat', 'main:nope', '-R', url])).status).to.equal(EXIT.notFound);
  });

  it('bytes the store does not have are named, not invented', async () => {
    const url = memoryRepo();
    await seed(url, { files: [{ path: 'gone.bin', text: 'gone', absent: true }] });
    const { status, stdout } = await datamon(['cat', 'main:gone.bin', '-R', url]);
    expect([status, stdout]).to.deep.equal([EXIT.notFound, '']);
  });
});
