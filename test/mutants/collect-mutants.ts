/** Mistakes in what deletes, merges and repairs: collection, the merger, scrub. */
import type { Mutant } from './mutant.ts';

const COLLECTOR = ['test/core/collect/collector.test.ts'];
const FAULTS = ['test/core/collect/faults.test.ts'];
const COLLECTED = ['test/core/cas/collected.test.ts'];
const COMMIT = ['test/core/cas/commit.test.ts'];
const SCRUB = ['test/core/scrub/scrub.test.ts'];
const PROOF = ['test/core/scrub/prove-object.test.ts'];
const REPAIR = ['test/core/scrub/repair.test.ts'];

export const COLLECT_MUTANTS: readonly Mutant[] = [
  {
    name: 'a root that does not read reaches nothing',
    file: 'core/collect/roots.ts',
    find: '      throw rootError(error, key);',
    replace: "      if (!hasCode(error, 'CORRUPT') && !hasCode(error, 'NOT_FOUND')) throw error;",
    tests: FAULTS,
  },
  {
    name: 'a listing that repeats itself is believed',
    file: 'core/collect/pool-survey.ts',
    find: 'if (each.key <= last || !each.key.startsWith(prefix)) {',
    replace: 'if (!each.key.startsWith(prefix)) {',
    tests: FAULTS,
  },
  {
    name: 'nothing is listed again after the grace',
    file: 'core/collect/collector.ts',
    find: '    moved = await moveAll(options, survey, new Set(), await keepsAll(options, survey));\n',
    replace: '',
    tests: COLLECTOR,
  },
  {
    name: 'condemned before what is kept is copied out',
    file: 'core/collect/collector.ts',
    find: '  const moved = await moveAll(options, survey, new Set(ids), keeps);\n',
    replace: '  const moved: Relocation[] = [];\n',
    tests: [...FAULTS, ...COLLECTOR],
  },
  {
    name: 'packs are deleted before the segments that name them',
    file: 'core/collect/collector.ts',
    find: 'add(id, packKey(pool, id), sizeBytes);\n  return found;',
    replace: 'add(id, packKey(pool, id), sizeBytes);\n  return found.reverse();',
    tests: COLLECTOR,
  },
  {
    name: 'the limit of a plan is ignored',
    file: 'core/collect/collector.ts',
    find: '  if (share > limit) {',
    replace: '  if (share > Math.max(limit, 100)) {',
    tests: COLLECTOR,
  },
  {
    name: 'the grace passes by the clock of the machine',
    file: 'core/collect/collector.ts',
    find: '  const now = survey.now.getTime();',
    replace: '  const now = Date.now();',
    tests: COLLECTOR,
  },
  {
    name: 'the grace is cut short',
    file: 'core/collect/collector.ts',
    find: 'deletableAt: (atOf.get(n) ?? 0) + GRACE_MS });',
    replace: 'deletableAt: (atOf.get(n) ?? 0) + GRACE_MS / 2 });',
    tests: COLLECTOR,
  },
  {
    name: 'a policy counts from before it was set',
    file: 'core/collect/keeping.ts',
    find: '  if (policy.at !== null && isYoung(new Date(policy.at))) return KEEPS_ALL;\n',
    replace: '',
    tests: COLLECTOR,
  },
  {
    name: 'a hit is not published again',
    file: 'core/cas/touch.ts',
    find: '    if (old.length === 0) return;',
    replace: '    if (old.length >= 0) return;',
    tests: COLLECTOR,
  },
  {
    name: 'what replaces is believed to be there',
    file: 'core/collect/relocate.ts',
    find: '      if (!leans(record, isDoomed) && (await isThere(record))) settled.add(record);',
    replace: '      if (!leans(record, isDoomed)) settled.add(record);',
    tests: COLLECTOR,
  },
  {
    name: 'a segment condemned before its writer looked counts',
    file: 'core/cas/committer.ts',
    find: '    const all = condemned.has(segment.id);',
    replace: '    const all = condemned.has(segment.id) && records.length === 0;',
    tests: COLLECTED,
  },
  {
    name: 'a merge does not look',
    file: 'core/cas/merger.ts',
    find: '    await condemned.look();\n',
    replace: '',
    tests: COLLECTED,
  },
  {
    name: 'nobody looks whether a merge was done already',
    file: 'core/cas/merger.ts',
    find: '    return ids.some((id) => !live.has(id));',
    replace: '    return ids.length === 0 || live.size < 0;',
    tests: COMMIT,
  },
  {
    name: 'the links of a log are not followed',
    file: 'core/scrub/survey-logs.ts',
    find: 'if (this.#expected !== null && digestOf(bytes) !== this.#expected) {',
    replace: 'if (this.#expected !== null && digestOf(bytes).length !== this.#expected.length) {',
    tests: SCRUB,
  },
  {
    name: 'entries missing from a log are passed over',
    file: 'core/scrub/survey-logs.ts',
    find: '    if (newest <= n) return;',
    replace: '    if (newest <= n || newest > n) return;',
    tests: SCRUB,
  },
  {
    name: 'the digest of a whole container is not checked',
    file: 'core/scrub/prove-container.ts',
    find: '    if (whole.digest() !== tables.trailer.wholeDigest) {',
    replace: "    if (whole.digest() === '') {",
    tests: PROOF,
  },
  {
    name: 'frames are proved by their place alone',
    file: 'core/scrub/prove-container.ts',
    find: '    decodeFrame(header, bytes.subarray(FRAME_HEADER_SIZE_BYTES), key);\n',
    replace: '',
    tests: PROOF,
  },
  {
    name: 'repair condemns before it publishes',
    file: 'core/scrub/repair.ts',
    find: '    yield* copyOut(options, repo, parts);\n',
    replace:
      '    const ids = [...survey.bad.keys()];\n    await condemn(survey.backend, repo.pool.name, options.random, { ids, by: options.by, plan: null });\n    yield* copyOut(options, repo, parts);\n',
    tests: REPAIR,
  },
  {
    name: 'repair condemns what it could not heal',
    file: 'core/scrub/repair.ts',
    find: '      !unhealed.causes.has(bad.id) &&\n',
    replace: '',
    tests: REPAIR,
  },
];
