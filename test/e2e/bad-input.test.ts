/** What no program may choke on: stores of another format, repos that are not there, peers that talk nonsense. A named error, and nothing changed. */
import { connect } from 'node:net';
import { expect } from 'chai';
import { digestOf } from '../../core/digest.ts';
import type { Ran } from '../support/git-repo.ts';
import { seededBytes } from '../support/splitmix64.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { AgentProcess } from './support/agent-process.ts';
import { type Project, Stage } from './support/stage.ts';
import { claimFormat, objectsOf } from './support/store-files.ts';

const ANSWER_TIMEOUT_MS = 10_000;

function failsWith(ran: Ran, words: RegExp): void {
  expect(ran.status, ran.stdout + ran.stderr).to.not.equal(0);
  expect(ran.stdout + ran.stderr).to.match(words);
  expect(ran.stdout + ran.stderr).to.not.match(/\n\s+at /);
}

describe('end to end: a store of another format', function () {
  this.timeout(60_000);
  let stage: Stage;
  let project: Project;
  before(async () => {
    stage = await Stage.set({ server: 'none' });
    project = await stage.project('later', {
      url: `${stage.storeUrl}//team/later`,
      initArgs: ['--shared'],
    });
    await project.repo.write('a.bin', seededBytes(1, 100_000));
    await project.repo.commit('First');
    await project.repo.git('push', '-q', '-u', 'origin', 'main');
    await project.repo.write('b.bin', 'b');
    await project.repo.commit('Second');
  });
  after(() => stage.strike());

  for (const [name, event, words] of [
    ['a newer version', { version: 2, features: ['zstd'] }, /has format version 2.*version 1/],
    ['an unknown mandatory feature', { version: 1, features: ['zstd', 'ice'] }, /needs ice/],
  ] as const) {
    it(`${name}: push, clone, log and serve say so and change nothing`, async () => {
      const undo = await claimFormat(stage.backend, event);
      const before = await objectsOf(stage.backend);
      const head = await project.remote.git('rev-parse', 'main');
      failsWith(await project.repo.run(['push', 'origin', 'main']), words);
      const clone = `clone of ${name}`;
      const cloned = await stage.run('git', ['clone', project.remote.dir, clone]);
      failsWith(cloned, words);
      failsWith(await stage.run('datamon', ['log', '--repo', project.url]), words);
      const serve = ['serve', '--store', stage.storeUrl, '--listen', '127.0.0.1:0'];
      const served = await stage.run('datamon', serve, { env: { DATAMON_ANONYMOUS: 'read' } });
      failsWith(served, words);
      for (const ran of [cloned, served]) expect(ran.stderr).to.contain('Update datamon');
      expect(await project.remote.git('rev-parse', 'main')).to.equal(head);
      expect(await objectsOf(stage.backend)).to.deep.equal(before);
      await undo();
      await stage.mustRun('datamon', ['log', '--repo', project.url]);
    });
  }

  it('a repo that is not there is named, with its own exit status, and not made', async () => {
    const before = await objectsOf(stage.backend);
    const url = `${stage.storeUrl}//team/nobody`;
    for (const args of [['log'], ['ls', 'main'], ['get', 'main', 'out']]) {
      const ran = await stage.run('datamon', [...args, '--repo', url]);
      expect(ran.status, ran.stderr).to.equal(10);
      failsWith(ran, /has no repo team\/nobody/);
    }
    expect(await objectsOf(stage.backend)).to.deep.equal(before);
  });
});

