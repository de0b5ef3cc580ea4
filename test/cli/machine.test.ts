/** install, uninstall, config, doctor, credential, login: git's configuration is written, read and put back. */
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { EXIT } from '../../core/io.ts';
import { GitWorld } from '../support/git-repo.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { type CliOptions, datamon } from './support/cli.ts';

const AGENT = 'lfs.customtransfer.datamon.path';

async function machine() {
  const home = await makeTempDir();
  const config = join(home, '.gitconfig');
  const env = {
    PATH: process.env['PATH'],
    HOME: home,
    XDG_STATE_HOME: join(home, 'state'),
    GIT_CONFIG_GLOBAL: config,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
  };
  const run = (argv: string[], options: CliOptions = {}) =>
    datamon(argv, { cwd: home, ...options, env: { ...env, ...options.env } });
  return { home, config, env, run };
}

describe('datamon install', () => {
  it('writes the agent, the standalone key, the consent and git-lfs’s filters', async () => {
    const { config, run } = await machine();
    const { status, stderr } = await run(['install']);
    const text = await readFile(config, 'utf8');
    expect(status).to.equal(EXIT.ok);
    expect(text).to.match(
      /\[lfs "customtransfer\.datamon"\]\n\tpath = .*\/state\/datamon\/bin\/git-lfs-datamon\n/,
    );
    expect(text).to.contain('concurrent = false');
    expect(text).to.contain('[lfs "datamon::"]\n\tstandalonetransferagent = datamon');
    expect(text).to.contain('hooks = auto');
    expect(text).to.contain('process = git-lfs filter-process');
    expect(stderr.split('\n').filter((line) => line.includes('--no-hooks'))).to.have.lengthOf(1);
  });

  it('a second time changes nothing', async () => {
    const { config, run } = await machine();
    await run(['install']);
    const before = await readFile(config, 'utf8');
    const { json } = await run(['install', '--json']);
    expect(new Set(json.map(({ outcome }) => outcome))).to.deep.equal(new Set(['unchanged']));
    expect(await readFile(config, 'utf8')).to.equal(before);
  });

  it('--dry-run says and does not do', async () => {
    const { home, run } = await machine();
    const { json } = await run(['install', '--dry-run', '--json']);
    expect(new Set(json.map(({ outcome }) => outcome))).to.deep.equal(new Set(['would set']));
    expect(await readdir(home)).to.deep.equal([]);
  });

  it('--no-hooks is remembered', async () => {
    const { config, run } = await machine();
    await run(['install', '--no-hooks']);
    expect(await readFile(config, 'utf8')).to.contain('hooks = off');
  });

  it('takes the launcher beside DATAMON_LAUNCHER, as git-lfs wants it: one file, unquoted', async () => {
    const { home, config, run } = await machine();
    const bin = join(home, "it's bin");
    await mkdir(bin);
    await writeFile(join(bin, 'git-lfs-datamon'), '#!/bin/sh\n', { mode: 0o755 });
    await run(['install'], { env: { DATAMON_LAUNCHER: bin } });
    const { json } = await run(['config', '--json']);
    const path = json.find(({ key }) => key === AGENT)?.['value'];
    expect(path).to.equal(`${home}/it's bin/git-lfs-datamon`);
    expect(await readFile(config, 'utf8')).to.contain('git-lfs-datamon');
  });

  it('--server registers a credential helper beside others, for the origin alone', async () => {
    const { config, run } = await machine();
    await writeFile(config, '[credential "https://d.example.org"]\n\thelper = other\n');
    await run(['install', '--server', 'https://d.example.org/acme/x']);
    await run(['install', '--server', 'https://d.example.org/']);
    const text = await readFile(config, 'utf8');
    expect(text.match(/helper = /g)).to.have.lengthOf(2);
    expect(text).to.match(/helper = !.* credential\n/);
    expect((await run(['install', '--server', 'nonsense'])).status).to.equal(EXIT.usage);
    expect((await run(['install', '--server', 'https://user:pw@d.example.org'])).status).to.equal(
      EXIT.usage,
    );
  });

  it('--local needs a clone', async () => {
    const { run } = await machine();
    const { status, stderr } = await run(['install', '--local']);
    expect([status, stderr.includes('not inside a git repository')]).to.deep.equal([
      EXIT.notFound,
      true,
    ]);
  });
});

