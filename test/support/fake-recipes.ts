/** Recipes as a small server tells and takes them: chunk lists out, copies of them in. */
import type http from 'node:http';
import { encodeChunkList, unfoldRecipes } from '../../core/cas/recipe-copies.ts';
import type { Digest } from '../../core/digest.ts';
import { DatamonError } from '../../core/errors.ts';
import { CHUNK_LIST_TYPE, type RecordRequest } from '../../core/meta/api-wire.ts';

/** Sends the list; false where there is none. */
export function sendChunkList(
  response: http.ServerResponse,
  chunks: readonly Digest[] | undefined,
): boolean {
  if (chunks === undefined) return false;
  response.writeHead(200, { 'Content-Type': CHUNK_LIST_TYPE });
  response.end(encodeChunkList(chunks));
  return true;
}

/** The blobs with their recipes in full. */
export async function inFull(
  recipes: ReadonlyMap<Digest, readonly Digest[]>,
  { blobs, bases = [] }: Pick<RecordRequest, 'blobs'> & Partial<Pick<RecordRequest, 'bases'>>,
): Promise<{ readonly oid: Digest; readonly size: number; readonly chunks: readonly Digest[] }[]> {
  const recipeOf = async (oid: Digest) => {
    const chunks = recipes.get(oid);
    if (chunks === undefined) throw new DatamonError('NOT_FOUND', `no ${oid}`);
    return { oid, sizeBytes: 0, chunks: chunks.map((digest) => ({ digest, sizeBytes: 0 })) };
  };
  const pieces = blobs.map(({ chunks }) => chunks);
  const unfolded = await unfoldRecipes(pieces, { bases, recipeOf });
  return blobs.map((blob, index) => ({ ...blob, chunks: unfolded[index] ?? [] }));
}
