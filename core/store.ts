/** A store's first objects: its format, its pools and its repos. Nothing else is read before the format is known to be ours. */
import { type Backend, bytesBody } from './backend/backend.ts';
import { readHealed } from './backend/healing.ts';
import { firstKey, listSegments } from './backend/segments.ts';
import { collect } from './bytes.ts';
import {
  CHUNK_SIZE_AVERAGE_BYTES,
  CHUNK_SIZE_MAX_BYTES,
  CHUNK_SIZE_MIN_BYTES,
  type PoolParameters,
} from './cas/pool.ts';
import { DatamonError, hasCode } from './errors.ts';
import { type Json, openSealedJson, sealJson } from './json.ts';
import {
  defaultPool,
  firstSegment,
  formatLog,
  type Key,
  type PoolName,
  PROBE_PREFIX,
  parseRepoName,
  poolKey,
  REPOS_PREFIX,
  type RepoName,
  repoKey,
  repoKeyOfSegment,
} from './keys.ts';
import { openLog } from './log.ts';
import type { RepoInfo } from './meta/model.ts';
import { type Random, randomHex, secureRandom } from './random.ts';
import { count, digest, listOf, nullable, object, record, text, time } from './shape.ts';

export const FORMAT_VERSION = 1;
/** Mandatory features this code knows; a store that names another one is refused. */
export const FORMAT_FEATURES: readonly string[] = ['zstd'];
const CHUNKER = 'gear32';
const CODEC = 'zstd';
const SEED_SIZE_BYTES = 32;
/** A raw frame has no more (docs/format.md §6). */
const CHUNK_SIZE_LIMIT_BYTES = 16 * 1024 * 1024;
/** The chunker warms up on 32 bytes before the smallest cut. */
const CHUNK_SIZE_FLOOR_BYTES = 64;
const DESCRIPTION_SIZE_MAX_BYTES = 1024 * 1024;

export type Create = 'if-absent' | 'never';

/** A backend whose format was checked. */
export interface Store {
  readonly backend: Backend;
  readonly random: Random;
}

export interface StoreOptions {
  readonly random?: Random;
  /** Whether an empty backend becomes a store. Default: `never`. */
  readonly create?: Create;
}

/** NOT_FOUND where there is no store and none may be made; UNSUPPORTED where its format is newer than this code. */
export async function openStore(backend: Backend, options: StoreOptions = {}): Promise<Store> {
  const { random = secureRandom, create = 'never' } = options;
  const log = openLog({ backend, prefix: formatLog, random, parse: checkFormat(backend.url) });
  if ((await log.head()) !== null) return { backend, random };
  await log.update(async (head) => {
    if (head !== null) return null;
    const foreign = await firstForeign(backend);
    if (foreign !== null && !foreign.startsWith(formatLog)) {
      throw new DatamonError('INVALID', `${backend.url} holds ${foreign} and is no datamon store`, {
        hint: 'Choose an empty place for the store.',
      });
    }
    if (create === 'never') {
      throw new DatamonError('NOT_FOUND', `there is no datamon store at ${backend.url}`, {
        hint: `Check the URL, or make a store there: datamon init ${backend.url}`,
      });
    }
    return { version: FORMAT_VERSION, features: FORMAT_FEATURES };
  });
  return { backend, random };
}

/** What a proof of the place that was cut off left there does not count. */
async function firstForeign(backend: Backend): Promise<string | null> {
  const first = await firstKey(backend, '');
  if (first?.startsWith(PROBE_PREFIX) !== true) return first;
  return firstKey(backend, '', firstSegment('', first).skipTo);
}

export const checkFormat = (url: string) => (event: unknown) => {
  const { version } = record<{ version: number }>({ version: count })(event, 'format');
  const hint = 'Update datamon on this machine; the store is intact.';
  if (version !== FORMAT_VERSION) {
    throw new DatamonError(
      'UNSUPPORTED',
      `the store ${url} has format version ${version}; this datamon reads version ${FORMAT_VERSION}`,
      { hint },
    );
  }
  const { features } = record<{ features: readonly string[] }>({ features: listOf(text) })(
    event,
    'format',
  );
  const unknown = features.filter((feature) => !FORMAT_FEATURES.includes(feature));
  if (unknown.length > 0) {
    throw new DatamonError(
      'UNSUPPORTED',
      `the store ${url} needs ${unknown.join(', ')}, which this datamon does not know`,
      { hint },
    );
  }
  return { version, features };
};

/** The pool's parameters; a pool that does not exist is made, with a random seed, unless `create` is `never` (NOT_FOUND then). */
export async function openPool(
  store: Store,
  pool: PoolName,
  options: { readonly create?: Create } = {},
): Promise<PoolParameters> {
  const key = poolKey(pool);
  const found = await readParsed(store.backend, key, (bytes) => parsePool(bytes, pool));
  if (found !== null) return found;
  if (options.create === 'never') {
    throw new DatamonError('NOT_FOUND', `the store ${store.backend.url} has no pool ${pool}`);
  }
  await createJson(store.backend, key, {
    version: FORMAT_VERSION,
    pool,
    seed: randomHex(store.random, SEED_SIZE_BYTES),
    chunker: CHUNKER,
    minBytes: CHUNK_SIZE_MIN_BYTES,
    averageBytes: CHUNK_SIZE_AVERAGE_BYTES,
    maxBytes: CHUNK_SIZE_MAX_BYTES,
    codec: CODEC,
  });
  // Whoever was first chose the seed.
  return parsePool(await readBytes(store.backend, key), pool);
}

