/** Bodies of datamon's HTTP API (docs/api.md §2): types and parsers that client and server share, and their limits. */
import type { Receipt } from '../cas/blob-store.ts';
import type { PoolParameters } from '../cas/pool.ts';
import {
  RECIPE_BASE_COUNT_MAX,
  type RecipeBase,
  type RecipeCopy,
  type RecipePiece,
} from '../cas/recipe-copies.ts';
import type { Digest } from '../digest.ts';
import { DatamonError, ERROR_CODES, type ErrorCode } from '../errors.ts';
import { type PoolName, parsePoolName, parseRepoName, type RepoName } from '../keys.ts';
import {
  count,
  countOrZero,
  digest,
  listOf,
  nullable,
  oneOf,
  type Parse,
  record,
  text,
  time,
} from '../shape.ts';
import type { RepoInfo } from './model.ts';
import { parseRepoInfo } from './wire.ts';

/** Version of discovery and API this code speaks. */
export const API_VERSION = 1;
export const API_OIDS_COUNT_MAX = 10_000;
export const API_CHUNKS_COUNT_MAX = 20_000;

export type ApiVerb = 'read' | 'write';

const repoName: Parse<RepoName> = (value, where) => parseRepoName(text(value, where));
const poolName: Parse<PoolName> = (value, where) => parsePoolName(text(value, where));
const seed: Parse<string> = (value, where) => digest(value, where);

export interface DiscoveryAnswer {
  readonly version: number;
  readonly api: string;
  readonly repo: RepoName;
  readonly transfers: readonly string[];
}

export const parseDiscovery: Parse<DiscoveryAnswer> = record<DiscoveryAnswer>({
  version: count,
  api: text,
  repo: repoName,
  transfers: listOf(text),
});

export const parsePoolParameters: Parse<PoolParameters> = (value, where) => {
  const pool = record<PoolParameters>({
    pool: poolName,
    seed,
    minBytes: count,
    averageBytes: count,
    maxBytes: count,
  })(value, where);
  if (
    pool.minBytes < 64 ||
    pool.minBytes > pool.averageBytes ||
    pool.averageBytes > pool.maxBytes
  ) {
    throw new DatamonError('INVALID', `${where}: chunk sizes must be 64 ≤ min ≤ average ≤ max`);
  }
  return pool;
};

/** Answer of GET and PUT of the repo. */
export interface RepoAnswer {
  readonly repo: RepoName;
  /** Null where the repo does not exist and the caller may create it. */
  readonly info: RepoInfo | null;
  readonly webUrl: string | null;
  readonly verbs: readonly ApiVerb[];
  /** Only for callers that may write; null otherwise, and for a repo that does not exist yet. */
  readonly pool: PoolParameters | null;
}

export const parseRepoAnswer: Parse<RepoAnswer> = record<RepoAnswer>({
  repo: repoName,
  info: nullable(parseRepoInfo),
  webUrl: nullable(text),
  verbs: listOf(oneOf<ApiVerb>(['read', 'write'])),
  pool: (value, where) =>
    value === undefined || value === null ? null : parsePoolParameters(value, where),
});

export interface RepoSummary {
  readonly repo: RepoName;
  readonly pool: string;
  readonly createdAt: string;
}

export const parseRepoList: Parse<{ readonly repos: readonly RepoSummary[] }> = record({
  repos: listOf(record<RepoSummary>({ repo: repoName, pool: text, createdAt: time })),
});

export interface SizedOid {
  readonly oid: Digest;
  readonly size: number;
}

export const parseHasRequest: Parse<{ readonly oids: readonly Digest[] }> = record({
  oids: listOf(digest, API_OIDS_COUNT_MAX),
});

export const parseHasAnswer: Parse<{ readonly objects: readonly SizedOid[] }> = record({
  objects: listOf(record<SizedOid>({ oid: digest, size: count })),
});

