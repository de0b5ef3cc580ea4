/** Every failure as a sentence, a hint and an exit status; never a stack trace unless DATAMON_DEBUG asks for one. */
import { DatamonError } from '../core/errors.ts';
import { EXIT, type ExitStatus, type Io } from '../core/io.ts';
import { exitStatusOf } from './exit-status.ts';
import { ReaderGone } from './output.ts';

const CAUSE_DEPTH_MAX = 10;

interface Description {
  readonly code: string;
  readonly message: string;
  readonly hint?: string | undefined;
}

/** Says what failed and what to do, never how the program was built. */
export function report(thrown: unknown, io: Io, asJson: boolean): ExitStatus {
  if (thrown instanceof ReaderGone) return EXIT.ok;
  const error = refusal(thrown) ?? thrown;
  const said = describe(error, io.signal);
  io.stderr.write(asJson ? jsonLine(said) : textLines(said));
  if ((io.env['DATAMON_DEBUG'] ?? '') !== '' && error instanceof Error) {
    io.stderr.write(`${causes(error)}\n`);
  }
  return io.signal.aborted ? EXIT.interrupted : exitStatusOf(error);
}

/** A folder of the user's own that may not be written, or a full disk: the machine's fault, whoever came upon it. */
function refusal(error: unknown): DatamonError | null {
  if (error instanceof DatamonError || !(error instanceof Error) || !('code' in error)) return null;
  const { code, message } = error;
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    return new DatamonError('FORBIDDEN', message, {
      cause: error,
      hint: 'Check who owns that path, and whether HOME and XDG_* are yours: datamon doctor',
    });
  }
  if (code !== 'ENOSPC' && code !== 'EDQUOT') return null;
  return new DatamonError('NO_SPACE', message, { cause: error, hint: 'Free some space first.' });
}

const jsonLine = ({ code, message, hint }: Description): string =>
  `${JSON.stringify({ type: 'error', code, message, ...(hint === undefined ? {} : { hint }) })}\n`;

const textLines = ({ message, hint }: Description): string =>
  `datamon: ${message}\n${hint === undefined ? '' : `  ${hint}\n`}`;

function describe(error: unknown, signal: AbortSignal): Description {
  if (error instanceof DatamonError) return error;
  if (signal.aborted) return { code: 'CANCELLED', message: 'stopped' };
  return {
    code: 'UNEXPECTED',
    message: `unexpected: ${error instanceof Error ? error.message : String(error)}`,
    hint: 'This is a fault of datamon. DATAMON_DEBUG=1 shows where it happened.',
  };
}

function causes(error: Error): string {
  const texts = [error.stack ?? error.message];
  let { cause } = error;
  while (cause instanceof Error && texts.length < CAUSE_DEPTH_MAX) {
    texts.push(`caused by ${cause.stack ?? cause.message}`);
    cause = cause.cause;
  }
  return texts.join('\n');
}