/** Null for a pool whose name only its description tells. */
export function parsePool(bytes: Uint8Array, expected: PoolName | null): PoolParameters {
  const what = `the description of ${expected === null ? 'a pool' : `pool ${expected}`}`;
  const source = parseDescription(bytes, what, (fields, where) => {
    const { chunker, codec } = fields;
    requireWord(chunker, CHUNKER, `${where}: the chunker`);
    requireWord(codec, CODEC, `${where}: the codec`);
    return record({
      pool: text,
      seed: digest,
      minBytes: count,
      averageBytes: count,
      maxBytes: count,
    })(fields, where);
  });
  const { minBytes, averageBytes, maxBytes } = source;
  const ordered =
    CHUNK_SIZE_FLOOR_BYTES <= minBytes &&
    minBytes < averageBytes &&
    averageBytes < maxBytes &&
    maxBytes <= CHUNK_SIZE_LIMIT_BYTES;
  const pool = source.pool as PoolName;
  if (!ordered || (expected !== null && pool !== expected)) {
    throw new DatamonError('CORRUPT', `${what} makes no sense`);
  }
  return { pool, seed: source.seed, minBytes, averageBytes, maxBytes };
}

export interface NewRepo {
  /** Default: the owner's pool. */
  readonly pool?: PoolName;
  readonly remote: string | null;
  readonly createdBy: string;
}

/** Makes a repo, or finds it made: its description as it stands in the store. `made` is asked only where there is none. */
export async function createRepo(
  store: Store,
  repo: RepoName,
  made: NewRepo | (() => Promise<NewRepo>),
): Promise<RepoInfo> {
  const { backend } = store;
  const found = await readOptional(backend, repoKey(repo));
  if (found !== null) return parseRepo(found, repo).info;
  const options = typeof made === 'function' ? await made() : made;
  await createJson(backend, repoKey(repo), {
    version: FORMAT_VERSION,
    repo,
    pool: options.pool ?? defaultPool(repo),
    remote: options.remote,
    createdBy: options.createdBy,
    createdAt: (await backend.now()).toISOString(),
  });
  return parseRepo(await readBytes(backend, repoKey(repo)), repo).info;
}

/** NOT_FOUND for a repo that was never made. */
export async function readRepo(store: Store, repo: RepoName): Promise<RepoInfo> {
  const found = await readParsed(store.backend, repoKey(repo), (bytes) => parseRepo(bytes, repo));
  if (found !== null) return found.info;
  throw new DatamonError('NOT_FOUND', `the store ${store.backend.url} has no repo ${repo}`, {
    hint: 'Check the name; a repo is made by the first push into it.',
  });
}

/** All repos by key order: one list call and one get each. */
export async function* listRepos(
  store: Store,
): AsyncIterable<{ readonly repo: RepoName; readonly info: RepoInfo }> {
  for await (const segment of listSegments(store.backend, REPOS_PREFIX)) {
    const bytes = await readOptional(store.backend, repoKeyOfSegment(segment));
    if (bytes !== null) yield parseRepo(bytes, null);
  }
}

export function parseRepo(
  bytes: Uint8Array,
  expected: RepoName | null,
): { readonly repo: RepoName; readonly info: RepoInfo } {
  const what = `the description of ${expected === null ? 'a repo' : `repo ${expected}`}`;
  const parsed = parseDescription(bytes, what, (fields, where) => {
    const { repo } = record<{ repo: string }>({ repo: text })(fields, where);
    const info = record<RepoInfo>({
      pool: text,
      remote: nullable(text),
      createdBy: text,
      createdAt: time,
    })(fields, where);
    return { repo: parseRepoName(repo), info };
  });
  if (expected === null || parsed.repo === expected) return parsed;
  throw new DatamonError('CORRUPT', `${what} is that of repo ${parsed.repo}`);
}

/** Parses an object that carries a `version`. UNSUPPORTED for a newer one, CORRUPT where `parse` refuses. */
function parseDescription<T>(
  bytes: Uint8Array,
  what: string,
  parse: (fields: { readonly [key: string]: unknown }, what: string) => T,
): T {
  const fields = object(openSealedJson(bytes, what), what);
  const { version } = fields;
  requireWord(version, FORMAT_VERSION, `${what}: the version`);
  try {
    return parse(fields, what);
  } catch (error) {
    if (!hasCode(error, 'INVALID')) throw error;
    throw new DatamonError('CORRUPT', error.message, { cause: error });
  }
}

function requireWord(value: unknown, known: string | number, what: string): void {
  if (value === known) return;
  throw new DatamonError(
    'UNSUPPORTED',
    `${what} is ${JSON.stringify(value)}; this datamon knows ${JSON.stringify(known)} only`,
    { hint: 'Update datamon on this machine; the store is intact.' },
  );
}

/** Null where it is absent; read once more where it is damaged and another member has a good copy. */
async function readParsed<T>(
  backend: Backend,
  key: Key,
  parse: (bytes: Buffer) => T,
): Promise<T | null> {
  return await readHealed(backend, key, async () => {
    const bytes = await readOptional(backend, key);
    return bytes === null ? null : parse(bytes);
  });
}

async function createJson(backend: Backend, key: Key, value: Json): Promise<void> {
  await backend.putIfAbsent(key, bytesBody(sealJson(value)));
}

async function readOptional(backend: Backend, key: Key): Promise<Buffer | null> {
  try {
    return await readBytes(backend, key);
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND')) return null;
    throw error;
  }
}

const readBytes = (backend: Backend, key: Key): Promise<Buffer> =>
  collect(backend.get(key), DESCRIPTION_SIZE_MAX_BYTES);