describe('datamon uninstall', function () {
  this.timeout(20_000);

  it('leaves no trace where there was nothing', async () => {
    const { home, run } = await machine();
    await run(['install', '--server', 'https://d.example.org']);
    expect((await run(['uninstall'])).status).to.equal(EXIT.ok);
    expect(await readdir(home, { recursive: true })).to.deep.equal(['state']);
  });

  it('puts back what stood there, byte for byte', async () => {
    const { config, run } = await machine();
    const before =
      '# mine\n[user]\n\tname = Ada\n[credential "https://d.example.org"]\n\thelper = other\n[filter "lfs"]\n\tclean = git-lfs clean -- %f\n\tsmudge = git-lfs smudge -- %f\n\tprocess = git-lfs filter-process\n\trequired = true\n';
    await writeFile(config, before);
    await run(['install', '--server', 'https://d.example.org']);
    expect(await readFile(config, 'utf8')).to.not.equal(before);
    await run(['uninstall']);
    expect(await readFile(config, 'utf8')).to.equal(before);
  });

  it('restores a value that another had set', async () => {
    const { config, run } = await machine();
    await writeFile(config, '[datamon]\n\thooks = off\n');
    await run(['install']);
    await run(['install', '--no-hooks']);
    await run(['install']);
    expect(
      (await run(['uninstall', '--json'])).json.find(({ key }) => key === 'datamon.hooks'),
    ).to.include({
      outcome: 'restored',
      value: 'off',
    });
    expect(await readFile(config, 'utf8')).to.equal('[datamon]\n\thooks = off\n');
  });

  it('without install there is nothing to do, and --dry-run does nothing', async () => {
    const { config, run } = await machine();
    expect((await run(['uninstall', '--json'])).json).to.deep.equal([]);
    await run(['install']);
    const before = await readFile(config, 'utf8');
    const { json } = await run(['uninstall', '--dry-run', '--json']);
    expect(json.map(({ outcome }) => outcome)).to.include('would remove');
    expect(await readFile(config, 'utf8')).to.equal(before);
  });

  it('takes hooks out of the clones it knows', async () => {
    const world = await GitWorld.create();
    try {
      const { repo } = await world.withRemote();
      const run = (...argv: string[]) => datamon(argv, { cwd: repo.dir, env: world.env });
      const store = join(world.root, 'store');
      const before = (await readdir(repo.path('.git/hooks'))).sort();
      await run('install');
      await run('init', store, '--shared');
      expect(await readdir(repo.path('.git/hooks'))).to.include('reference-transaction');
      expect(await repo.git('config', '--local', 'lfs.url')).to.contain('datamon::');
      await datamon(['uninstall'], { cwd: '/', env: world.env });
      expect((await readdir(repo.path('.git/hooks'))).sort()).to.deep.equal(before);
      expect((await repo.run(['config', '--local', 'lfs.url'])).status).to.equal(1);
    } finally {
      await world.remove();
    }
  });
});

describe('datamon config', () => {
  it('lists values with their source, and tells no secrets', async () => {
    const { run } = await machine();
    const env = { DATAMON_TOKEN: 'sesame', DATAMON_URL: 'https://d.example.org/a' };
    await run(['config', 'set', 'datamon.receipt', 'short']);
    const { json, stdout } = await run(['config', '--json'], { env });
    const of = (name: string) => json.find(({ key }) => key === name);
    expect(of('datamon.receipt')).to.include({ value: 'short' });
    expect(of('datamon.receipt')?.['source']).to.contain('.gitconfig');
    expect(of('datamon.memory')).to.include({ value: '256 MiB', source: 'default' });
    expect(of('DATAMON_URL')).to.include({ source: 'environment' });
    expect(of('DATAMON_TOKEN')).to.include({ value: '(set)' });
    expect(stdout).to.not.contain('sesame');
  });

  it('sets and gets the five keys, by their short names too', async () => {
    const { run } = await machine();
    expect((await run(['config', 'set', 'hooks', 'auto'])).status).to.equal(EXIT.ok);
    expect((await run(['config', 'get', 'hooks', '-q'])).stdout).to.equal('auto\n');
  });

  it('refuses unknown keys and senseless values', async () => {
    const { run } = await machine();
    expect((await run(['config', 'get', 'datamon.reciept'])).stderr).to.contain('datamon.receipt?');
    expect((await run(['config', 'set', 'hooks', 'perhaps'])).status).to.equal(EXIT.usage);
    expect((await run(['config', 'set', 'hooks'])).status).to.equal(EXIT.usage);
    expect((await run(['config', 'sett', 'hooks', 'off'])).stderr).to.contain(
      'datamon config set?',
    );
  });
});

describe('datamon credential', () => {
  const question = 'protocol=https\nhost=d.example.org\n\n';

  it('answers get with DATAMON_TOKEN', async () => {
    const { stdout } = await datamon(['credential', 'get'], {
      env: { DATAMON_TOKEN: 'sesame' },
      input: question,
    });
    expect(stdout).to.equal('username=token\npassword=sesame\n');
  });

  it('says nothing without a token, to other words, and to a token of two lines', async () => {
    const say = async (word: string, DATAMON_TOKEN?: string) =>
      (await datamon(['credential', word], { env: { DATAMON_TOKEN }, input: question })).stdout;
    expect(await say('get')).to.equal('');
    expect(await say('store', 'sesame')).to.equal('');
    expect(await say('get', 'sesame\nhost=evil')).to.equal('');
  });
});

