/** The session over two streams: every request one answer, junk answered, ends seen, waits bounded. */
import { PassThrough, Writable } from 'node:stream';
import { expect } from 'chai';
import fc from 'fast-check';
import { LINE_SIZE_MAX_BYTES } from '../../agent/messages.ts';
import { runSession, type TransferOptions } from '../../agent/session.ts';
import { DatamonError } from '../../core/errors.ts';
import {
  type Answer,
  converse,
  downloadOf,
  INIT_DOWNLOAD,
  INIT_UPLOAD,
  instantTransfers,
  oidOf,
  TERMINATE,
  uploadOf,
} from './support/conversation.ts';

/** An upload that ends only when it is stopped, and says when it began. */
function endlessUpload() {
  let begin: () => void = () => undefined;
  const started = new Promise<void>((resolve) => {
    begin = resolve;
  });
  let stopped = false;
  const upload = (_request: object, { signal }: TransferOptions): Promise<void> =>
    new Promise((_, reject) => {
      begin();
      signal.addEventListener('abort', () => {
        stopped = true;
        reject(new DatamonError('CANCELLED', 'stopped'));
      });
    });
  return { upload, started, isStopped: () => stopped };
}

describe('agent/session', () => {
  it('answers init with an empty object, and each upload with progress and complete', async () => {
    const talk = converse();
    talk.send(INIT_UPLOAD, uploadOf('abc'));
    await talk.replies(2);
    expect(talk.answers).to.deep.equal([
      {},
      { event: 'progress', oid: oidOf('abc'), bytesSoFar: 1, bytesSinceLast: 0 },
      { event: 'progress', oid: oidOf('abc'), bytesSoFar: 3, bytesSinceLast: 3 },
      { event: 'complete', oid: oidOf('abc') },
    ]);
    talk.send(TERMINATE);
    expect(await talk.ended).to.equal('terminated');
  });

  it('sends the first progress the moment a request arrives, before any work', async () => {
    const { upload, started } = endlessUpload();
    const talk = converse({ open: async () => instantTransfers({ upload }) });
    talk.send(INIT_UPLOAD, uploadOf('abc'));
    await started;
    expect(talk.answers.filter(({ event }) => event === 'progress')).to.have.length(1);
    talk.input.end();
    await talk.ended;
  });

  it('hands back the path of a download', async () => {
    const talk = converse();
    talk.send(INIT_DOWNLOAD, downloadOf('abc'));
    const [, complete] = await talk.replies(2);
    expect(complete).to.deep.equal({
      event: 'complete',
      oid: oidOf('abc'),
      path: `/tmp/${oidOf('abc')}`,
    });
    talk.input.end();
    await talk.ended;
  });

  it('answers a failed init with its sentence, refuses what follows, and lives', async () => {
    const open = async () => {
      throw new DatamonError('UNSUPPORTED', 'cannot see the store', { hint: 'Run: x' });
    };
    const talk = converse({ open });
    talk.send(INIT_DOWNLOAD);
    await talk.replies(1);
    talk.send(downloadOf('abc'));
    const [init, complete] = await talk.replies(2);
    expect(init?.error).to.deep.equal({
      code: 501,
      message: 'datamon: cannot see the store. Run: x',
    });
    expect(complete?.oid).to.equal(oidOf('abc'));
    expect(complete?.error?.message).to.include('after init had failed');
    talk.send(TERMINATE);
    expect(await talk.ended).to.equal('terminated');
  });

  it('starts over where git-lfs sends another init after a failed one', async () => {
    let attempts = 0;
    const open = async () => {
      attempts += 1;
      if (attempts === 1) throw new DatamonError('INVALID', 'not this way');
      return instantTransfers();
    };
    const talk = converse({ open });
    talk.send(INIT_UPLOAD);
    await talk.replies(1);
    talk.send(INIT_UPLOAD, uploadOf('abc'));
    const replies = await talk.replies(3);
    expect(replies.map(({ error }) => error === undefined)).to.deep.equal([false, true, true]);
    talk.input.end();
    await talk.ended;
  });

  it('answers a failed object with an error and goes on with the next', async () => {
    const upload = async ({ oid }: { oid: string }) => {
      if (oid === oidOf('bad')) throw new DatamonError('NO_SPACE', 'the store is full');
    };
    const talk = converse({ open: async () => instantTransfers({ upload }) });
    talk.send(INIT_UPLOAD, uploadOf('bad'), uploadOf('good'));
    const replies = await talk.replies(3);
    const byOid = new Map(replies.map((reply) => [reply.oid, reply]));
    expect(byOid.get(oidOf('bad'))?.error).to.deep.equal({
      code: 507,
      message: 'datamon: the store is full',
    });
    expect(byOid.get(oidOf('good'))?.error).to.equal(undefined);
    talk.input.end();
    await talk.ended;
  });

  it('shows no stack and no type of an error nobody expected', async () => {
    const upload = async () => {
      throw new TypeError('x is not a function');
    };
    const talk = converse({ open: async () => instantTransfers({ upload }) });
    talk.send(INIT_UPLOAD, uploadOf('abc'));
    const [, complete] = await talk.replies(2);
    expect(complete?.error?.message).to.match(
      /^datamon: unexpected failure: x is not a function\. /,
    );
    expect(complete?.error?.message).to.not.include('    at ');
    talk.input.end();
    await talk.ended;
  });

  it('runs no more objects at once than the user allows', async () => {
    let running = 0;
    let most = 0;
    const upload = async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
    };
    const talk = converse({ open: async () => instantTransfers({ upload }) });
    const names = Array.from({ length: 40 }, (_, index) => `file ${index}`);
    talk.send({ ...INIT_UPLOAD, concurrenttransfers: 3 }, ...names.map((name) => uploadOf(name)));
    await talk.replies(41);
    expect(most).to.equal(3);
    talk.input.end();
    await talk.ended;
  });

  describe('out of order and junk', () => {
    const refused: readonly (readonly [string, readonly object[]])[] = [
      ['upload before init', [uploadOf('a')]],
      ['download in an upload session', [INIT_UPLOAD, downloadOf('a')]],
      ['upload in a download session', [INIT_DOWNLOAD, uploadOf('a')]],
      ['a second init', [INIT_UPLOAD, INIT_UPLOAD]],
    ];
    for (const [name, messages] of refused) {
      it(`answers ${name} with an error and goes on`, async () => {
        const talk = converse();
        talk.send(...messages);
        const replies = await talk.replies(messages.length);
        const expected = messages.length === 1 ? [true] : [false, true];
        expect(replies.map(({ error }) => error !== undefined)).to.have.members(expected);
        if (messages.length === 1) {
          talk.send(INIT_UPLOAD);
          await talk.replies(2);
        }
        talk.send(TERMINATE);
        expect(await talk.ended).to.equal('terminated');
      });
    }

    const junk: Readonly<Record<string, string | Uint8Array>> = {
      'a blank line': '\n',
      'not JSON': 'hello\n',
      'half a message': '{"event":"upload","oid":\n',
      'binary with NUL': Uint8Array.from([0, 255, 254, 0, 1, 10]),
      'a lone brace in CRLF': '{\r\n',
    };
    for (const [name, bytes] of Object.entries(junk)) {
      it(`answers ${name} and serves the next request`, async () => {
        const talk = converse();
        talk.send(INIT_UPLOAD);
        talk.write(bytes);
        talk.send(uploadOf('abc'));
        const replies = await talk.replies(3);
        expect(replies.filter(({ error }) => error !== undefined)).to.have.length(1);
        expect(replies.filter(({ oid }) => oid === oidOf('abc'))).to.have.length(1);
        talk.input.end();
        await talk.ended;
      });
    }

    it('answers junk in place of init as a failed init', async () => {
      const talk = converse();
      talk.write('junk\n');
      const [reply] = await talk.replies(1);
      expect(reply).to.have.property('error');
      expect(reply).to.not.have.property('event');
      talk.input.end();
      await talk.ended;
    });

    it('understands CRLF line ends', async () => {
      const talk = converse();
      talk.write(`${JSON.stringify(INIT_UPLOAD)}\r\n${JSON.stringify(uploadOf('abc'))}\r\n`);
      const replies = await talk.replies(2);
      expect(replies.every(({ error }) => error === undefined)).to.equal(true);
      talk.input.end();
      await talk.ended;
    });

    it('ends where the last line is cut off', async () => {
      const talk = converse();
      talk.send(INIT_UPLOAD);
      talk.input.end('{"event":"upload","oid":"ab');
      expect(await talk.ended).to.equal('disconnected');
      expect(
        talk.answers.filter(({ event, error }) => event === 'complete' && !error),
      ).to.have.length(0);
    });

    it('answers a line of 10 MiB once, holds no more than the cap of it, and serves the next', async () => {
      const talk = converse();
      talk.send(INIT_UPLOAD);
      const piece = Buffer.alloc(64 * 1024, 'x');
      for (let sent = 0; sent < 10 * LINE_SIZE_MAX_BYTES; sent += piece.length) talk.write(piece);
      talk.write('\n');
      talk.send(uploadOf('abc'));
      const replies = await talk.replies(3);
      expect(replies[1]?.error?.message).to.include('more than 1048576 bytes');
      expect(replies[2]).to.deep.equal({ event: 'complete', oid: oidOf('abc') });
      talk.input.end();
      await talk.ended;
    });

    it('ends where a line of 10 MiB never ends', async () => {
      const talk = converse();
      talk.send(INIT_UPLOAD);
      talk.input.end(Buffer.alloc(10 * LINE_SIZE_MAX_BYTES, 'x'));
      expect(await talk.ended).to.equal('disconnected');
    });
  });

  it('gives the same answers however the input is cut', async () => {
    const script = Buffer.from(
      [
        JSON.stringify(INIT_UPLOAD),
        JSON.stringify(uploadOf('grün')),
        '',
        'junk',
        'x'.repeat(LINE_SIZE_MAX_BYTES + 5),
        JSON.stringify({ ...uploadOf('b'), size: -1 }),
        JSON.stringify(uploadOf('ü'.repeat(100))),
        JSON.stringify(TERMINATE),
        '',
      ].join('\n'),
    );
    const play = async (cuts: readonly number[]): Promise<readonly string[]> => {
      const talk = converse();
      let start = 0;
      for (const cut of [...cuts].sort((a, b) => a - b)) {
        if (cut > start) talk.write(script.subarray(start, cut));
        start = Math.max(start, cut);
      }
      talk.write(script.subarray(start));
      await talk.replies(7 - 1);
      await talk.ended;
      return talk.answers
        .filter(({ event }) => event !== 'progress')
        .map((answer) => JSON.stringify(answer))
        .sort();
    };
    const whole = await play([]);
    // Cuts gather where the short lines are; uniform ones would nearly all fall into the long line.
    const cut = fc.oneof(
      fc.nat({ max: 600 }),
      fc.integer({ min: script.length - 900, max: script.length }),
      fc.nat({ max: script.length }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(cut, { maxLength: 30 }), async (cuts) => {
        expect(await play(cuts)).to.deep.equal(whole);
      }),
      { numRuns: 30 },
    );
  }).timeout(20_000);

  it('answers every request exactly once, whatever fails and in whatever order it ends', async () => {
    const job = fc.record({ fails: fc.boolean(), turns: fc.nat({ max: 5 }), isGood: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(job, { minLength: 1, maxLength: 30 }), async (jobs) => {
        const requests = jobs.map((_, index) => uploadOf(`job ${index}`));
        const jobOf = new Map(jobs.map((spec, index) => [oidOf(`job ${index}`), spec]));
        const upload = async ({ oid }: { oid: string }) => {
          const spec = jobOf.get(oid);
          for (let turn = 0; turn < (spec?.turns ?? 0); turn += 1) {
            await new Promise((resolve) => setImmediate(resolve));
          }
          if (spec?.fails) throw new DatamonError('UNAVAILABLE', 'gone');
        };
        const talk = converse({ open: async () => instantTransfers({ upload }) });
        talk.send(INIT_UPLOAD);
        requests.forEach((request, index) => {
          talk.send(jobs[index]?.isGood ? request : { ...request, size: -5 });
        });
        await talk.replies(requests.length + 1);
        talk.send(TERMINATE);
        await talk.ended;
        const counts = new Map<string, Answer[]>();
        for (const answer of talk.answers) {
          if (answer.event !== 'complete') continue;
          counts.set(answer.oid ?? '', [...(counts.get(answer.oid ?? '') ?? []), answer]);
        }
        for (const [index, spec] of jobs.entries()) {
          const given = counts.get(oidOf(`job ${index}`));
          expect(given).to.have.length(1);
          expect(given?.[0]?.error !== undefined).to.equal(spec.fails || !spec.isGood);
        }
      }),
      { numRuns: 40 },
    );
  }).timeout(20_000);

  it('refuses what more than a thousand waiting requests would hold, and answers all the same', async () => {
    const { upload } = endlessUpload();
    const talk = converse({ open: async () => instantTransfers({ upload }) });
    talk.send(INIT_UPLOAD);
    await talk.replies(1);
    talk.send(...Array.from({ length: 1010 }, (_, index) => uploadOf(`file ${index}`)));
    const refusals = await talk.replies(11);
    expect(refusals[1]?.error?.message).to.include('more than 1000 requests');
    talk.interrupt.abort();
    await talk.ended;
    expect(talk.answers.filter(({ event }) => event === 'complete')).to.have.length(1010);
  });

  describe('ends', () => {
    it('stops what is under way when the input ends, answers it, and closes', async () => {
      const { upload, started, isStopped } = endlessUpload();
      let closed = false;
      const close = async () => {
        closed = true;
      };
      const talk = converse({ open: async () => instantTransfers({ upload, close }) });
      talk.send(INIT_UPLOAD, uploadOf('abc'));
      await started;
      talk.input.end();
      expect(await talk.ended).to.equal('disconnected');
      expect([isStopped(), closed]).to.deep.equal([true, true]);
      const [, complete] = await talk.replies(2);
      expect(complete?.error?.code).to.equal(499);
    });

    it('stops when the signal comes', async () => {
      const { upload, started, isStopped } = endlessUpload();
      const talk = converse({ open: async () => instantTransfers({ upload }) });
      talk.send(INIT_UPLOAD, uploadOf('abc'));
      await started;
      talk.interrupt.abort();
      expect(await talk.ended).to.equal('interrupted');
      expect(isStopped()).to.equal(true);
    });

    it('stops when nobody reads any more (EPIPE)', async () => {
      const { upload, started, isStopped } = endlessUpload();
      const input = new PassThrough();
      let isBroken = false;
      const output = new Writable({
        write: (_bytes, _encoding, done) => done(isBroken ? new Error('EPIPE') : null),
      });
      const ended = runSession({
        input,
        output,
        signal: new AbortController().signal,
        nowMs: () => 0,
        log: () => undefined,
        open: async () => instantTransfers({ upload }),
      });
      input.write(`${JSON.stringify(INIT_UPLOAD)}\n${JSON.stringify(uploadOf('abc'))}\n`);
      await started;
      isBroken = true;
      input.write('junk\n');
      expect(await ended).to.equal('disconnected');
      expect(isStopped()).to.equal(true);
    });

    it('stops when the input breaks', async () => {
      const talk = converse();
      talk.send(INIT_UPLOAD);
      await talk.replies(1);
      talk.input.destroy(new Error('broken'));
      expect(await talk.ended).to.equal('disconnected');
    });

    it('ends at terminate though a store still has not opened', async () => {
      const talk = converse({ open: (_init, signal) => whenAborted(signal) });
      talk.send(INIT_UPLOAD, TERMINATE);
      expect(await talk.ended).to.equal('terminated');
    });

    it('ends within its bound though cancelled work never lets go', async () => {
      const upload = () => new Promise<void>(() => undefined);
      const talk = converse({ open: async () => instantTransfers({ upload }) });
      talk.send(INIT_UPLOAD, uploadOf('abc'));
      await talk.replies(1);
      talk.input.end();
      expect(await talk.ended).to.equal('disconnected');
    });

    it('serves nothing after terminate', async () => {
      let uploads = 0;
      const upload = async () => {
        uploads += 1;
      };
      const talk = converse({ open: async () => instantTransfers({ upload }) });
      talk.send(INIT_UPLOAD, TERMINATE, uploadOf('abc'));
      expect(await talk.ended).to.equal('terminated');
      expect(uploads).to.equal(0);
    });
  });

  it('drops progress while the reader is slow, but no answer', async () => {
    const output = new PassThrough({ highWaterMark: 200 });
    let nowMs = 0;
    const upload = async (_request: object, { onProgress }: TransferOptions) => {
      for (let done = 1; done < 5000; done += 1) {
        nowMs += 200;
        onProgress(done);
      }
    };
    const talk = converse({
      output,
      nowMs: () => nowMs,
      open: async () => instantTransfers({ upload }),
    });
    talk.send(INIT_UPLOAD, { ...uploadOf('abc'), size: 5000 });
    for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(output.readableLength + output.writableLength).to.be.below(2000);
    const text: Buffer[] = [];
    output.on('data', (bytes: Buffer) => text.push(bytes));
    talk.send(TERMINATE);
    await talk.ended;
    const last = Buffer.concat(text).toString('utf8').trim().split('\n').slice(-2);
    expect(last.map((line) => JSON.parse(line) as Answer)).to.deep.equal([
      {
        event: 'progress',
        oid: oidOf('abc'),
        bytesSoFar: 5000,
        bytesSinceLast: 5000 - sumOf(text),
      },
      { event: 'complete', oid: oidOf('abc') },
    ]);
  });
});

/** Increments before the last one. */
function sumOf(text: readonly Buffer[]): number {
  const lines = Buffer.concat(text).toString('utf8').trim().split('\n');
  const increments = lines.map((line) => (JSON.parse(line) as Answer).bytesSinceLast ?? 0);
  return increments.slice(0, -2).reduce((total, increment) => total + increment, 0);
}

function whenAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(new DatamonError('CANCELLED', 'stopped')));
  });
}
