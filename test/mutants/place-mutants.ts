/** Mistakes in where bytes lie and how they come there: replicas, buckets, interrupted transfers, the cache. */
import type { Mutant } from './mutant.ts';

const REPLICAS = ['test/core/replication/replicas.test.ts'];
const HEALING = ['test/core/replication/healing.test.ts'];
const REGIONS = ['test/core/replication/region-cuts.test.ts'];
const BUCKET = ['test/backends/bucket.test.ts'];
const BUCKETS = ['test/backends/bucket-faults.test.ts'];
const RESUME = ['test/client/resume-upload.test.ts'];
const TRANSFER = ['test/agent/transfer.test.ts'];
const CACHE = ['test/client/disk-cache.test.ts'];

export const PLACE_MUTANTS: readonly Mutant[] = [
  {
    name: 'acknowledged before the replica has it',
    file: 'core/backend/replicated.ts',
    find: '  const outcomes = await Promise.allSettled(\n    others.map((member) => group.copierTo(member).copy(key, body)),\n  );',
    replace:
      "  void Promise.allSettled(others.map((member) => group.copierTo(member).copy(key, body)));\n  const outcomes: PromiseSettledResult<void>[] = others.map(() => ({ status: 'fulfilled', value: undefined }));",
    tests: REPLICAS,
  },
  {
    name: 'acknowledged though no replica took it',
    file: 'core/backend/replicated.ts',
    find: '  if (failed !== undefined && copied.length === 0) throw notCopied(key, failed.reason);\n',
    replace: '',
    tests: REPLICAS,
  },
  {
    name: 'a replica has an entry before those it follows',
    file: 'core/backend/copying.ts',
    find: '    for (const earlier of await this.#missingBefore(key)) {',
    replace: '    for (const earlier of (await this.#missingBefore(key)).slice(0, 0)) {',
    tests: [...REPLICAS, ...REGIONS],
  },
  {
    name: 'a replica has heads before what they refer to',
    file: 'core/replication/compare.ts',
    find: '    missing: missing.sort(byOrder),',
    replace: '    missing: missing.sort((a, b) => byOrder(b, a)),',
    tests: REPLICAS,
  },
  {
    name: 'reading brings back what was condemned',
    file: 'core/replication/group.ts',
    find: '    if (!isHome || (await this.#isCondemned(key))) return false;',
    replace: '    if (!isHome) return false;',
    tests: HEALING,
  },
  {
    name: 'healing brings back what was condemned',
    file: 'core/replication/heal.ts',
    find: "  if (await options.isCondemned(key)) return 'no good copy';\n",
    replace: '',
    tests: HEALING,
  },
  {
    name: 'a copy is taken unproved',
    file: 'core/replication/heal.ts',
    find: "members.filter((_, index) => proofs[index] === 'sound');",
    replace: "members.filter((_, index) => proofs[index] !== 'missing');",
    tests: HEALING,
  },
  {
    name: 'a writer does not look who is home by now',
    file: 'core/replication/group.ts',
    find: '    const changed = looked.filter((_, index) => (numbers[index] ?? 0) > this.#config.n);',
    replace: '    const changed = looked.filter(() => numbers.length === 0);',
    tests: REPLICAS,
  },
  {
    name: 'the note of a debt comes after the object',
    file: 'core/backend/replicated.ts',
    find: '    if (others.length > 0) await group.owe(key, others);\n    const outcome = await home.backend.putIfAbsent(key, body);\n',
    replace:
      '    const outcome = await home.backend.putIfAbsent(key, body);\n    if (others.length > 0) await group.owe(key, others);\n',
    tests: REPLICAS,
  },
  {
    name: 'a damaged note of debts owes nothing',
    file: 'core/replication/debts.ts',
    find: '      yield { key, createdAt, note: null };',
    replace: '      yield { key, createdAt, note: { members: [], keys: [] } };',
    tests: REPLICAS,
  },
  {
    name: '412 is an error',
    file: 'backends/s3.ts',
    find: "    if (status === 412 || reason === 'PreconditionFailed') return false;\n",
    replace: '',
    tests: BUCKETS,
  },
  {
    name: 'how long a bucket asks to wait is ignored',
    file: 'backends/bucket-errors.ts',
    find: '  const retryAfterMs = parseRetryAfter(failure.retryAfter);',
    replace: '  const retryAfterMs = failure.retryAfter === null ? 0 : null;',
    tests: BUCKETS,
  },
  {
    name: 'a store is not waited for as long as it asks',
    file: 'core/backend/retrying.ts',
    find: '      await world.sleep(retryAfterMs + waitMs);',
    replace: '      await world.sleep(waitMs);',
    tests: ['test/core/backend/retrying.test.ts'],
  },
  {
    name: 'a missing bucket is a missing object',
    file: 'backends/bucket.ts',
    find: '  if (!bucket.isKnown) await now(bucket);\n',
    replace: '',
    tests: BUCKET,
  },
  {
    name: 'a read that ends too soon is whole',
    file: 'backends/bucket.ts',
    find: '  if (sizeBytes !== null && receivedBytes < sizeBytes) {',
    replace: '  if (sizeBytes !== null && receivedBytes < 0) {',
    tests: BUCKET,
  },
  {
    name: 'notes of another repo are used',
    file: 'client/upload-journal.ts',
    find: 'note.store === store && note.repo === repo;',
    replace: 'note.store === store;',
    tests: RESUME,
  },
  {
    name: 'a server’s range is believed to be the one asked for',
    file: 'client/download.ts',
    find: '  if (match === null || Number(match[1]) !== offset) {',
    replace: '  if (match === null) {',
    tests: ['test/client/download.test.ts'],
  },
  {
    name: 'tickets of another repo are taken',
    file: 'client/tokens.ts',
    find: "    if (named === repo && typeof pack === 'string') return pack;",
    replace: "    if (named !== '' && typeof pack === 'string') return pack;",
    tests: ['test/client/tokens.test.ts'],
  },
  {
    name: 'the beginning of a download is not hashed again',
    file: 'agent/received.ts',
    find: '    hasher.update(buffer.subarray(0, bytesRead));\n',
    replace: '',
    tests: TRANSFER,
  },
  {
    name: 'the digest of a download is not checked',
    file: 'agent/transfer.ts',
    find: "  return received.hasher.digest() === request.oid ? null : 'other bytes arrived';",
    replace: "  return received.hasher.digest() !== '' ? null : 'other bytes arrived';",
    tests: TRANSFER,
  },
  {
    name: 'wrong bytes of a server are passed on to the last',
    file: 'client/download.ts',
    find: '  if (actual !== oid) {',
    replace: "  if (actual === '') {",
    tests: ['test/client/download.test.ts'],
  },
  {
    name: 'damage in the cache is read',
    file: 'client/disk-cache.ts',
    find: '      if (!sealOf(path, [content]).equals(bytes.subarray(content.length))) {',
    replace: '      if (bytes.length < DIGEST_SIZE_BYTES) {',
    tests: CACHE,
  },
  {
    name: 'a cached part passes for another',
    file: 'client/disk-cache.ts',
    find: "  hasher.update(Buffer.from(path.slice(path.lastIndexOf('/') + 1)));\n",
    replace: '',
    tests: CACHE,
  },
];
