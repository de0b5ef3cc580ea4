/** Mistakes in history, locks and access. */
import type { Mutant } from './mutant.ts';

const HISTORY = ['test/core/meta/history.test.ts'];
const ACCESS = ['test/lfs-server/access.test.ts'];
const TOKENS = ['test/client/tokens.test.ts'];

export const HISTORY_MUTANTS: readonly Mutant[] = [
  {
    name: 'a bundle is stored before its pages',
    file: 'core/meta/history.ts',
    find: '    if (!treeIsStored && !(await pages.hasPages([tree])).has(tree)) {',
    replace: '    if (treeIsStored && pages === undefined) {',
    tests: HISTORY,
  },
  {
    name: 'an edited tree leans on one that was condemned',
    file: 'core/cas/direct-page-store.ts',
    find: '    if (keeps !== null && !(await this.hasPages([keeps])).has(keeps)) throw treeGone(keeps);',
    replace: '    if (keeps === undefined) throw treeGone(keeps);',
    tests: ['test/core/open-repository.test.ts'],
  },
  {
    name: 'an edited tree takes over a page that began elsewhere',
    file: 'core/meta/tree-builder.ts',
    find: '} else if (cutter.isBetweenPages) {',
    replace: '} else if (cutter !== undefined) {',
    tests: ['test/core/meta/tree.test.ts'],
  },
  {
    name: 'a guessed head that wants nothing is taken for the real one',
    file: 'core/log.ts',
    find: '    return appended ?? (await updateHead(decide, tries));',
    replace: '    return guess !== undefined ? appended : await updateHead(decide, tries);',
    tests: ['test/core/log.test.ts'],
  },
  {
    name: 'a branch names a bundle that is not there',
    file: 'core/meta/moves.ts',
    find: '    await indexCommit(move.gitNew, move.bundle, context);\n',
    replace: '',
    tests: HISTORY,
  },
  {
    name: 'a late confirmation brings an old state back',
    file: 'core/meta/moves.ts',
    find: '    if (head !== null && (await wasRecorded(log, move, context))) return null;\n',
    replace: '',
    tests: [...HISTORY, 'test/hooks/crash-windows.test.ts'],
  },
  {
    name: 'a gap in a branch is not marked',
    file: 'core/meta/moves.ts',
    find: '    const gap = at !== move.gitOld;',
    replace: '    const gap = at === undefined;',
    tests: HISTORY,
  },
  {
    name: 'pages are sent parents first, and asked for one level alone',
    file: 'core/meta/record.ts',
    find: '    for (const digest of fresh) unstored.add(digest);\n',
    replace: '    for (const digest of fresh.slice(0, 1)) unstored.add(digest);\n',
    tests: ['test/core/meta/record.test.ts'],
  },
  {
    name: 'a page that is not what its parent says passes',
    file: 'core/meta/tree-reader.ts',
    find: '    firstPathOf(page) === child.firstPath &&\n',
    replace: '',
    tests: ['test/core/meta/tree.test.ts'],
  },
  {
    name: 'anybody may unlock',
    file: 'core/meta/locks.ts',
    find: '      if (lock.owner !== owner && !force) throw notYours(lock);\n',
    replace: '',
    tests: ['test/core/meta/locks.test.ts'],
  },
  {
    name: 'a held path may be locked again',
    file: 'core/meta/locks.ts',
    find: '      refuseHeld(held, path);\n',
    replace: '',
    tests: ['test/core/meta/locks.test.ts'],
  },
  {
    name: 'an action token opens other repos',
    file: 'lfs-server/access.ts',
    find: "  if (use === 'none' || action.repo !== target.repo) return false;",
    replace: "  if (use === 'none') return false;",
    tests: ACCESS,
  },
  {
    name: 'an action token opens other objects',
    file: 'lfs-server/access.ts',
    find: '(target.oid === null || action.oid === target.oid);',
    replace: "(target.oid === null || action.oid !== '');",
    tests: ACCESS,
  },
  {
    name: 'the operation of an action token is ignored',
    file: 'lfs-server/access.ts',
    find: '? [VERB_OF[action.operation]] : [];',
    replace: "? [VERB_OF[action.operation], 'write'] : [];",
    tests: ACCESS,
  },
  {
    name: 'tokens for another audience are taken',
    file: 'client/tokens.ts',
    find: "  if (claims.aud !== accepting.audience) throw refused('it is for another audience');\n",
    replace: '',
    tests: TOKENS,
  },
  {
    name: 'tokens that never expire are taken',
    file: 'client/tokens.ts',
    find: "  if (!Number.isSafeInteger(claims.exp)) throw refused('it never expires');\n",
    replace: '',
    tests: TOKENS,
  },
  {
    name: 'Retry-After is ignored',
    file: 'client/retry.ts',
    find: '    const delayMs = retryAfterMs ?? jittered(',
    replace: '    const delayMs = jittered(',
    tests: ['test/client/api-client.test.ts'],
  },
  {
    name: 'a client tries without end',
    file: 'client/retry.ts',
    find: ' || number >= policy.attemptCount) throw error;',
    replace: ') throw error;',
    tests: ['test/client/api-client.test.ts'],
  },
];
