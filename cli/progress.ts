/** How far an upload is. */
import { formatBytes } from '../client/format.ts';
import type { BlobSource } from '../core/cas/blob-store.ts';
import type { Digest } from '../core/digest.ts';
import type { Context } from './context.ts';
import { createRedraw } from './redraw.ts';

export interface Progress {
  readonly report: (oid: Digest, doneBytes: number) => void;
  end(): void;
}

export function createProgress(context: Context, sources: readonly BlobSource[]): Progress {
  const totalBytes = sources.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const done = new Map<Digest, number>();
  let doneBytes = 0;
  const redraw = createRedraw(context);
  const report = (oid: Digest, bytes: number): void => {
    doneBytes += bytes - (done.get(oid) ?? 0);
    done.set(oid, bytes);
    redraw.draw(() => {
      const percent = totalBytes === 0 ? 100 : Math.floor((doneBytes * 100) / totalBytes);
      return `${percent} % (${formatBytes(doneBytes)} of ${formatBytes(totalBytes)})`;
    });
  };
  return { report, end: redraw.end };
}
