/** The small parts: who runs above us, what the log keeps, when something is tried again, where an object's way leads. */
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { expect } from 'chai';
import { BACKLOG_SIZE_MAX_BYTES, createAnswers, seizeOutput } from '../../agent/answers.ts';
import { createLogFile, LOG_SIZE_MAX_BYTES, logPath, redact } from '../../agent/log-file.ts';
import type { DownloadRequest, UploadRequest } from '../../agent/messages.ts';
import { isFetchAndPrune, isPruneCheck } from '../../agent/prune-check.ts';
import { RetryAfter, withRetries } from '../../agent/retry.ts';
import { createRoutes, type OpenRepository, repoUrlOf, tokenOf } from '../../agent/routes.ts';
import { digestOf } from '../../core/digest.ts';
import { DatamonError } from '../../core/errors.ts';
import { codeOf } from '../support/code-of.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { plannedBlobs, repositoryOf } from './support/blobs.ts';

const OID = digestOf('x');

describe('agent/prune-check', () => {
  it('knows a prune by the program and the word, not by a path that holds it', () => {
    expect(isPruneCheck([['/usr/bin/git-lfs', 'prune', '-c']])).to.equal(true);
    expect(isPruneCheck([['git', 'lfs', 'prune']])).to.equal(true);
    expect(isPruneCheck([['git-lfs', 'fetch', '--prune']])).to.equal(false);
    expect(isPruneCheck([['vim', 'prune']])).to.equal(false);
    expect(isPruneCheck([['git-lfs', 'pull', 'a prune']])).to.equal(false);
    expect(isFetchAndPrune([['git-lfs', 'fetch', '--prune']])).to.equal(true);
    expect(isFetchAndPrune([['git-lfs', 'fetch']])).to.equal(false);
  });
});

describe('agent/log-file', () => {
  const now = () => new Date('2026-01-02T03:04:05Z');

  it('blacks out tokens wherever they stand', () => {
    const secrets = [
      'Authorization: Bearer s3cr3t',
      'Authorization: Basic dTpzM2NyM3Q=',
      'https://user:s3cr3t@host/x',
      'https://h/x?token=s3cr3t&y=1',
      'X-Amz-Signature=s3cr3t',
      'got eyJhbGciOiJIUzI1NiJ9.eyJzM2NyM3QiOjF9.s3cr3t here',
    ];
    for (const text of secrets) {
      expect(redact(text), text).to.not.match(/s3cr3t|dTpzM2NyM3Q|eyJzM2NyM3Qi/);
    }
    expect(redact('a plain sentence')).to.equal('a plain sentence');
  });

  it('writes one private line each, and swaps a full file for a new one', async () => {
    const folder = await makeTempDir();
    const path = join(folder, 'log', 'agent.log');
    await mkdir(join(folder, 'log'));
    await writeFile(path, 'x'.repeat(LOG_SIZE_MAX_BYTES + 1));
    createLogFile({ path, pid: 5, now })('two\nlines');
    expect(await readFile(path, 'utf8')).to.equal('2026-01-02T03:04:05.000Z 5 two lines\n');
    expect((await stat(path)).mode & 0o777).to.equal(0o600);
    expect((await stat(`${path}.1`)).size).to.be.above(LOG_SIZE_MAX_BYTES);
  });

  it('stops at its bound within one process', async () => {
    const path = join(await makeTempDir(), 'agent.log');
    const log = createLogFile({ path, pid: 5, now });
    for (let n = 0; n < 2000; n += 1) log('y'.repeat(1500));
    expect((await stat(path)).size).to.be.at.most(LOG_SIZE_MAX_BYTES);
  });

  it('never fails where it cannot write', async () => {
    const folder = await makeTempDir();
    await writeFile(join(folder, 'file'), '');
    const log = createLogFile({ path: join(folder, 'file', 'agent.log'), pid: 5, now });
    expect(() => log('x')).to.not.throw();
    expect(() => createLogFile({ path: null, pid: 5, now })('x')).to.not.throw();
  });

  it('lies in the state folder, and nowhere where there is no home', () => {
    expect(logPath({ XDG_STATE_HOME: '/s', HOME: '/h' })).to.equal('/s/datamon/log/agent.log');
    expect(logPath({ XDG_STATE_HOME: 'relative', HOME: '/h' })).to.equal(
      '/h/.local/state/datamon/log/agent.log',
    );
    expect(logPath({})).to.equal(null);
  });
});

