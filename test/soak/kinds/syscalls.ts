/**
 * Every call to the system that making a store and five steps on it take (an object, a file, a log's entry, a recorded push, a collection): at each of them
 * once the process is killed, and at each that may fail the system says EIO, and ENOSPC, once. strace does it, on the one thread that
 * makes these calls, so that the nth call is the same one each time. A step that failed must succeed when it is tried again.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { HistoryChecker } from '../../support/history-checker.ts';
import { splitmix64 } from '../../support/splitmix64.ts';
import type { SoakKind, SoakOptions, SoakResult } from '../kind.ts';
import { Told } from '../lines.ts';
import { type Ended, type Programs, preparePrograms, startProgram } from '../programs.ts';
import { openSoakStore } from '../sight-of-store.ts';

/** What may fail on a disk that is bad or full. Reads are tried in `bits` and in tests of their own. */
const MAY_FAIL = new Set([
  'openat',
  'write',
  'writev',
  'pwrite64',
  'fsync',
  'link',
  'linkat',
  'mkdir',
  'unlink',
]);
const NOT_FOR_DISKS = new Set([
  'futex',
  'exit',
  'madvise',
  'rt_sigprocmask',
  'sched_yield',
  'mprotect',
  'mmap',
  'munmap',
  'brk',
]);
/** How the thread wakes the main one: no call to the disk. */
const WAKES = /^write\(\d+, "\\1\\0{0,1}.*", 8\)/;
const MISTAKES = ['signal=SIGKILL', 'error=EIO', 'error=ENOSPC'] as const;

interface Target {
  readonly syscall: string;
  readonly nth: number;
  readonly mistake: (typeof MISTAKES)[number];
}

const nameOf = ({ syscall, nth, mistake }: Target): string => `${syscall} ${nth} ${mistake}`;

async function hasStrace(): Promise<boolean> {
  return await promisify(execFile)('strace', ['--version']).then(
    () => true,
    () => false,
  );
}

interface Tripped extends Ended {
  readonly lines: readonly string[];
}

/** Runs the five steps under strace with these arguments. */
async function trip(
  programs: Programs,
  root: string,
  seed: number,
  straceArgs: readonly string[],
  onLine: (line: string) => void = () => {},
): Promise<Tripped> {
  const lines: string[] = [];
  let ready = (_thread: string): void => {};
  const thread = new Promise<string>((resolve) => {
    ready = resolve;
  });
  const { child, ended } = startProgram(
    { ...programs, env: { ...programs.env, UV_THREADPOOL_SIZE: '1', UV_USE_IO_URING: '0' } },
    'test/soak/five-steps.ts',
    [root, String(seed)],
    (line) => {
      if (line.startsWith('ready ')) ready(line.slice('ready '.length));
      lines.push(line);
      onLine(line);
    },
  );
  const strace = spawn('strace', [...straceArgs, '-p', await thread], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const straceEnded = once(strace, 'close');
  for await (const line of createInterface(strace.stderr)) if (line.includes('attached')) break;
  strace.stderr.resume();
  child.stdin?.write('go\n');
  const outcome = await ended;
  await straceEnded;
  return { ...outcome, lines };
}

/** The calls there are, from a run in which nothing happens. */
async function findTargets(programs: Programs, folder: string): Promise<Target[]> {
  const trace = join(folder, 'trace');
  await mkdir(join(folder, 'traced'));
  await trip(programs, join(folder, 'traced'), 1, ['-o', trace]);
  const counts = new Map<string, number>();
  const targets: Target[] = [];
  for (const line of (await readFile(trace, 'utf8')).split('\n')) {
    const syscall = /^([a-z0-9_]+)\(/.exec(line)?.[1];
    if (syscall === undefined || NOT_FOR_DISKS.has(syscall)) continue;
    const nth = (counts.get(syscall) ?? 0) + 1;
    counts.set(syscall, nth);
    targets.push({ syscall, nth, mistake: 'signal=SIGKILL' });
    if (!MAY_FAIL.has(syscall) || WAKES.test(line)) continue;
    targets.push({ syscall, nth, mistake: 'error=EIO' }, { syscall, nth, mistake: 'error=ENOSPC' });
  }
  return targets;
}

async function tryTarget(options: SoakOptions, programs: Programs, target: Target): Promise<Fate> {
  const { folder, report, planted } = options;
  const root = join(folder, 'store');
  await mkdir(root);
  const history = new HistoryChecker();
  const told = new Told(history);
  const { syscall, nth, mistake } = target;
  const args = ['-o', '/dev/null', '-e', `trace=${syscall}`];
  args.push('-e', `inject=${syscall}:${mistake}:when=${nth}`);
  const { lines, signal, said } = await trip(programs, root, 1, args, told.note);
  if (planted === 'promises too much')
    for (const line of lines) told.note(line.replace(/^try (\S+).*/, 'ok $1'));
  told.over();
  const problems = lines.filter((line) => line.startsWith('stuck '));
  const opened = await openSoakStore(root, { trees: 'all' });
  problems.push(...(await history.check(opened.sight)), ...(await history.strangers(opened.sight)));
  problems.push(...(await opened.damage()));
  const isDone = lines.at(-1) === 'done';
  if (!isDone && signal === null) problems.push(`the process gave up: ${said}`);
  const replay = `npm run soak -- --only syscalls --count 100000    (${nameOf(target)})`;
  for (const problem of problems) report.broken({ what: `${nameOf(target)}: ${problem}`, replay });
  await rm(root, { recursive: true });
  if (signal !== null) return 'died';
  return told.failures.length > 0 ? 'failed and tried again' : 'went on';
}

type Fate = 'died' | 'failed and tried again' | 'went on';

async function run(options: SoakOptions): Promise<SoakResult> {
  const { count, seed, folder, report, starts } = options;
  if (!(await hasStrace())) {
    report.note('there is no strace here: kills at random moments (kind kill) stand in for these');
    return { done: 0, facts: { strace: 0 } };
  }
  const programs = await preparePrograms(starts, folder);
  const all = await findTargets(programs, folder);
  const random = splitmix64(seed);
  const targets =
    count >= all.length
      ? all
      : Array.from({ length: count }, () => all[Math.floor(random() * all.length)] as Target);
  const fates: Record<Fate, number> = { died: 0, 'failed and tried again': 0, 'went on': 0 };
  let done = 0;
  for (const target of targets) {
    if (report.enough) break;
    fates[await tryTarget(options, programs, target)] += 1;
    done += 1;
    report.progress(done);
  }
  return { done, facts: { calls: all.length, ...fates } };
}

export const syscalls: SoakKind = {
  name: 'syscalls',
  unit: 'calls',
  promise:
    'at every call to the system that making a store, storing an object, a file, a log entry and a push in it, and collecting it take: killed there, or told EIO or ENOSPC, nothing acknowledged is lost and a second try succeeds',
  defaultCount: 100_000,
  sliceCount: 6,
  plants: ['promises too much'],
  run,
};
