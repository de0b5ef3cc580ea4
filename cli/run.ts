/** One run of `datamon`: finds the verb, parses, runs, prints, and turns every failure into a sentence and a status. */
import { DatamonError, hasCode } from '../core/errors.ts';
import { switchOffFastPaths } from '../core/fast-paths.ts';
import { EXIT, type ExitStatus, type Io } from '../core/io.ts';
import { type Options, parseOptions, type SplitLine, splitVerb, usageError } from './args.ts';
import { NO_OPERANDS } from './command.ts';
import { type Context, createContext } from './context.ts';
import { report } from './failure.ts';
import { helpScreen, verbHelp } from './help.ts';
import { nearest } from './nearest.ts';
import { type ColorMode, isTerminalStream, Output, styleOf, wantsColor } from './output.ts';
import { printOutcome } from './print.ts';
import type { Runtime } from './runtime.ts';
import { findVerb, type Verb, visibleVerbs } from './verbs.ts';

/** How long a stopped command may tidy up. */
const STOP_GRACE_MS = 3_000;
const COLOR_MODES: readonly ColorMode[] = ['auto', 'always', 'never'];

interface Run {
  readonly io: Io;
  readonly output: Output;
  readonly runtime: Runtime;
}

export async function runCli(
  argv: readonly string[],
  io: Io,
  runtime: Runtime,
): Promise<ExitStatus> {
  // A reader of stderr that went away is nobody to talk to; the work goes on.
  io.stderr.on('error', () => {});
  try {
    return await dispatch(argv, { io, output: new Output(io.stdout), runtime });
  } catch (error) {
    return report(error, io, argv.includes('--json'));
  }
}

async function dispatch(argv: readonly string[], run: Run): Promise<ExitStatus> {
  switchOffFastPaths(run.io.env);
  const line = splitVerb(argv);
  if (line.verb === null) return runWithoutVerb(line, run);
  const verb = findVerb(line.verb);
  if (verb === null) throw unknownVerb(line.verb);
  if (asksForHelp(line)) {
    await run.output.line((await helpText(verb.name, plainStyle(run.io))) ?? '');
    return EXIT.ok;
  }
  if (verb.program === undefined) return runVerb(verb, line, run);
  const program = await run.runtime.programs[verb.program]();
  return program.main([...line.after], run.io);
}

/** `-h` asks for help unless it stands behind `--`, where it is an operand. */
function asksForHelp(line: SplitLine): boolean {
  const end = line.after.indexOf('--');
  const after = end < 0 ? line.after : line.after.slice(0, end);
  return [...line.before, ...after].some((word) => word === '--help' || word === '-h');
}

/** `datamon` alone: `status` in a clone, help elsewhere. */
async function runWithoutVerb(line: SplitLine, run: Run): Promise<ExitStatus> {
  const version = findVerb('version');
  if (line.before.includes('--version') && version !== null) {
    const before = line.before.filter((word) => word !== '--version');
    return runVerb(version, { ...line, before }, run);
  }
  const options = parseOptions(line, {}, NO_OPERANDS, '');
  const context = contextOf(options, run);
  const status = findVerb('status');
  if (!options.flag('help') && status !== null && (await context.clone()) !== null) {
    return runVerb(status, line, run);
  }
  await run.output.line(helpScreen(context.style));
  return EXIT.ok;
}

async function runVerb(verb: Verb, line: SplitLine, run: Run): Promise<ExitStatus> {
  const command = await verb.load();
  const options = parseOptions(line, command.options, command.operands, verb.name);
  checkColor(options, verb.name);
  const context = contextOf(options, run);
  return stoppable(run.io.signal, async () => {
    try {
      if (command.settlesPushes) {
        const { settleOpenPushes } = await import('./settle.ts');
        await settleOpenPushes(context);
      }
      const outcome = await command.run(context, options);
      await printOutcome(outcome, command.view, context, run.output);
      return outcome.status?.() ?? EXIT.ok;
    } finally {
      await closeQuietly(context);
    }
  });
}

const contextOf = (options: Options, { io, runtime }: Run): Context =>
  createContext({
    io,
    options,
    runtime,
    helpText: (verb) => helpText(verb, plainStyle(io)),
  });

const plainStyle = (io: Io) => styleOf(wantsColor('auto', io.env, isTerminalStream(io.stdout)));

/** The screen, one verb's page, or null for an unknown verb. */
async function helpText(
  name: string | null,
  style: ReturnType<typeof styleOf>,
): Promise<string | null> {
  if (name === null) return helpScreen(style);
  const verb = findVerb(name);
  return verb === null ? null : verbHelp(verb, await verb.load(), style);
}

function checkColor(options: Options, verb: string): void {
  const mode = options.text('color');
  if (mode !== undefined && !COLOR_MODES.some((known) => known === mode)) {
    throw usageError(`--color takes auto, always or never, not ${JSON.stringify(mode)}`, verb);
  }
}

/** Work that ends in CANCELLED when the signal comes; it has a bounded time to tidy up first. */
async function stoppable(
  signal: AbortSignal,
  work: () => Promise<ExitStatus>,
): Promise<ExitStatus> {
  const cancelled = new DatamonError('CANCELLED', 'stopped; what was stored stays stored', {
    hint: 'The same command goes on from there.',
  });
  if (signal.aborted) throw cancelled;
  const running = work();
  // Where the grace runs out, a late failure is nobody's any more.
  running.catch(() => {});
  let timer: NodeJS.Timeout | undefined;
  let onAbort = (): void => {};
  const stopped = new Promise<never>((_resolve, reject) => {
    onAbort = () => {
      timer = setTimeout(() => reject(cancelled), STOP_GRACE_MS);
    };
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([running, stopped]);
  } catch (error) {
    if (!signal.aborted || hasCode(error, 'CANCELLED')) throw error;
    throw cancelled;
  } finally {
    signal.removeEventListener('abort', onAbort);
    clearTimeout(timer);
  }
}

async function closeQuietly(context: Context): Promise<void> {
  try {
    await context.close();
  } catch (error) {
    context.debug(`closing: ${String(error)}`);
  }
}

function unknownVerb(word: string): DatamonError {
  const names = visibleVerbs().map((verb) => verb.name);
  const meant = nearest(word, names);
  const suggestion = meant === null ? '' : ` Did you mean: datamon ${meant}?`;
  return usageError(`there is no verb ${JSON.stringify(word.slice(0, 60))}.${suggestion}`, null);
}
