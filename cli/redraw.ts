/** One line on stderr that redraws itself; nothing where nobody reads, or it was declined. */
import type { Context } from './context.ts';

const REDRAW_INTERVAL_MS = 200;

export interface Redraw {
  /** Asks for the line only where it is time to draw it. */
  draw(line: () => string): void;
  /** Takes the line away. */
  end(): void;
}

export function createRedraw(context: Context): Redraw {
  let drawnAtMs = 0;
  let hasDrawn = false;
  return {
    draw: (line) => {
      const nowMs = performance.now();
      if (!context.showsProgress || nowMs - drawnAtMs < REDRAW_INTERVAL_MS) return;
      drawnAtMs = nowMs;
      hasDrawn = true;
      context.io.stderr.write(`\rdatamon: ${line()}\u001b[K`);
    },
    end: () => {
      if (hasDrawn) context.io.stderr.write('\r\u001b[K');
      hasDrawn = false;
    },
  };
}
