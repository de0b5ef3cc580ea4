/** One JSON line per mutation, refusal and failure. Control characters are escaped by JSON; tokens and query strings are never in it. */

export interface LogLine {
  readonly requestId: string;
  readonly method: string;
  /** Without its query. */
  readonly path: string;
  readonly status: number;
  readonly subject: string;
  readonly durationMs: number;
  readonly code?: string;
  /** Why the server failed; the caller may have been told less. */
  readonly why?: string;
  /** Of failures that nobody foresaw. */
  readonly trace?: string;
}

export type Log = (line: LogLine) => void;

/** What JSON leaves as it is and a terminal obeys: C1 control characters, line separators, marks that turn text around. */
const UNSHOWABLE = /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;
const escaped = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;

const PATH_SHOWN_MAX = 400;

/** Reads that went well are not worth a line. */
export function worthLogging(line: LogLine): boolean {
  return line.status >= 400 || !['GET', 'HEAD'].includes(line.method);
}

/** A log that writes lines to `write`. */
export function createLog(write: (line: string) => void): Log {
  return (line) => {
    if (worthLogging(line)) {
      const text = JSON.stringify({ ...line, path: line.path.slice(0, PATH_SHOWN_MAX) });
      write(`${text.replace(UNSHOWABLE, escaped)}\n`);
    }
  };
}
