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
  /** Of failures that nobody foresaw. */
  readonly trace?: string;
}

export type Log = (line: LogLine) => void;

const PATH_SHOWN_MAX = 400;

/** Reads that went well are not worth a line. */
export function worthLogging(line: LogLine): boolean {
  return line.status >= 400 || !['GET', 'HEAD'].includes(line.method);
}

/** A log that writes lines to `write`. */
export function createLog(write: (line: string) => void): Log {
  return (line) => {
    if (worthLogging(line)) {
      write(`${JSON.stringify({ ...line, path: line.path.slice(0, PATH_SHOWN_MAX) })}\n`);
    }
  };
}
