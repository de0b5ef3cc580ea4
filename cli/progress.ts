/** How far an upload is, as one line on stderr that redraws itself; nothing where nobody reads, or it was declined. */
import { formatBytes } from '../client/format.ts';
import type { BlobSource } from '../core/cas/blob-store.ts';
import type { Digest } from '../core/digest.ts';
import type { Context } from './context.ts';

const REDRAW_INTERVAL_MS = 200;

export interface Progress {
  readonly report: (oid: Digest, doneBytes: number) => void;
  end(): void;
}

export function createProgress(context: Context, sources: readonly BlobSource[]): Progress {
  const totalBytes = sources.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const done = new Map<Digest, number>();
  let doneBytes = 0;
  let drawnAtMs = 0;
  let hasDrawn = false;
  const report = (oid: Digest, bytes: number): void => {
    doneBytes += bytes - (done.get(oid) ?? 0);
    done.set(oid, bytes);
    const nowMs = performance.now();
    if (!context.showsProgress || nowMs - drawnAtMs < REDRAW_INTERVAL_MS) return;
    drawnAtMs = nowMs;
    hasDrawn = true;
    const percent = totalBytes === 0 ? 100 : Math.floor((doneBytes * 100) / totalBytes);
    context.io.stderr.write(
      `\rdatamon: ${percent} % (${formatBytes(doneBytes)} of ${formatBytes(totalBytes)})\u001b[K`,
    );
  };
  return {
    report,
    end: () => {
      if (hasDrawn) context.io.stderr.write('\r\u001b[K');
    },
  };
}
