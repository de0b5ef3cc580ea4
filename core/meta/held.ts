/**
 * Whether a bundle is all there, for who is about to name it anew where a policy lets unreferenced files go. Asking keeps it: whatever
 * is found is not collected soon.
 */
import type { Digest } from '../digest.ts';
import { DatamonError } from '../errors.ts';
import { storedOid } from './record.ts';
import type { Repository } from './repository.ts';
import { decodePage, isLeaf } from './tree-page.ts';

type Stores = Pick<Repository, 'pages' | 'blobs'>;

/** INCOMPLETE where a page or a file of the bundle is absent or condemned. */
export async function mustBeHeld(stores: Stores, bundle: Digest, tree: Digest): Promise<void> {
  const { pages, blobs } = stores;
  for (let level: readonly Digest[] = [tree]; level.length > 0; ) {
    if ((await pages.hasPages(level)).size < level.length) throw collected(bundle);
    const { below, oids } = await namedBy(stores, level);
    if ((await blobs.has([...oids])).size < oids.size) throw collected(bundle);
    level = [...below];
  }
}

interface Named {
  readonly below: ReadonlySet<Digest>;
  readonly oids: ReadonlySet<Digest>;
}

async function namedBy({ pages }: Stores, level: readonly Digest[]): Promise<Named> {
  const below = new Set<Digest>();
  const oids = new Set<Digest>();
  for (const digest of level) {
    const page = decodePage(await pages.getPage(digest));
    const stored = isLeaf(page) ? page.entries.map(storedOid) : [];
    for (const oid of stored) if (oid !== null) oids.add(oid);
    for (const child of isLeaf(page) ? [] : page.children) below.add(child.digest);
  }
  return { below, oids };
}

const collected = (bundle: Digest): DatamonError =>
  new DatamonError('INCOMPLETE', `files of the bundle ${bundle} are missing or being collected`, {
    hint: 'Push them again, or within a day: datamon gc --restore PLAN',
  });
