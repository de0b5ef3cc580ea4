/**
 * A recipe told by others that both sides have (docs/api.md §2): runs of chunks copied from a base, digests of the rest. Promise: what
 * is made of it are the full digests that were meant, or nothing: a base counts only if its whole list hashes to what the teller named.
 */
import {
  DIGEST_SIZE_BYTES,
  type Digest,
  digestFromBytes,
  digestOf,
  digestToBytes,
} from '../digest.ts';
import { DatamonError, hasCode } from '../errors.ts';
import type { Recipe } from './ingest.ts';

/** `count` chunks of the base at index `base`, from its chunk number `first` on. */
export type RecipeCopy = readonly [base: number, first: number, count: number];
export type RecipePiece = Digest | RecipeCopy;

/** A blob whose recipe is copied from, and the digest of its chunk list as the teller knows it. */
export interface RecipeBase {
  readonly oid: Digest;
  readonly recipe: Digest;
}

/** Chunks of a base: 16 GiB. Its reader holds them in memory, some 150 bytes each. */
export const BASE_CHUNK_COUNT_MAX = 262_144;
export const RECIPE_BASE_COUNT_MAX = 100;
/** Chunks of all recipes of a request, unfolded, and of all its bases: as many as its bytes would hold in full. */
export const RECIPE_CHUNK_COUNT_MAX = 1_000_000;

/** The digests' bytes, one after the other. Their digest names the list. */
export function encodeChunkList(chunks: readonly Digest[]): Buffer {
  return Buffer.concat(chunks.map(digestToBytes));
}

/** A chunk list that others may be told by. */
export class ChunkList {
  readonly recipe: Digest;
  readonly #chunks: readonly Digest[];
  readonly #places: ReadonlyMap<Digest, number>;

  /** CORRUPT unless `bytes` are whole digests. */
  constructor(bytes: Uint8Array) {
    if (bytes.length % DIGEST_SIZE_BYTES !== 0) {
      throw new DatamonError('CORRUPT', `${bytes.length} bytes are no list of digests`);
    }
    this.recipe = digestOf(bytes);
    this.#chunks = Array.from({ length: bytes.length / DIGEST_SIZE_BYTES }, (_, index) => {
      const at = index * DIGEST_SIZE_BYTES;
      return digestFromBytes(bytes.subarray(at, at + DIGEST_SIZE_BYTES));
    });
    this.#places = new Map(this.#chunks.map((digest, index) => [digest, index]));
  }

  has(digest: Digest): boolean {
    return this.#places.has(digest);
  }

  /** `chunks` told by this list, which is the base at index `base`. */
  tell(chunks: readonly Digest[], base: number): RecipePiece[] {
    const pieces: (Digest | [number, number, number])[] = [];
    let open: [base: number, first: number, count: number] | null = null;
    for (const digest of chunks) {
      // A chunk that repeats in the base stands in it many times: going on is shorter than starting anew.
      if (open !== null && this.#chunks[open[1] + open[2]] === digest) {
        open[2] += 1;
        continue;
      }
      const first = this.#places.get(digest);
      open = first === undefined ? null : [base, first, 1];
      pieces.push(open ?? digest);
    }
    return pieces;
  }
}

export interface UnfoldOptions {
  readonly bases: readonly RecipeBase[];
  /** NOT_FOUND, CORRUPT. */
  readonly recipeOf: (oid: Digest) => Promise<Recipe>;
  readonly chunkCountMax?: number;
}

/**
 * The recipes in full. INVALID for a copy of what a base has not; TOO_LARGE for more than may be held; CONFLICT where a base is not
 * stored, or by another recipe than was named: then they have to be told in full.
 */
export async function unfoldRecipes(
  recipes: readonly (readonly RecipePiece[])[],
  { bases, recipeOf, chunkCountMax = RECIPE_CHUNK_COUNT_MAX }: UnfoldOptions,
): Promise<Digest[][]> {
  // Before anything is read: a few bytes may say millions of chunks.
  refuseMore(sum(recipes.flat().map(lengthOf)), chunkCountMax);
  const lists: Digest[][] = [];
  for (const base of bases) {
    lists.push(await chunksOf(base, recipeOf));
    refuseMore(sum(lists.map(({ length }) => length)), chunkCountMax);
  }
  return recipes.map((pieces) => pieces.flatMap((piece) => unfold(piece, lists)));
}

const lengthOf = (piece: RecipePiece): number => (typeof piece === 'string' ? 1 : piece[2]);

const sum = (counts: readonly number[]): number =>
  counts.reduce((total, count) => total + count, 0);

function unfold(piece: RecipePiece, lists: readonly (readonly Digest[])[]): readonly Digest[] {
  if (typeof piece === 'string') return [piece];
  const [base, first, count] = piece;
  const list = lists[base];
  if (list !== undefined && count > 0 && first + count <= list.length) {
    return list.slice(first, first + count);
  }
  throw new DatamonError('INVALID', `no base has what a recipe copies: ${JSON.stringify(piece)}`);
}

async function chunksOf(
  { oid, recipe }: RecipeBase,
  recipeOf: UnfoldOptions['recipeOf'],
): Promise<Digest[]> {
  const chunks = await recipeOf(oid).then(
    (found) => found.chunks.map(({ digest }) => digest),
    (error: unknown) => {
      if (hasCode(error, 'NOT_FOUND') || hasCode(error, 'CORRUPT')) return null;
      throw error;
    },
  );
  if (chunks !== null && digestOf(encodeChunkList(chunks)) === recipe) return chunks;
  throw new DatamonError('CONFLICT', `${oid} is not stored by the recipe ${recipe}`, {
    hint: 'Send the recipes that copy from it in full.',
  });
}

function refuseMore(count: number, countMax: number): void {
  if (count <= countMax) return;
  throw new DatamonError('TOO_LARGE', `recipes of ${count} chunks; at most ${countMax} are taken`);
}
