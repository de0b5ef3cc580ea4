/** `datamon serve` as a process: starts, says where, stops when told, and loses nothing when killed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { mintUserToken, parseScope, parseSecret } from '../../client/tokens.ts';
import { digestOf } from '../../core/digest.ts';
import { main } from '../../lfs-server/main.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { rawClient, statusOf } from './support/raw-socket.ts';

const CLI = resolve(import.meta.dirname, '../../cli/main.ts');

interface Ended {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs main in this process until it ends by itself. */
async function run(argv: string[], env: Record<string, string> = {}): Promise<Ended> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const io = {
    stdin: new PassThrough(),
    stdout,
    stderr,
    env,
    cwd: '/',
    signal: AbortSignal.timeout(3000),
    isTerminal: false,
  };
  const status = await main(argv, io);
  stdout.end();
  stderr.end();
  return { status, stdout: await text(stdout), stderr: await text(stderr) };
}

const children = new Set<ChildProcess>();
afterEach('end servers', () => {
  for (const child of children) child.kill('SIGKILL');
  children.clear();
});

interface Running {
  readonly child: ChildProcess;
  readonly origin: string;
  readonly stderr: () => string;
}

async function start(...argv: string[]): Promise<Running> {
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', CLI, 'serve', ...argv],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env['PATH'] ?? '',
        HOME: process.env['HOME'] ?? '',
        TMPDIR: await makeTempDir(),
      },
    },
  );
  children.add(child);
  let stderr = '';
  child.stderr?.on('data', (bytes) => {
    stderr += bytes;
  });
  const [line] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
  return { child, origin: String(line).trim(), stderr: () => stderr };
}

const put = (origin: string, content: string, headers: Record<string, string> = {}) =>
  fetch(`${origin}/acme/weather/objects/${digestOf(content)}`, {
    method: 'PUT',
    body: content,
    headers,
  });
const get = async (origin: string, content: string) =>
  await (await fetch(`${origin}/acme/weather/objects/${digestOf(content)}`)).text();

describe('datamon serve', () => {
  it('says where it is on stdout alone, and what it serves on stderr', async () => {
    const running = await start(
      '--store',
      'memory:',
      '--listen',
      '127.0.0.1:0',
      '--anonymous',
      'read',
    );
    expect(running.origin).to.match(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(running.stderr()).to.equal(`datamon serving memory: at ${running.origin}\n`);
    expect((await fetch(`${running.origin}/healthz`)).status).to.equal(200);
  }).timeout(15_000);

  it('has everything again after kill -9, from another process on the same store', async () => {
    const store = `file://${await makeTempDir()}/store`;
    const argv = ['--store', store, '--listen', '127.0.0.1:0', '--anonymous', 'write'];
    const first = await start(...argv);
    const contents = Array.from({ length: 12 }, (_, n) => `content ${n}`);
    const answers = await Promise.all(contents.map((each) => put(first.origin, each)));
    expect(answers.map(({ status }) => status)).to.deep.equal(contents.map(() => 200));
    const lock = await fetch(`${first.origin}/acme/weather/locks`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: '{"path":"a.bin"}',
    });
    expect(lock.status).to.equal(201);
    const killed = once(first.child, 'exit');
    first.child.kill('SIGKILL');
    await killed;
    const second = await start(...argv);
    for (const each of contents) expect(await get(second.origin, each)).to.equal(each);
    const { locks } = (await (await fetch(`${second.origin}/acme/weather/locks`)).json()) as {
      locks: unknown[];
    };
    expect(locks).to.have.length(1);
  }).timeout(20_000);

  it('lets an upload in flight end when told to stop, and exits 0', async () => {
    const { child, origin } = await start(
      '--store',
      'memory:',
      '--listen',
      '127.0.0.1:0',
      '--anonymous',
      'write',
    );
    const client = await rawClient(Number(new URL(origin).port));
    client.write(
      `PUT /acme/weather/objects/${digestOf('abcdef')} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 6\r\n\r\nabc`,
    );
    // The request is in flight once a later one was answered.
    await fetch(`${origin}/readyz`);
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    await refused(origin);
    client.write('def');
    expect(statusOf(await client.untilClosed())).to.equal(200);
    expect((await ended)[0]).to.equal(0);
  }).timeout(15_000);

  it('is shared by servers: what one takes another gives', async () => {
    const store = `file://${await makeTempDir()}/store`;
    const argv = ['--store', store, '--listen', '127.0.0.1:0', '--anonymous', 'write'];
    const [a, b] = await Promise.all([start(...argv), start(...argv)]);
    for (const each of ['one', 'two', 'three']) {
      expect((await put(a.origin, each)).status).to.equal(200);
      expect(await get(b.origin, each)).to.equal(each);
    }
  }).timeout(20_000);

  it('checks tokens by the secret in its file', async () => {
    const folder = await makeTempDir();
    const file = join(folder, 'secret');
    await writeFile(file, 'a secret of the operator, long enough\n');
    const { origin } = await start(
      '--store',
      'memory:',
      '--listen',
      '127.0.0.1:0',
      '--jwt-secret-file',
      file,
    );
    const secret = parseSecret(Buffer.from('a secret of the operator, long enough'));
    const token = mintUserToken(
      { secrets: [secret], issuer: 'datamon' },
      { subject: 'ada', scopes: [parseScope('write:*')], ttlSeconds: 60 },
    );
    expect((await put(origin, 'x')).status).to.equal(401);
    expect((await put(origin, 'x', { Authorization: `Bearer ${token}` })).status).to.equal(200);
  }).timeout(15_000);

  for (const [what, argv, sentence] of [
    ['a weak secret', ['--store', 'memory:', '--jwt-secret-file', '/dev/null'], 'at least 32'],
    [
      'a secret that is not there',
      ['--store', 'memory:', '--jwt-secret-file', '/nonexistent'],
      'cannot read the token secret',
    ],
    [
      'a store of an unknown kind',
      ['--store', 'ftp://x', '--anonymous', 'read'],
      'not a store URL',
    ],
    [
      'an address of another machine',
      ['--store', 'memory:', '--jwt-secret-file', '/proc/version', '--listen', '192.0.2.1:80'],
      'cannot listen on 192.0.2.1:80',
    ],
    [
      'anonymous callers off loopback',
      ['--store', 'memory:', '--anonymous', 'read', '--listen', '0.0.0.0:0'],
      'loopback',
    ],
  ] as const) {
    it(`ends with 2 and a sentence for ${what}`, async () => {
      const ended = await run([...argv]);
      expect(ended.status).to.equal(2);
      expect(ended.stdout).to.equal('');
      expect(ended.stderr)
        .to.match(/^datamon: /)
        .and.contain(sentence)
        .and.not.match(/\n\s+at /);
    });
  }
});

/** Resolves once the server takes no more connections. */
async function refused(origin: string): Promise<void> {
  for (;;) {
    try {
      await fetch(`${origin}/healthz`, { headers: { Connection: 'close' } });
    } catch {
      return;
    }
  }
}
