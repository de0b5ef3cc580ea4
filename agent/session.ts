/**
 * One conversation with git-lfs over any two streams. Every request is answered exactly once; an error is an answer and
 * never ends the session; the end of input or output, or an abort, cancels what is under way.
 */
import type { Readable, Writable } from 'node:stream';
import { DatamonError } from '../core/errors.ts';
import { type Answers, createAnswers } from './answers.ts';
import { throwIfStopped } from './guard.ts';
import { readLines } from './lines.ts';
import type { Log } from './log-file.ts';
import {
  asDatamonError,
  type DownloadRequest,
  type InitRequest,
  type Malformed,
  type Message,
  type ObjectRequest,
  parseRequest,
  type Request,
  type UploadRequest,
  wireError,
} from './messages.ts';
import { createProgress } from './progress.ts';
import { createSlots, type Slots } from './slots.ts';
import { nextState, refusal, type State } from './state.ts';

/** Requests that may wait at once. git-lfs has one under way; the bound is for what is not git-lfs. */
const OUTSTANDING_COUNT_MAX = 1000;
/** How long cancelled work may take to let go of its files before the session ends without it. */
export const SETTLE_TIMEOUT_MS = 2000;
const FLUSH_TIMEOUT_MS = 500;
/** For merging what this process stored. git-lfs waits 30 s after `terminate`; nobody waits after anything else. */
const CLOSE_TIMEOUT_MS = { terminated: 10_000, disconnected: 2000, interrupted: 2000 } as const;

export interface TransferOptions {
  /** Logical bytes done, ever growing. */
  readonly onProgress: (doneBytes: number) => void;
  readonly signal: AbortSignal;
}

/** What the session needs of the world behind it; ready for many objects at once. */
export interface Transfers {
  /** Resolves once the object is durable. */
  upload(request: UploadRequest, options: TransferOptions): Promise<void>;
  /** The path of a finished, verified file that may be renamed. */
  download(request: DownloadRequest, options: TransferOptions): Promise<string>;
  close(): Promise<void>;
}

export interface SessionOptions {
  readonly input: Readable;
  readonly output: Writable;
  /** Aborted by Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal;
  readonly nowMs: () => number;
  readonly log: Log;
  /** Fails where the configuration is unusable; git-lfs shows the message. */
  readonly open: (init: InitRequest, signal: AbortSignal) => Promise<Transfers>;
}

export type SessionEnd = 'terminated' | 'disconnected' | 'interrupted';

interface Session {
  readonly options: SessionOptions;
  readonly answers: Answers;
  readonly abort: AbortController;
  readonly work: Set<Promise<void>>;
  readonly slots: Slots;
  state: State;
  /** Set by init. Requests wait for it. */
  transfers: Promise<Transfers> | null;
  /** Settled: init is answered. No other answer comes before that one. */
  initAnswered: Promise<void> | null;
}

/** Runs until git-lfs says so, goes away, or the signal is aborted; then cleans up within a bounded time. */
export async function runSession(options: SessionOptions): Promise<SessionEnd> {
  const ended = onceEnded();
  const session: Session = {
    options,
    answers: createAnswers(options.output, () => ended.resolve('disconnected')),
    abort: new AbortController(),
    work: new Set(),
    slots: createSlots(1),
    state: 'new',
    transfers: null,
    initAnswered: null,
  };
  const stopReading = readLines(options.input, {
    onLine: (line) => {
      accept(session, parseRequest(line));
      if (session.state === 'finished') ended.resolve('terminated');
    },
    onEnd: () => ended.resolve('disconnected'),
  });
  const interrupt = (): void => ended.resolve('interrupted');
  options.signal.addEventListener('abort', interrupt, { once: true });
  if (options.signal.aborted) interrupt();

  const end = await ended.promise;
  options.signal.removeEventListener('abort', interrupt);
  stopReading();
  options.log(`session ${end}`);
  await windDown(session, end);
  return end;
}

function onceEnded(): {
  readonly promise: Promise<SessionEnd>;
  readonly resolve: (end: SessionEnd) => void;
} {
  let resolve: (end: SessionEnd) => void = () => undefined;
  const promise = new Promise<SessionEnd>((settle) => {
    resolve = settle;
  });
  return { promise, resolve: (end) => resolve(end) };
}

async function windDown(session: Session, end: SessionEnd): Promise<void> {
  session.abort.abort(new DatamonError('CANCELLED', 'the transfer was stopped'));
  await within(SETTLE_TIMEOUT_MS, Promise.allSettled([...session.work]));
  await session.answers.flush(FLUSH_TIMEOUT_MS);
  const { transfers } = session;
  if (transfers === null) return;
  const closing = transfers.then((opened) => opened.close()).catch(() => undefined);
  await within(CLOSE_TIMEOUT_MS[end], closing);
}

