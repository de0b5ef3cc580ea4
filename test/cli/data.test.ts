/** put, label, repo and token. */
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { splitBranch } from '../../cli/commands/put.ts';
import { parseTtl } from '../../cli/commands/token.ts';
import { parseSecret, verifyUserToken } from '../../client/tokens.ts';
import { EXIT } from '../../core/io.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { datamon, memoryRepo, seed } from './support/cli.ts';

const SECRET = 'b3JkaW5hcnktc2VjcmV0LW9mLWEtdGVzdC1vbmx5';

async function folder(): Promise<string> {
  const dir = await makeTempDir();
  await mkdir(join(dir, 'src/deep'), { recursive: true });
  await mkdir(join(dir, 'src/hollow'));
  await mkdir(join(dir, 'src/.git'));
  await writeFile(join(dir, 'src/.git/config'), 'not data');
  await writeFile(join(dir, 'src/a.csv'), 'a,b\n');
  await writeFile(join(dir, 'src/empty'), '');
  await writeFile(join(dir, 'src/deep/run.sh'), '#!/bin/sh\n');
  await chmod(join(dir, 'src/deep/run.sh'), 0o755);
  await symlink('a.csv', join(dir, 'src/link'));
  return dir;
}

describe('datamon put', () => {
  it('uploads a folder that get brings back as it was', async () => {
    const [dir, url] = [await folder(), memoryRepo()];
    const put = await datamon(['put', 'src', url, '-m', 'Run 17', '--label', 'best', '--json'], {
      cwd: dir,
    });
    expect(put.status).to.equal(EXIT.ok);
    expect(put.json[0]).to.include({ branch: 'main', files: 4, label: 'best', recorded: true });
    const { json } = await datamon(['ls', 'best', '-r', '-R', url, '--json']);
    expect(json.map(({ path, kind, executable }) => [path, kind, executable])).to.deep.equal([
      ['a.csv', 'lfs', false],
      ['deep/run.sh', 'lfs', true],
      ['empty', 'lfs', false],
      ['hollow', 'directory', false],
      ['link', 'symlink', false],
    ]);
    expect((await datamon(['show', 'best', '-R', url, '--json'])).json[0]).to.include({
      message: 'Run 17',
    });
    expect((await datamon(['get', 'best', 'out', '-R', url], { cwd: dir })).status).to.equal(
      EXIT.ok,
    );
  });

  it('the last line of stdout is the bundle', async () => {
    const [dir, url] = [await folder(), memoryRepo()];
    const { stdout, stderr } = await datamon(['put', 'src', url], { cwd: dir });
    expect(stdout).to.match(/^[0-9a-f]{64}\n$/);
    expect(stderr).to.match(/bundle [0-9a-f]{7} · .* % reused/);
  });

  it('the same files again are no new bundle; other files follow on the branch', async () => {
    const [dir, url] = [await folder(), memoryRepo()];
    const put = async () =>
      (await datamon(['put', 'src', `${url}:nightly/x`, '--json'], { cwd: dir })).json[0];
    const [first, again] = [await put(), await put()];
    expect(again).to.include({ bundle: first?.['bundle'], recorded: false, newBytes: 0 });
    await writeFile(join(dir, 'src/b.csv'), 'more');
    const second = await put();
    const { json } = await datamon(['log', 'nightly/x', '-R', url, '--json']);
    expect(json.map(({ bundle }) => bundle)).to.deep.equal([second?.['bundle'], first?.['bundle']]);
    expect(json[0]).to.include({ gap: false, forced: false });
  });

  it('says what is wrong with the folder, the repo, the branch, the label', async () => {
    const [dir, url] = [await folder(), memoryRepo()];
    const status = async (...args: string[]) =>
      (await datamon(['put', ...args], { cwd: dir })).status;
    expect(await status('nope', url)).to.equal(EXIT.notFound);
    expect(await status('src/a.csv', url)).to.equal(EXIT.usage);
    expect(await status('src')).to.equal(EXIT.usage);
    expect(await status('src', 'acme/x')).to.equal(EXIT.usage);
    expect(await status('src', `${url}:`)).to.equal(EXIT.usage);
    expect(await status('src', url, '--label', 'a b')).to.equal(EXIT.usage);
  });

  it('finds the branch behind the repo, whatever the URL', () => {
    for (const [text, repo, branch] of [
      ['https://h:8080/a/b', 'https://h:8080/a/b', 'main'],
      ['https://h:8080/a/b:side/x', 'https://h:8080/a/b', 'side/x'],
      ['file:///s//a/b:x', 'file:///s//a/b', 'x'],
      ['datamon::file:///s//a/b:x', 'datamon::file:///s//a/b', 'x'],
      ['memory:m//a/b:x', 'memory:m//a/b', 'x'],
      ['/s//a/b:x', '/s//a/b', 'x'],
      ['a/b:x', 'a/b', 'x'],
      ['a/b', 'a/b', 'main'],
    ] as const) {
      expect(splitBranch(text), text).to.deep.equal({ repo, branch });
    }
  });
});

