/**
 * The chunk list of a file's previous version, as the server tells it: what stands on it need neither be asked about nor be named digest
 * by digest. A promise of nothing: without a list, or with a wrong one, a file is stored as any other.
 */
import { collect } from '../core/bytes.ts';
import type { BlobSource } from '../core/cas/blob-store.ts';
import type { PoolParameters } from '../core/cas/pool.ts';
import { BASE_CHUNK_COUNT_MAX, ChunkList } from '../core/cas/recipe-copies.ts';
import { DIGEST_SIZE_BYTES, type Digest } from '../core/digest.ts';
import { DatamonError, type ErrorCode } from '../core/errors.ts';
import { isFast } from '../core/fast-paths.ts';
import { CHUNK_LIST_TYPE } from '../core/meta/api-wire.ts';
import type { RepoClient } from './repo-client.ts';

/** Files of fewer chunks (16 MiB, as a rule) cost no fewer round trips with a list than without. */
const CHUNK_COUNT_MIN = 256;

/** Failures that the next call has too. */
const GENERAL: readonly ErrorCode[] = ['UNAVAILABLE', 'UNAUTHENTICATED', 'CANCELLED', 'NO_SPACE'];

/** True where the server understood, and does not take it: another way may be tried. */
export const isRefusal = (error: unknown): boolean =>
  error instanceof DatamonError && !GENERAL.includes(error.code);

export interface BaseRecipe {
  readonly oid: Digest;
  readonly list: ChunkList;
}

export interface BaseRecipesOptions {
  readonly repo: RepoClient;
  readonly pool: () => Promise<PoolParameters>;
  readonly signal: AbortSignal;
}

export class BaseRecipes {
  readonly #options: BaseRecipesOptions;
  /** False once the server showed that it tells no lists, or not to us. */
  #isTold = true;

  constructor(options: BaseRecipesOptions) {
    this.#options = options;
  }

  /** Of the best basis of `source`; null where there is none, or none worth its round trip. */
  async of({ sizeBytes, basis }: BlobSource): Promise<BaseRecipe | null> {
    const oid = basis?.[0];
    if (oid === undefined || !this.#isTold || !isFast('recipe-copies')) return null;
    const { averageBytes, minBytes } = await this.#options.pool();
    if (sizeBytes < CHUNK_COUNT_MIN * averageBytes) return null;
    // A file that is no larger than this one has no more chunks; one that is much larger is hardly its previous version.
    const countMax = Math.min(BASE_CHUNK_COUNT_MAX, Math.ceil(sizeBytes / minBytes));
    try {
      return await this.#ask(oid, countMax * DIGEST_SIZE_BYTES);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      if (error instanceof DatamonError && error.code === 'FORBIDDEN') this.#isTold = false;
      return null;
    }
  }

  async #ask(oid: Digest, sizeMaxBytes: number): Promise<BaseRecipe | null> {
    const { repo, signal } = this.#options;
    const url = repo.url(`/objects/${oid}/recipe`);
    const headers = { Accept: CHUNK_LIST_TYPE };
    return await repo.api.read({ method: 'GET', url, headers, signal }, async (answer) => {
      if (answer.headers['content-type'] === CHUNK_LIST_TYPE) {
        return { oid, list: new ChunkList(await collect(answer.body, sizeMaxBytes)) };
      }
      // A server that knows nothing of lists tells recipes as JSON, whatever it is asked for, and takes no copies.
      this.#isTold = false;
      answer.discard();
      return null;
    });
  }
}
