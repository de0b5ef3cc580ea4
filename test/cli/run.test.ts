/** One run: verbs found or suggested, failures as sentences, Ctrl-C, and no stack traces. */
import { PassThrough } from 'node:stream';
import { expect } from 'chai';
import { report } from '../../cli/failure.ts';
import { EXIT, type Io } from '../../core/io.ts';
import { NO_CREDENTIALS, setEnvironment } from '../support/bucket-server.ts';
import { datamon, memoryRepo, runtimeOf, seed } from './support/cli.ts';

describe('a run', () => {
  it('suggests a verb for a mistyped one, with status 2', async () => {
    const { status, stderr, stdout } = await datamon(['statsu']);
    expect([status, stdout]).to.deep.equal([EXIT.usage, '']);
    expect(stderr).to.contain('Did you mean: datamon status?');
  });

  it('without git says that git is missing, not that this is no clone', async () => {
    const env = { PATH: '/nonexistent' };
    for (const verb of ['log', 'status', 'init']) {
      const { status, stderr } = await datamon([verb], { env });
      expect([verb, status, stderr.split('\n')[0]]).to.deep.equal([
        verb,
        EXIT.notFound,
        'datamon: git is not on the PATH',
      ]);
    }
  });

  it('what the machine forbids is said as such, not as a fault of datamon', () => {
    const of = (code: string) => {
      const stderr = new PassThrough();
      const io = { stderr, env: {}, signal: new AbortController().signal } as unknown as Io;
      const error = Object.assign(new Error(`${code}: mkdir '/root/x'`), { code });
      return [report(error, io, false), String(stderr.read())] as const;
    };
    for (const code of ['EACCES', 'EROFS', 'EPERM']) {
      const [status, said] = of(code);
      expect(status).to.equal(EXIT.auth);
      expect(said).to.contain("mkdir '/root/x'").and.contain('doctor').and.not.contain('fault');
    }
    expect(of('ENOSPC')[0]).to.equal(EXIT.unavailable);
    expect(of('EWHATEVER')[1]).to.contain('fault of datamon');
  });

  it('never suggests a hidden verb', async () => {
    expect((await datamon(['hok'])).stderr).to.not.contain('hook');
  });

  it('verbs of later versions are unknown', async () => {
    for (const verb of ['mount', 'gc', 'migrate', 'blame']) {
      expect((await datamon([verb])).status).to.equal(EXIT.usage);
    }
  });

  it('an error says what, and the next command', async () => {
    const { stderr, status } = await datamon(['log', '-R', 'memory:nothing//a/b']);
    expect(status).to.equal(EXIT.notFound);
    expect(stderr).to.match(/^datamon: .+\n {2}.*datamon /);
    expect(stderr).to.not.match(/\n\s+at /);
  });

  it('with --json the error is one JSON line on stderr', async () => {
    const { stderr, stdout } = await datamon(['log', '--json', '-R', 'memory:nothing//a/b']);
    expect(stdout).to.equal('');
    expect(JSON.parse(stderr)).to.include({ type: 'error', code: 'NOT_FOUND' });
  });

  it('DATAMON_DEBUG=1 shows where it happened', async () => {
    const env = { DATAMON_DEBUG: '1' };
    expect((await datamon(['log', '-R', 'memory:nothing//a/b'], { env })).stderr).to.match(
      /\n\s+at /,
    );
  });

  it('an unexpected failure is one sentence too', async () => {
    const programs = {
      ...runtimeOf().programs,
      serve: () => Promise.reject(new TypeError('boom')),
    };
    const { status, stderr } = await datamon(['serve'], { runtime: { programs } });
    expect(status).to.equal(EXIT.failure);
    expect(stderr)
      .to.contain('unexpected: boom')
      .and.to.not.match(/\n\s+at /);
  });

  it('hands arguments of other programs on as they are', async () => {
    const seen: string[][] = [];
    const program = () =>
      Promise.resolve({
        main: (argv: string[]) => {
          seen.push(argv);
          return Promise.resolve(EXIT.partial);
        },
      });
    const programs = { serve: program, hook: program, agent: program };
    const ran = await datamon(['hook', 'pre-push', '--', '-x', '--json'], {
      runtime: { programs },
    });
    expect([ran.status, seen]).to.deep.equal([EXIT.partial, [['pre-push', '--', '-x', '--json']]]);
  });

  it('a run that was stopped before it began says so, with status 130', async () => {
    const stop = new AbortController();
    stop.abort();
    const url = memoryRepo();
    await seed(url, { files: [{ path: 'a', text: 'a' }] });
    const { status, stderr } = await datamon(['log', '-R', url], { signal: stop.signal });
    expect([status, stderr.includes('stopped')]).to.deep.equal([EXIT.interrupted, true]);
  });

  it('refuses a colour mode nobody knows', async () => {
    const { status, stderr } = await datamon(['version', '--color', 'blue']);
    expect([status, stderr.includes('auto, always or never')]).to.deep.equal([EXIT.usage, true]);
  });

  it('names no repo: says how to name one', async () => {
    const { status, stderr } = await datamon(['log'], { cwd: '/' });
    expect([status, stderr.includes('-R https://')]).to.deep.equal([EXIT.usage, true]);
  });

  it('takes the repo from --repo, then from DATAMON_URL', async () => {
    const [one, two] = [memoryRepo(), memoryRepo()];
    await seed(one, { files: [{ path: 'one', text: '1' }] });
    await seed(two, { files: [{ path: 'two', text: '2' }] });
    const env = { DATAMON_URL: two };
    expect((await datamon(['ls', '-q'], { env })).stdout).to.equal('two\n');
    expect((await datamon(['ls', '-q', '-R', one], { env })).stdout).to.equal('one\n');
    expect((await datamon(['-R', one, 'ls', '-q'], { env })).stdout).to.equal('one\n');
  });

  it('a bucket without credentials says how to get some', async () => {
    const reset = setEnvironment(NO_CREDENTIALS);
    try {
      const { status, stderr } = await datamon(['log', '-R', 's3://bucket//a/b']);
      expect([status, stderr]).to.deep.equal([EXIT.auth, stderr]);
      expect(stderr).to.contain('s3://bucket').and.to.contain('aws configure');
    } finally {
      reset();
    }
  });
});
