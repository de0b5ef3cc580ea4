/**
 * The ways around the plain way: each changes what work costs and nothing that comes of it. Any of them can be switched off for a
 * process, to find out whether it is to blame for something; the tests prove the sentence before this one with all of them off.
 */
import { DatamonError } from './errors.ts';

export const FAST_PATHS = [
  /** Large inputs are hashed beside the main thread. */
  'hash-thread',
  /** Large files are cut into chunks, and those hashed, beside the main thread. */
  'cut-thread',
  /** Packs of strangers are proved beside the main thread. */
  'prove-thread',
  /** While large inputs pass through, more dead buffers are kept before V8 looks for them. */
  'roomy-heap',
  /** Where chunks end is found in WebAssembly. */
  'wasm-scan',
  /** Bytes that look random are not tried to be compressed. */
  'compress-guess',
  /** A directory takes a finished pack as it is, by a link. */
  'pack-link',
  /** Small files are read, and written, at once. */
  'whole-files',
  /** What a push will need is uploaded before git-lfs names it. */
  'look-ahead',
  /** Small files that a client sent are read back with their neighbours. */
  'joint-proof',
  /** Small objects of a clone are downloaded before git-lfs names them. */
  'fetch-ahead',
  /** A large file's recipe is told to a server by the one of its previous version. */
  'recipe-copies',
  /** The store is asked about all pages of a small tree at once, about no file twice, and about none as its only chunk. */
  'ask-once',
  /** What a server hashes as a whole before it acknowledges it is not hashed by who sends it. */
  'one-proof',
  /** A pack's own digest is worked out by the server that proves it, not by who sends it. */
  'open-packs',
  /** The next files are read while the server records those before. */
  'record-ahead',
  /** A push opens its repo while it reads what it pushes, and sends files while it stores the bundle that lists them. */
  'beside-bundle',
  /** git-lfs does not ask again for the many files of a push that the hook stored. */
  'one-pass-push',
  /** A tree is edited where its changes are known. */
  'tree-edit',
  /** Who is to store a file does not list what is stored where that was done a moment ago. */
  'recent-listing',
  /** Tree pages that were just sent to a server are not asked for. */
  'kept-pages',
  /** Small segments are kept whole once they were read whole. */
  'kept-segments',
  /** A log's head is guessed before it is read. */
  'head-guess',
  /** A record that was found is kept as it was read. */
  'decoded-records',
  /** A token of the same claims in the same second is signed once. */
  'token-reuse',
] as const;

export type FastPath = (typeof FAST_PATHS)[number];

/** In a process's environment: names of fast paths that are off in it, or `all`. */
export const FAST_PATHS_OFF = 'DATAMON_FAST_PATHS_OFF';

const off = new Set<FastPath>();

export const isFast = (path: FastPath): boolean => !off.has(path);

/** Called by a main.ts before the work begins. INVALID for a name that is none. */
export function switchOffFastPaths(env: Readonly<Record<string, string | undefined>>): void {
  off.clear();
  for (const name of (env[FAST_PATHS_OFF] ?? '').split(',').filter((text) => text !== '')) {
    if (name === 'all') for (const path of FAST_PATHS) off.add(path);
    else off.add(known(name));
  }
}

function known(name: string): FastPath {
  const path = FAST_PATHS.find((each) => each === name);
  if (path !== undefined) return path;
  throw new DatamonError('INVALID', `${FAST_PATHS_OFF} names ${name}, which is no fast path`, {
    hint: `Known: ${FAST_PATHS.join(', ')}, and all`,
  });
}