describe('agent/retry', () => {
  const pauses: number[] = [];
  const options = {
    signal: new AbortController().signal,
    attemptCount: 4,
    sleep: async (ms: number) => void pauses.push(ms),
    random: () => 1,
    onRetry: () => undefined,
  };
  beforeEach(() => void pauses.splice(0));
  const failing = (error: () => Error) => async () => {
    throw error();
  };
  const busy = () => new DatamonError('UNAVAILABLE', 'busy');

  it('waits longer each time, and no longer than its bound', async () => {
    const work = withRetries({ ...options, attemptCount: 10 }, failing(busy));
    expect(await codeOf(work)).to.equal('UNAVAILABLE');
    expect(pauses).to.deep.equal([250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000]);
  });

  it('obeys a server that says when, up to a bound', async () => {
    for (const [asked, waited] of [
      [3000, 3000],
      [9e9, 60_000],
    ] as const) {
      pauses.splice(0);
      const error = () => new DatamonError('UNAVAILABLE', 'x', { cause: new RetryAfter(asked) });
      await codeOf(withRetries({ ...options, attemptCount: 2 }, failing(error)));
      expect(pauses).to.deep.equal([waited]);
    }
  });

  it('tries nothing again that will not pass by itself', async () => {
    let attempts = 0;
    const work = withRetries(options, async () => {
      attempts += 1;
      throw new DatamonError('FORBIDDEN', 'no');
    });
    expect(await codeOf(work)).to.equal('FORBIDDEN');
    expect(attempts).to.equal(1);
  });
});

