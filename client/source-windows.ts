/** Groups sources as they come: as many as are there, without waiting long for a producer that waits for us. */
import type { BlobSource } from '../core/cas/blob-store.ts';

/** A producer may wait for an outcome before it names the next file; then what is there goes ahead. */
const IDLE_MS = 50;

type Sources = Iterable<BlobSource> | AsyncIterable<BlobSource>;
type Turn = IteratorResult<BlobSource> | 'idle' | 'aborted';

/** Yields non-empty groups of at most `limit`. Stops between two sources, and while it waits for one, when `signal` aborts. */
export async function* windows(
  sources: Sources,
  limit: number,
  signal: AbortSignal,
): AsyncGenerator<readonly BlobSource[], void, undefined> {
  const { next, leave } = reader(sources);
  try {
    for (;;) {
      const group: BlobSource[] = [];
      const isOver = await fill(group, limit, (idleMs) => next(idleMs, signal));
      if (signal.aborted) return;
      if (group.length > 0) yield group;
      if (isOver) return;
    }
  } finally {
    leave();
  }
}

/** True where there are no more. */
async function fill(
  group: BlobSource[],
  limit: number,
  next: (idleMs: number | null) => Promise<Turn>,
): Promise<boolean> {
  while (group.length < limit) {
    const turn = await next(group.length === 0 ? null : IDLE_MS);
    if (turn === 'idle') return false;
    if (turn === 'aborted' || turn.done) return true;
    group.push(turn.value);
  }
  return false;
}

interface Reader {
  /** Where the next source takes longer than `idleMs`, the same question is still open at the next call. */
  next(idleMs: number | null, signal: AbortSignal): Promise<Turn>;
  /** Lets the producer clean up; one that never comes back from its own waiting is not waited for. */
  leave(): void;
}

function reader(sources: Sources): Reader {
  if (Symbol.iterator in sources) {
    const iterator = sources[Symbol.iterator]();
    return {
      next: async (_idleMs, signal) => (signal.aborted ? 'aborted' : iterator.next()),
      leave: () => void iterator.return?.(),
    };
  }
  const iterator = sources[Symbol.asyncIterator]();
  let open: Promise<IteratorResult<BlobSource>> | null = null;
  return {
    next: async (idleMs, signal) => {
      open ??= iterator.next();
      const turn = await unless(open, idleMs, signal);
      if (typeof turn !== 'string') open = null;
      return turn;
    },
    leave: () => void iterator.return?.().catch(() => undefined),
  };
}

/** Leaves no listener and no timer behind, however many sources there are. */
function unless(
  next: Promise<IteratorResult<BlobSource>>,
  idleMs: number | null,
  signal: AbortSignal,
): Promise<Turn> {
  return new Promise((resolve, reject) => {
    const timer = idleMs === null ? undefined : setTimeout(() => end('idle'), idleMs);
    const onAbort = (): void => end('aborted');
    function end(turn: Turn | null, error?: unknown): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      if (turn === null) reject(error);
      else resolve(turn);
    }
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) end('aborted');
    next.then(end, (error) => end(null, error));
  });
}
