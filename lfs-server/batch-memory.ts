/** Members of recent batches: soft state that lets an agent fetch or fill many objects at once. A server that forgot them still works. */
import type { Operation } from '../client/tokens.ts';
import { createBoundedCache } from '../core/cas/bounded-cache.ts';
import { DatamonError } from '../core/errors.ts';
import type { RepoName } from '../core/keys.ts';
import type { SizedOid } from '../core/meta/api-wire.ts';

export const REMEMBERED_OBJECT_COUNT_MAX = 100_000;

export interface RememberedBatch {
  readonly repo: RepoName;
  readonly operation: Operation;
  readonly objects: readonly SizedOid[];
}

export interface BatchMemory {
  remember(id: string, batch: RememberedBatch): void;
  recall(id: string): RememberedBatch | undefined;
}

export function createBatchMemory(objectCountMax = REMEMBERED_OBJECT_COUNT_MAX): BatchMemory {
  const cache = createBoundedCache<string, RememberedBatch>({
    budgetBytes: objectCountMax,
    weigh: (batch) => batch.objects.length + 1,
    load: async () => {
      throw new DatamonError('NOT_FOUND', 'a forgotten batch cannot be loaded');
    },
  });
  return { remember: (id, batch) => cache.set(id, batch), recall: (id) => cache.peek(id) };
}
