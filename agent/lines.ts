/** Lines of a stream, bounded: of a line past the cap no more than the cap is ever held, and it arrives as one overlong line. */
import { type Readable, Transform, type TransformCallback } from 'node:stream';
import split2 from 'split2';
import { LINE_SIZE_MAX_BYTES } from './messages.ts';

const NEWLINE = 0x0a;

export interface LineEvents {
  readonly onLine: (line: string) => void;
  /** Once: the input ended, failed or was cut off. */
  readonly onEnd: () => void;
}

/** Reads lines until the input ends. The returned function stops reading. */
export function readLines(input: Readable, { onLine, onEnd }: LineEvents): () => void {
  const cap = capLines(LINE_SIZE_MAX_BYTES);
  const lines = split2();
  let ended = false;
  const end = (): void => {
    if (ended) return;
    ended = true;
    onEnd();
  };
  lines.on('data', onLine);
  lines.on('end', end);
  for (const stream of [input, cap, lines]) stream.on('error', end);
  // A destroyed input emits no end, so the pipe below would never close.
  input.on('close', () => cap.end());
  input.pipe(cap).pipe(lines);
  return () => {
    ended = true;
    lines.removeListener('data', onLine);
    input.unpipe(cap);
    input.pause();
  };
}

/**
 * Passes on at most `maxBytes` + 1 bytes of each line and drops the rest of it, so that the splitter behind never buffers
 * more. split2's own limit depends on how the input happens to be cut and swallows the line unanswered.
 */
function capLines(maxBytes: number): Transform {
  let lineBytes = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done: TransformCallback) {
      let start = 0;
      while (start < chunk.length) {
        const newline = chunk.indexOf(NEWLINE, start);
        const end = newline < 0 ? chunk.length : newline;
        const room = Math.max(0, maxBytes + 1 - lineBytes);
        if (room > 0 && end > start) this.push(chunk.subarray(start, Math.min(end, start + room)));
        lineBytes += end - start;
        if (newline >= 0) {
          this.push(chunk.subarray(newline, newline + 1));
          lineBytes = 0;
        }
        start = end + 1;
      }
      done();
    },
  });
}