describe('end to end: an agent that is fed nonsense', function () {
  this.timeout(30_000);
  const init = { event: 'init', operation: 'upload', remote: 'origin', concurrent: false };
  const line = (message: object): string => `${JSON.stringify(message)}\n`;
  const upload = { event: 'upload', oid: digestOf('a'), size: 1, path: '/nowhere', action: null };
  const sizes = [-1, 0.5, 2 ** 53, 1e308, '5', null];
  const oids = ['', 'A'.repeat(64), 'a'.repeat(63), `${'a'.repeat(64)}\n`, '../../etc', 7, null];

  const inputs: Readonly<Record<string, string | Buffer>> = {
    'a line cut in the middle': line(init).slice(0, 20),
    'binary bytes': seededBytes(3, 100_000),
    'binary bytes after init': Buffer.concat([Buffer.from(line(init)), seededBytes(4, 100_000)]),
    'a download before init': line({ ...upload, event: 'download' }),
    'init twice': line(init) + line(init),
    'a download in an upload': line(init) + line({ ...upload, event: 'download' }),
    'work after terminate': line(init) + line({ event: 'terminate' }) + line(upload),
    'oids of every wrong form': line(init) + oids.map((oid) => line({ ...upload, oid })).join(''),
    'sizes of every wrong form':
      line(init) + sizes.map((size) => line({ ...upload, size })).join(''),
    'JSON that is no message': '[]\n"x"\n17\nnull\n{}\n{"event":{"event":"init"}}\n',
    'deep JSON': `${'['.repeat(100_000)}\n`,
  };
  for (const [name, input] of Object.entries(inputs)) {
    it(`${name}: ends by itself, quietly`, async () => {
      const folder = await makeTempDir();
      const env = { PATH: process.env['PATH'] ?? '', HOME: folder, GIT_CONFIG_NOSYSTEM: '1' };
      const agent = new AgentProcess({ cwd: folder, env, timeoutMs: ANSWER_TIMEOUT_MS });
      try {
        agent.write(input);
        expect(await agent.end()).to.equal(0);
        expect(agent.stderr).to.not.match(/\n\s+at |Error:/);
      } finally {
        agent.kill();
      }
    });
  }

  it('answers each wrong object by name and does its work on the next one', async () => {
    const stage = await Stage.set({ server: 'none' });
    try {
      const url = `${stage.storeUrl}//team/next`;
      const { repo } = await stage.project('next', { url, initArgs: ['--shared'] });
      await repo.write('a', 'a');
      const { env } = stage.world;
      const agent = new AgentProcess({ cwd: repo.dir, env, timeoutMs: ANSWER_TIMEOUT_MS });
      expect((await agent.ask(init)).error).to.equal(undefined);
      for (const size of sizes) {
        expect((await agent.ask({ ...upload, size })).error, `${size}`).to.not.equal(undefined);
      }
      expect((await agent.ask(upload)).error?.message).to.contain('/nowhere');
      const answer = await agent.ask({ ...upload, path: repo.path('a') });
      expect(answer).to.deep.equal({ event: 'complete', oid: upload.oid });
      expect(await agent.end()).to.equal(0);
    } finally {
      await stage.strike();
    }
  });
});

describe('end to end: a server that hears half a request', function () {
  this.timeout(60_000);
  let stage: Stage;
  before(async () => {
    stage = await Stage.set({ server: 'running' });
  });
  after(() => stage.strike());

  /** Sends bytes, hangs up, and waits until the connection is gone: what the server said. */
  const hangUpAfter = (text: string | Buffer): Promise<string> =>
    new Promise((done, fail) => {
      let said = '';
      const socket = connect(stage.serverPort, '127.0.0.1', () => socket.end(text));
      socket.setTimeout(ANSWER_TIMEOUT_MS, () => fail(new Error('the server keeps us waiting')));
      socket.on('data', (bytes) => {
        said += bytes.toString('latin1');
      });
      socket.on('error', () => {});
      socket.on('close', () => {
        socket.destroy();
        done(said);
      });
    });

  const body = seededBytes(9, 1000);
  const oid = digestOf(body);
  const head = (request: string, sizeBytes: number): string =>
    `${request} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/vnd.git-lfs+json\r\nContent-Length: ${sizeBytes}\r\n\r\n`;
  const inputs: Readonly<Record<string, () => string | Buffer>> = {
    'half a request line': () => 'PUT /team/half/obj',
    'half a header': () => 'POST /team/half/objects/batch HTTP/1.1\r\nHost: 127.0',
    'half a batch': () => `${head('POST /team/half/objects/batch', 100)}{"operation":"upl`,
    'half an object': () =>
      Buffer.concat([
        Buffer.from(head(`PUT /team/half/objects/${oid}`, 1000)),
        body.subarray(0, 600),
      ]),
    'an object without a body': () => head(`PUT /team/half/objects/${oid}`, 1000),
    'bytes that are no HTTP': () => seededBytes(10, 5000),
  };
  for (const [name, input] of Object.entries(inputs)) {
    it(`${name}: hangs up, keeps serving, stores nothing`, async () => {
      const said = await hangUpAfter(input());
      expect(said).to.match(/^(HTTP\/1\.1 4\d\d |$)/);
      expect(said).to.not.match(/\n\s+at /);
      expect((await fetch(`${stage.origin}/healthz`)).status).to.equal(200);
      expect((await fetch(`${stage.origin}/team/half/objects/${oid}`)).status).to.equal(404);
    });
  }

  it('an object of other bytes than its oid is refused, and not there afterwards', async () => {
    const url = `${stage.origin}/team/half/objects/${oid}`;
    const refused = await fetch(url, { method: 'PUT', body: seededBytes(11, 1000) });
    expect(refused.status).to.equal(400);
    expect(await refused.text()).to.contain(oid);
    expect((await fetch(url)).status).to.equal(404);
    expect((await fetch(url, { method: 'PUT', body })).status).to.equal(200);
    expect(Buffer.from(await (await fetch(url)).arrayBuffer()).equals(body)).to.equal(true);
  });
});