describe('agent/routes', () => {
  const href = `https://d.example/acme/weather/objects/${OID}`;
  const upload: UploadRequest = {
    event: 'upload',
    oid: OID,
    sizeBytes: 1,
    path: '/x',
    action: { href, header: { Authorization: 'Bearer one' } },
  };
  const download: DownloadRequest = {
    event: 'download',
    oid: OID,
    sizeBytes: 1,
    action: upload.action,
  };
  const log = () => undefined;
  const standaloneUrl = async () => 'datamon::file:///s//r';
  const onDatamon = () => {};

  it('finds the repo in a plain transfer address, and in no other', () => {
    expect(repoUrlOf(href, OID)).to.equal('https://d.example/acme/weather');
    expect(repoUrlOf(`${href}?sig=1`, OID)).to.equal(null);
    expect(repoUrlOf(href.replace('objects', 'blobs'), OID)).to.equal(null);
    expect(repoUrlOf(href, digestOf('y'))).to.equal(null);
    expect(repoUrlOf(`https://d.example/objects/${OID}`, OID)).to.equal(null);
    expect(repoUrlOf(`file:///acme/objects/${OID}`, OID)).to.equal(null);
  });

  it('finds the token as Bearer and as Basic password, in any case', () => {
    const basic = `Basic ${Buffer.from('_jwt:tok:en').toString('base64')}`;
    expect(tokenOf({ href, header: { authorization: 'bearer abc' } })).to.equal('abc');
    expect(tokenOf({ href, header: { Authorization: basic } })).to.equal('tok:en');
    expect(tokenOf({ href, header: {} })).to.equal(null);
  });

  it('opens a server once, and hands it the newest token whenever it asks', async () => {
    const opened: string[] = [];
    let ask: (() => string | null) | null = null;
    const openRepository: OpenRepository = async (url, { token }) => {
      opened.push(url);
      ask = token;
      return repositoryOf(plannedBlobs());
    };
    const routes = createRoutes({ openRepository, standaloneUrl, onDatamon, log });
    await routes.find(upload);
    const later = { href, header: { Authorization: 'Bearer two' } };
    expect((await routes.find({ ...upload, action: later })).kind).to.equal('datamon');
    expect(opened).to.deep.equal(['https://d.example/acme/weather']);
    expect((ask as (() => string | null) | null)?.()).to.equal('two');
  });

  it('speaks plain LFS where the peer is no datamon, and asks it no second time', async () => {
    let attempts = 0;
    const openRepository: OpenRepository = async () => {
      attempts += 1;
      throw new DatamonError('UNSUPPORTED', 'not a datamon server');
    };
    const routes = createRoutes({ openRepository, standaloneUrl, onDatamon, log });
    for (const request of [upload, download]) {
      expect(await routes.find(request)).to.deep.equal({ kind: 'basic', action: upload.action });
    }
    expect(attempts).to.equal(1);
  });

  it('opens the store where there is no action, and tries again after a failure', async () => {
    const asked: string[] = [];
    const openRepository: OpenRepository = async (url) => {
      asked.push(url);
      if (asked.length === 1) throw new DatamonError('UNAVAILABLE', 'not now');
      return repositoryOf(plannedBlobs());
    };
    const routes = createRoutes({ openRepository, standaloneUrl, onDatamon, log });
    expect(await codeOf(routes.find({ ...upload, action: null }))).to.equal('UNAVAILABLE');
    expect((await routes.find({ ...upload, action: null })).kind).to.equal('datamon');
    expect(asked).to.deep.equal(['datamon::file:///s//r', 'datamon::file:///s//r']);
  });

  it('falls back for what is the API’s fault, not for what is the object’s', () => {
    const openRepository: OpenRepository = async () => repositoryOf(plannedBlobs());
    const routes = createRoutes({ openRepository, standaloneUrl, onDatamon, log });
    const back = (request: UploadRequest | DownloadRequest, code: DatamonError['code']) =>
      routes.fallback(request, new DatamonError(code, 'x')) !== null;
    expect(back(upload, 'UNSUPPORTED')).to.equal(true);
    expect(back(upload, 'NOT_FOUND')).to.equal(true);
    expect(back(download, 'NOT_FOUND')).to.equal(false);
    expect(back(download, 'UNAVAILABLE')).to.equal(true);
    expect(back(upload, 'MISMATCH')).to.equal(false);
    expect(back(upload, 'TOO_LARGE')).to.equal(false);
    expect(back({ ...upload, action: null }, 'UNSUPPORTED')).to.equal(false);
  });

  it('closes every repo it opened', async () => {
    let closed = 0;
    const openRepository: OpenRepository = async () =>
      repositoryOf(plannedBlobs(), () => {
        closed += 1;
      });
    const routes = createRoutes({ openRepository, standaloneUrl, onDatamon, log });
    await routes.find(upload);
    await routes.find({ ...upload, action: null });
    await routes.close();
    expect(closed).to.equal(2);
  });
});

describe('agent/answers', () => {
  it('keeps the output for the protocol alone', async () => {
    const stdout = new PassThrough();
    const stray = new PassThrough();
    const answers = createAnswers(seizeOutput(stdout, stray), () => undefined);
    stdout.write('a stray line\n');
    answers.send({});
    await answers.flush(100);
    expect(stdout.read()?.toString()).to.equal('{}\n');
    expect(stray.read()?.toString()).to.equal('a stray line\n');
  });

  it('gives up on a reader that takes nothing, before memory is gone', () => {
    const stdout = new PassThrough({ highWaterMark: 1 });
    let closed = 0;
    const answers = createAnswers(stdout, () => {
      closed += 1;
    });
    const error = { code: 400, message: 'x'.repeat(1000) };
    for (let n = 0; n < 50_000; n += 1) answers.send({ error });
    expect(closed).to.equal(1);
    expect(stdout.writableLength).to.be.below(BACKLOG_SIZE_MAX_BYTES + 2000);
  });

  it('waits for a slow reader no longer than it may', async () => {
    const stdout = new PassThrough({ highWaterMark: 1 });
    const answers = createAnswers(stdout, () => undefined);
    for (let n = 0; n < 100; n += 1) answers.send({});
    await answers.flush(10);
    expect(stdout.writableLength).to.be.above(0);
  });
});
