/**
 * Has a group of files recorded. Their recipes are told by those of previous versions where these are at hand; what the server refuses
 * so is told in full, once and for all.
 */
import { RECIPE_BASE_COUNT_MAX, type RecipeBase } from '../core/cas/recipe-copies.ts';
import { parseRecordAnswer, type RecordAnswer, type WireBlob } from '../core/meta/api-wire.ts';
import { type BaseRecipe, isRefusal } from './base-recipes.ts';
import type { FileUpload } from './file-upload.ts';
import type { RepoClient } from './repo-client.ts';

/** What the server re-hashes per millisecond, at the least, before it answers. */
const REHASH_BYTES_PER_MS = 10_000;
const ANSWER_TIMEOUT_MIN_MS = 60_000;

export interface RecordCallOptions {
  readonly repo: RepoClient;
  readonly signal: AbortSignal;
}

/** What the server made of `uploads`. Waits for their packs; throws the server's refusal of all of them. */
export async function recordUploads(
  uploads: readonly FileUpload[],
  options: RecordCallOptions,
): Promise<RecordAnswer> {
  try {
    return await post(uploads, options);
  } catch (error) {
    const told = uploads.filter(({ base }) => base !== null);
    if (told.length === 0 || !isRefusal(error)) throw error;
    for (const upload of told) upload.base = null;
    return await post(uploads, options);
  }
}

async function post(
  uploads: readonly FileUpload[],
  { repo, signal }: RecordCallOptions,
): Promise<RecordAnswer> {
  const packs = new Set(uploads.flatMap((upload) => [...upload.packs]));
  const tickets = await Promise.all([...packs].map(({ ticket }) => ticket));
  const sizeBytes = uploads.reduce((sum, { source }) => sum + source.sizeBytes, 0);
  return await repo.send(
    {
      method: 'POST',
      path: '/objects',
      json: { packs: tickets, ...recipesOf(uploads), pages: [] },
      answerTimeoutMs: ANSWER_TIMEOUT_MIN_MS + sizeBytes / REHASH_BYTES_PER_MS,
      signal,
    },
    parseRecordAnswer,
  );
}

interface Recipes {
  /** Left out where nothing is copied: older servers know of none. */
  readonly bases?: readonly RecipeBase[];
  readonly blobs: readonly WireBlob[];
}

function recipesOf(uploads: readonly FileUpload[]): Recipes {
  const bases: RecipeBase[] = [];
  const blobs = new Map(
    uploads.map(({ wire, chunks, base }) => {
      const index = base === null ? -1 : indexOf(base, bases);
      return [
        wire.oid,
        base === null || index < 0 ? wire : { ...wire, chunks: base.list.tell(chunks, index) },
      ];
    }),
  );
  return { ...(bases.length > 0 && { bases }), blobs: [...blobs.values()] };
}

/** The index of `base` among `bases`, where it is put if there is room; -1 without. */
function indexOf({ oid, list }: BaseRecipe, bases: RecipeBase[]): number {
  const index = bases.findIndex((each) => each.oid === oid && each.recipe === list.recipe);
  if (index >= 0 || bases.length >= RECIPE_BASE_COUNT_MAX) return index;
  return bases.push({ oid, recipe: list.recipe }) - 1;
}
