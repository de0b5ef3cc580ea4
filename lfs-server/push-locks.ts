/** Locks are held against a push when it is announced: before git moves anything, while refusing still helps. */
import type { Digest } from '../core/digest.ts';
import { DatamonError, hasCode } from '../core/errors.ts';
import { lockViolations } from '../core/meta/lock-check.ts';
import type { AnnouncedRef, Announcement } from '../core/meta/model.ts';
import { LATEST } from '../core/meta/ref-text.ts';
import type { Repository } from '../core/meta/repository.ts';
import { resolveRef } from '../core/meta/resolve.ts';

const NAMED_COUNT_MAX = 5;

/** LOCKED where the push changes files that somebody else holds. */
export async function refuseLocked(
  repository: Repository,
  announcement: Announcement,
  subject: string,
): Promise<void> {
  const held = await repository.locks.list();
  if (held.every(({ owner }) => owner === subject)) return;
  const { history, pages } = repository;
  for (const ref of announcement.refs) {
    const before = await treeBefore(repository, ref);
    const { tree: after } = await history.getBundle(ref.bundle);
    const found = await lockViolations({ pages, held, before, after, by: subject });
    if (found.length > 0)
      throw locked(
        ref,
        found.map(({ path, lock }) => `${path} (${lock.owner})`),
      );
  }
}

/** What the push changes is seen against the old commit, else against the newest push of any branch; null where there is none. */
async function treeBefore(
  repository: Repository,
  { gitOld }: AnnouncedRef,
): Promise<Digest | null> {
  const { history } = repository;
  const known = gitOld === null ? null : await history.bundleOfCommit(gitOld);
  const bundle = known ?? (await newest(repository));
  return bundle === null ? null : (await history.getBundle(bundle)).tree;
}

async function newest(repository: Repository): Promise<Digest | null> {
  try {
    return (await resolveRef(repository, LATEST)).bundle;
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND')) return null;
    throw error;
  }
}

function locked(ref: AnnouncedRef, paths: readonly string[]): DatamonError {
  const more = paths.length > NAMED_COUNT_MAX ? ` and ${paths.length - NAMED_COUNT_MAX} more` : '';
  const named = paths.slice(0, NAMED_COUNT_MAX).join(', ');
  return new DatamonError('LOCKED', `${ref.ref} changes files that others hold: ${named}${more}`, {
    hint: 'Ask them to give the locks back: git lfs locks shows who has what.',
  });
}