describe('datamon label', () => {
  it('sets, moves, lists, removes, and keeps the log', async () => {
    const url = memoryRepo();
    const [first, second] = await seed(
      url,
      { files: [{ path: 'a', text: '1' }] },
      { files: [{ path: 'a', text: '2' }] },
    );
    const label = (...args: string[]) => datamon(['label', ...args, '-R', url, '--json']);
    await label('set', 'best', 'main~1');
    await label('set', 'best');
    expect((await label()).json.map(({ bundle }) => bundle)).to.deep.equal([second?.bundle]);
    expect((await label('rm', 'best')).json[0]).to.include({ label: 'best', bundle: null });
    expect((await label('list')).json).to.deep.equal([]);
    expect((await label('log', 'best')).json.map(({ bundle }) => bundle)).to.deep.equal([
      null,
      second?.bundle,
      first?.bundle,
    ]);
    expect((await label('rm', 'best')).status).to.equal(EXIT.notFound);
  });

  it('refuses names that could not be typed again, and unknown actions', async () => {
    const url = memoryRepo();
    await seed(url, { files: [{ path: 'a', text: '1' }] });
    for (const name of ['a b', 'a:b', 'latest', 'a~1', '', 'a\u001b[31m']) {
      expect(
        (await datamon(['label', 'set', name, '-R', url])).status,
        JSON.stringify(name),
      ).to.equal(EXIT.usage);
    }
    expect((await datamon(['label', 'lst', '-R', url])).stderr).to.contain('datamon label list?');
    expect((await datamon(['label', 'list', 'x', '-R', url])).status).to.equal(EXIT.usage);
    expect((await datamon(['label', 'set', '-R', url])).status).to.equal(EXIT.usage);
  });
});

describe('datamon repo', () => {
  it('makes, lists and shows', async () => {
    const url = memoryRepo();
    const store = url.split('//')[0] ?? '';
    expect((await datamon(['repo', 'create', url, '--json'])).json[0]).to.include({
      repo: 'acme/weather',
      pool: 'acme',
    });
    expect((await datamon(['repo', 'create', 'acme/second', '-R', store])).status).to.equal(
      EXIT.ok,
    );
    const { json } = await datamon(['repo', 'list', '-R', store, '--json']);
    expect(json.map(({ repo }) => repo)).to.have.members(['acme/weather', 'acme/second']);
    await seed(url, { files: [{ path: 'a', text: '1' }] });
    expect((await datamon(['repo', 'show', url, '--json'])).json[0]).to.include({
      branches: 1,
      labels: 0,
    });
    expect((await datamon(['repo', 'show', 'acme/nope', '-R', store])).status).to.equal(
      EXIT.notFound,
    );
  });

  it('checks names and actions', async () => {
    expect((await datamon(['repo', 'create', 'memory:x//a/b/c'])).status).to.equal(EXIT.usage);
    expect((await datamon(['repo', 'destroy', 'x'])).status).to.equal(EXIT.usage);
    expect((await datamon(['repo', 'list'], { cwd: '/' })).status).to.equal(EXIT.usage);
  });
});

describe('datamon token', () => {
  async function secretFile(): Promise<string> {
    const file = join(await makeTempDir(), 'secret');
    await writeFile(file, SECRET);
    return file;
  }

  it('mints what a server with the secret accepts, alone on stdout', async () => {
    const file = await secretFile();
    const args = [
      'token',
      'mint',
      '--repo',
      'acme/*',
      '--read',
      '--write',
      '--subject',
      'ada',
      '--ttl',
      '8h',
    ];
    const { stdout, status } = await datamon(args, { env: { DATAMON_JWT_SECRET_FILE: file } });
    expect(status).to.equal(EXIT.ok);
    const secrets = [parseSecret(Buffer.from(SECRET))];
    const claims = verifyUserToken(stdout.trim(), {
      secrets,
      issuers: ['datamon'],
      audience: 'datamon',
    });
    expect(claims.subject).to.equal('ada');
    expect(claims.scopes).to.deep.equal([
      { verb: 'read', pattern: 'acme/*' },
      { verb: 'write', pattern: 'acme/*' },
    ]);
    expect(claims.expiresAt * 1000 - Date.now()).to.be.within(7.9 * 3_600_000, 8.1 * 3_600_000);
  });

  it('show reads a token from stdin, the environment or an operand, and never prints it', async () => {
    const file = await secretFile();
    const mint = [
      'token',
      'mint',
      '--repo',
      '*',
      '--admin',
      '--subject',
      'ada',
      '--secret-file',
      file,
    ];
    const token = (await datamon(mint)).stdout.trim();
    for (const [argv, options] of [
      [['token', 'show', '-'], { input: `${token}\n` }],
      [['token', 'show'], { env: { DATAMON_TOKEN: token } }],
      [['token', 'show', token], {}],
    ] as const) {
      const { json, stdout } = await datamon([...argv, '--json'], options);
      expect(json[0]).to.include({ subject: 'ada', scope: 'admin:*', expired: false });
      expect(stdout).to.not.contain(token.split('.')[2] ?? token);
    }
  });

  it('refuses what makes no token', async () => {
    const file = await secretFile();
    const status = async (...args: string[]) => (await datamon(['token', ...args])).status;
    expect(await status('mint', '--read', '--secret-file', file)).to.equal(EXIT.usage);
    expect(await status('mint', '--repo', '*', '--secret-file', file)).to.equal(EXIT.usage);
    expect(await status('mint', '--repo', '*', '--read')).to.equal(EXIT.usage);
    expect(await status('mint', '--repo', 'a b', '--read', '--secret-file', file)).to.equal(
      EXIT.usage,
    );
    expect(await status('mint', '--repo', '*', '--read', '--secret-file', '/nonexistent')).to.equal(
      EXIT.notFound,
    );
    expect(await status('show', 'nonsense')).to.equal(EXIT.usage);
    expect(await status('show', 'a.b.c')).to.equal(EXIT.usage);
    expect(await status('mit')).to.equal(EXIT.usage);
  });

  it('reads times to live', () => {
    expect(['90', '30s', '15m', '8h', '30d'].map(parseTtl)).to.deep.equal([
      90, 30, 900, 28_800, 2_592_000,
    ]);
    for (const bad of ['', '0', '-1', '1y', '99999d', 'h'])
      expect(() => parseTtl(bad), bad).to.throw('--ttl');
  });
});