async function within(timeoutMs: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeoutMs);
  });
  await Promise.race([work, timeout]);
  clearTimeout(timer);
}

/** Takes one line's request. What takes time goes on behind, so that the end of the input is seen at once. */
function accept(session: Session, request: Request | Malformed): void {
  if (session.state === 'finished') return;
  if (request.event === 'malformed') {
    answerMalformed(session, request);
    return;
  }
  const next = nextState(session.state, request);
  if (next === null) {
    answerRefusal(session, request);
    return;
  }
  session.state = next;
  if (request.event === 'init') {
    session.initAnswered = begin(session, request).finally(() => {
      session.initAnswered = null;
    });
    track(session, session.initAnswered);
  } else if (request.event !== 'terminate') acceptObject(session, request);
}

function acceptObject(session: Session, request: ObjectRequest): void {
  if (session.work.size < OUTSTANDING_COUNT_MAX) {
    track(session, serve(session, request));
    return;
  }
  const busy = `more than ${OUTSTANDING_COUNT_MAX} requests at once`;
  answerError(session, request.oid, new DatamonError('INVALID', busy));
}

function track(session: Session, work: Promise<void>): void {
  session.work.add(work);
  void work.finally(() => session.work.delete(work));
}

/** Never rejects. */
async function begin(session: Session, init: InitRequest): Promise<void> {
  const { options, answers, abort } = session;
  options.log(`init ${init.operation} remote=${init.remote}`);
  session.slots.resize(init.concurrentTransfers);
  const opening = options.open(init, abort.signal);
  session.transfers = opening;
  try {
    await opening;
    answers.send({});
  } catch (thrown) {
    const error = asDatamonError(thrown);
    options.log(`init failed: ${error.code} ${error.message}`);
    if (session.state !== 'finished') session.state = 'refused';
    answers.send({ error: wireError(error) });
  }
}

/** Never rejects. */
async function serve(session: Session, request: ObjectRequest): Promise<void> {
  const { options, answers, abort } = session;
  const progress = createProgress({
    oid: request.oid,
    sizeBytes: request.sizeBytes,
    nowMs: options.nowMs,
    emit: (message) => answers.progress(message),
  });
  await session.initAnswered;
  progress.start();
  const release = await session.slots.take();
  try {
    const transfers = await opened(session);
    throwIfStopped(abort.signal);
    const transferOptions = { onProgress: progress.report, signal: abort.signal };
    const path = await transfer(transfers, request, transferOptions);
    const last = progress.finish();
    const complete = {
      event: 'complete',
      oid: request.oid,
      ...(path !== null && { path }),
    } as const;
    answers.send(...(last === null ? [] : [last]), complete);
  } catch (error) {
    answerError(session, request.oid, asDatamonError(error));
  } finally {
    release();
  }
}

async function opened(session: Session): Promise<Transfers> {
  if (session.transfers === null) throw new DatamonError('INVALID', 'no init came before');
  return await session.transfers;
}

async function transfer(
  transfers: Transfers,
  request: ObjectRequest,
  options: TransferOptions,
): Promise<string | null> {
  if (request.event === 'download') return await transfers.download(request, options);
  await transfers.upload(request, options);
  return null;
}

function answerMalformed(session: Session, { isInit, oid, reason }: Malformed): void {
  const error = new DatamonError('INVALID', reason);
  const expectsInit = session.state === 'new' || session.state === 'refused';
  if (isInit || (expectsInit && oid === '')) {
    session.options.log(`refused: ${reason}`);
    reply(session, { error: wireError(error) });
  } else answerError(session, oid, error);
}

function answerRefusal(session: Session, request: Request): void {
  const error = new DatamonError('INVALID', refusal(session.state, request.event));
  if (request.event === 'upload' || request.event === 'download') {
    answerError(session, request.oid, error);
  } else reply(session, { error: wireError(error) });
}

function answerError(session: Session, oid: string, error: DatamonError): void {
  session.options.log(`${oid}: ${error.code} ${error.message}`);
  reply(session, { event: 'complete', oid, error: wireError(error) });
}

/** Sends an answer that took no work, not before the one to init. */
function reply(session: Session, message: Message): void {
  const send = (): void => session.answers.send(message);
  if (session.initAnswered === null) send();
  else track(session, session.initAnswered.then(send));
}