describe('datamon login', () => {
  async function server(accepts: string) {
    const http = createServer((request, response) => {
      const ok = request.headers.authorization === `Bearer ${accepts}`;
      response.writeHead(ok ? 200 : 401, { 'content-type': 'application/json' });
      response.end(JSON.stringify(ok ? { repos: [] } : { code: 'UNAUTHENTICATED', message: 'no' }));
    });
    await new Promise<void>((done) => http.listen(0, '127.0.0.1', done));
    const { port } = http.address() as AddressInfo;
    return {
      url: `http://127.0.0.1:${port}`,
      close: () => new Promise((done) => http.close(done)),
    };
  }

  it('stores a token that works with git’s helper, and forgets it again', async () => {
    const { home, config, run } = await machine();
    const { url, close } = await server('good');
    try {
      const file = join(home, 'credentials');
      await writeFile(config, `[credential]\n\thelper = store --file=${file}\n`);
      const { status, stdout } = await run(['login', url, '--token-stdin'], { input: 'good\n' });
      expect([status, stdout]).to.deep.equal([EXIT.ok, `logged in: ${url}\n`]);
      expect(await readFile(file, 'utf8')).to.contain('token:good@127.0.0.1');
      await run(['login', url, '--logout']);
      expect((await stat(file)).size).to.equal(0);
    } finally {
      await close();
    }
  });

  it('does not store a token that is refused', async () => {
    const { home, config, run } = await machine();
    const { url, close } = await server('good');
    try {
      await writeFile(
        config,
        `[credential]\n\thelper = store --file=${join(home, 'credentials')}\n`,
      );
      const { status, stderr } = await run(['login', url, '--token-stdin'], { input: 'bad' });
      expect([status, stderr.includes('not stored')]).to.deep.equal([EXIT.auth, true]);
      expect(stderr).to.not.contain('bad');
      expect(await readdir(home)).to.not.include('credentials');
    } finally {
      await close();
    }
  });

  it('says where a token cannot be kept, and where none is needed', async () => {
    const { run } = await machine();
    const { url, close } = await server('good');
    try {
      const ran = await run(['login', url, '--token-stdin'], { input: 'good' });
      expect([ran.status, ran.stderr.includes('no credential helper')]).to.deep.equal([
        EXIT.failure,
        true,
      ]);
    } finally {
      await close();
    }
    expect((await run(['login', 'file:///srv/store'])).stderr).to.contain('no login');
    expect((await run(['login', url])).stderr).to.contain('--token-stdin');
  });
});

describe('datamon doctor', function () {
  this.timeout(40_000);

  it('on an untouched machine names one command for each ✗', async () => {
    const { run } = await machine();
    const { json, status } = await run(['doctor', '--json']);
    expect(status).to.equal(EXIT.failure);
    const bad = json.filter(({ ok }) => ok === false);
    expect(bad.map(({ check }) => check)).to.include.members([
      'agent-key',
      'standalone-key',
      'lfs-filters',
    ]);
    for (const { fix } of bad) expect(fix).to.be.a('string').and.not.equal('');
  });

  it('--fix mends the machine', async () => {
    const { run } = await machine();
    await run(['doctor', '--fix']);
    const { json, status } = await run(['doctor', '--json']);
    expect(json.filter(({ ok }) => ok === false)).to.deep.equal([]);
    expect(status).to.equal(EXIT.ok);
  });

  it('starts the agent as git-lfs would, and says what it heard instead', async () => {
    const { home, config, run } = await machine();
    await run(['install']);
    const liar = join(home, 'liar');
    await writeFile(liar, '#!/bin/sh\necho nonsense\n', { mode: 0o755 });
    await writeFile(
      config,
      (await readFile(config, 'utf8')).replace(/path = .*/, `path = ${liar}`),
    );
    const { json } = await run(['doctor', '--json']);
    const agent = json.find(({ check }) => check === 'agent-launcher');
    expect(agent).to.include({ ok: false, fix: 'datamon install' });
    expect(agent?.['says']).to.contain('nonsense');
  });

  it('as text each line has a mark', async () => {
    const { run } = await machine();
    const lines = (await run(['doctor'])).stdout.trimEnd().split('\n');
    expect(lines.filter((line) => !/^([✓✗–] (machine|clone|store)|\s)/.test(line))).to.deep.equal(
      [],
    );
  });
});