export interface ChunksHasRequest {
  readonly digests: readonly Digest[];
  /** Oids whose chunks are looked at first; a hint. */
  readonly basis: readonly Digest[];
}

export const parseChunksHasRequest: Parse<ChunksHasRequest> = record<ChunksHasRequest>({
  digests: listOf(digest, API_CHUNKS_COUNT_MAX),
  basis: (value, where) =>
    value === undefined ? [] : listOf(digest, API_OIDS_COUNT_MAX)(value, where),
});

/** Indexes into the request's `digests`. */
export const parseChunksHasAnswer: Parse<{ readonly have: readonly number[] }> = record({
  have: listOf(count, API_CHUNKS_COUNT_MAX),
});

export const parsePackAnswer: Parse<{ readonly pack: string }> = record({ pack: text });

/** Media type of a chunk list: the chunks' digests, 32 bytes each. */
export const CHUNK_LIST_TYPE = 'application/vnd.datamon.chunk-list';

export interface WireBlob {
  readonly oid: Digest;
  readonly size: number;
  readonly chunks: readonly RecipePiece[];
}

/** Body of POST objects. */
export interface RecordRequest {
  /** Tickets of packs that hold the chunks and pages which are new. */
  readonly packs: readonly string[];
  /** What `blobs` copy from; older clients know of none. */
  readonly bases: readonly RecipeBase[];
  readonly blobs: readonly WireBlob[];
  readonly pages: readonly Digest[];
}

const parseCopy: Parse<RecipeCopy> = (value, where) => {
  const numbers = listOf(count, 3)(value, where);
  const [base, first, length] = numbers;
  if (base !== undefined && first !== undefined && length !== undefined) {
    return [base, first, length];
  }
  throw new DatamonError('INVALID', `${where} has ${numbers.length} numbers, not 3`);
};

const parsePiece: Parse<RecipePiece> = (value, where) =>
  Array.isArray(value) ? parseCopy(value, where) : digest(value, where);

export const parseRecordRequest: Parse<RecordRequest> = record<RecordRequest>({
  packs: listOf(text),
  bases: (value, where) =>
    value === undefined
      ? []
      : listOf(record<RecipeBase>({ oid: digest, recipe: digest }), RECIPE_BASE_COUNT_MAX)(
          value,
          where,
        ),
  blobs: listOf(
    record<WireBlob>({ oid: digest, size: count, chunks: listOf(parsePiece) }),
    API_OIDS_COUNT_MAX,
  ),
  pages: (value, where) => (value === undefined ? [] : listOf(digest)(value, where)),
});

export const parseReceipt: Parse<Receipt> = record<Receipt>({
  fileCount: count,
  logicalBytes: count,
  newBytes: count,
  resumedBytes: countOrZero,
  storedBytes: count,
  packCount: count,
  requestCount: count,
});

export interface RecordFailure {
  readonly oid: Digest;
  readonly code: ErrorCode;
  readonly message: string;
}

/** Answer of POST objects. Blobs named nowhere in it have missing chunks. */
export interface RecordAnswer {
  readonly recorded: readonly { readonly oid: Digest; readonly receipt: Receipt }[];
  /** Chunks and pages the server does not have. */
  readonly missing: readonly Digest[];
  readonly failed: readonly RecordFailure[];
}

export const parseRecordAnswer: Parse<RecordAnswer> = record<RecordAnswer>({
  recorded: listOf(
    record<RecordAnswer['recorded'][number]>({ oid: digest, receipt: parseReceipt }),
  ),
  missing: listOf(digest),
  failed: listOf(record<RecordFailure>({ oid: digest, code: oneOf(ERROR_CODES), message: text })),
});

/** The body of every error. */
export interface ErrorBody {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string | undefined;
}

export const parseErrorBody: Parse<ErrorBody> = record<ErrorBody>({
  code: oneOf(ERROR_CODES),
  message: text,
  hint: (value, where) => (value === undefined || value === null ? undefined : text(value, where)),
});
