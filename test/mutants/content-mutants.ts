/** Mistakes in what the bytes mean: frames, containers, segments, commits, condemned containers. */
import type { Mutant } from './mutant.ts';

const COMMIT = ['test/core/cas/commit.test.ts'];
const CONTAINER = ['test/core/cas/container.test.ts'];
const DAMAGE = ['test/core/cas/damage.test.ts'];
const TRUST = ['test/core/cas/trust.test.ts'];
const BLOBS = ['test/core/cas/blobs.test.ts'];

export const CONTENT_MUTANTS: readonly Mutant[] = [
  {
    name: 'the hash of a file is not checked',
    file: 'core/cas/blob-reading.ts',
    find: '  if (actual !== source.oid) throw',
    replace: '  if (actual === null) throw',
    tests: BLOBS,
  },
  {
    name: 'the size of a file is not checked',
    file: 'core/cas/blob-reading.ts',
    find: '  if (doneBytes !== source.sizeBytes) {',
    replace: '  if (doneBytes < 0) {',
    tests: BLOBS,
  },
  {
    name: 'wrong bytes of a frame are passed on',
    file: 'core/cas/frame.ts',
    find: "proof === 'by the reader' || digestOf(payload) === header.digest",
    replace: 'proof !== null || digestOf(payload) === header.digest',
    tests: [...CONTAINER, ...DAMAGE],
  },
  {
    name: 'a file whose chunks make another one is recorded',
    file: 'core/cas/recipe-proof.ts',
    find: "    const actual = await this.#digestOf(draft, 'by the reader');",
    replace: "    const actual = (await this.#digestOf(draft, 'by the reader')) && draft.oid;",
    tests: ['test/core/cas/ingest.test.ts'],
  },
  {
    name: 'a frame of another container passes',
    file: 'core/cas/frame.ts',
    find: "  if (header.toString('hex', 0, 16) !== id) {",
    replace: '  if (id === undefined) {',
    tests: CONTAINER,
  },
  {
    name: 'damaged tables are believed',
    file: 'core/cas/container-reader.ts',
    find: '  if (digestOf(bytes) !== trailer.tablesDigest) {',
    replace: '  if (bytes.length < 0) {',
    tests: [...CONTAINER, ...DAMAGE],
  },
  {
    name: 'a taken container id counts as stored',
    file: 'core/cas/store-container.ts',
    find: '  if (created) return;',
    replace: '  if (created || !created) return;',
    tests: [...CONTAINER, 'test/core/cas/ingest.test.ts', ...TRUST],
  },
  {
    name: 'acknowledged before the segment is stored',
    file: 'core/cas/segment-publisher.ts',
    find: '    await storeContainer(options.backend, key, sealed.body, sealed.trailer);',
    replace:
      '    void storeContainer(options.backend, key, sealed.body, sealed.trailer).catch(() => {});',
    tests: [...COMMIT, ...BLOBS],
  },
  {
    name: 'a segment is published before its packs are stored',
    file: 'core/cas/segment-publisher.ts',
    find: '    await packs.finish();\n    const records = content',
    replace: '    const records = content',
    tests: [...COMMIT, ...BLOBS],
  },
  {
    name: 'a writer does not look after it published',
    file: 'core/cas/committer.ts',
    find: '      await this.#options.condemned.look();\n',
    replace: '',
    tests: COMMIT,
  },
  {
    name: 'records that lean on condemned containers are acknowledged',
    file: 'core/cas/committer.ts',
    find: '      if (doomed.length === 0) {',
    replace: '      if (doomed.length >= 0) {',
    tests: COMMIT,
  },
  {
    name: 'only the newest condemned are seen after a failed look',
    file: 'core/cas/condemned.ts',
    find: '      newest = Math.max(newest, n);',
    replace: '      this.#seen = newest = Math.max(newest, n);',
    tests: ['test/core/cas/condemned.test.ts'],
  },
  {
    name: 'condemned containers count',
    file: 'core/cas/condemned.ts',
    find: '    return this.#ids.has(id);',
    replace: '    return id === undefined;',
    tests: COMMIT,
  },
  {
    name: 'chunks of condemned containers are reused',
    file: 'core/cas/holdings.ts',
    find: 'return !this.#broken.has(id) && !this.#options.condemned.has(id);',
    replace: 'return !this.#broken.has(id);',
    tests: COMMIT,
  },
  {
    name: 'a file counts as stored though its pack is gone',
    file: 'core/cas/holdings.ts',
    find: '    if (there?.sizeBytes !== ref.sizeBytes) {',
    replace: '    if (there?.sizeBytes === -1) {',
    tests: TRUST,
  },
  {
    name: 'a hit is not looked at again before it is confirmed',
    file: 'core/cas/batch-writer.ts',
    find: 'const isThere = !wasKnown || counted.has(oid);',
    replace: 'const isThere = !wasKnown || oid !== undefined;',
    tests: [...COMMIT, ...TRUST, 'test/faults/interleaved.test.ts'],
  },
  {
    name: 'claimed counts as verified',
    file: 'core/cas/segment-index.ts',
    find: "tables.find(bytes, kind).filter(({ state }) => state === 'verified');",
    replace: 'tables.find(bytes, kind);',
    tests: TRUST,
  },
  {
    name: 'a listing is recent for ever',
    file: 'core/cas/segment-index.ts',
    find: 'return now - this.#listedAtMs < RECENT_LISTING_MS;',
    replace: 'return now >= 0;',
    tests: COMMIT,
  },
  {
    name: 'small files are believed unhashed',
    file: 'core/cas/read-small.ts',
    find: 'if (digestOf(whole) !== oid) return;',
    replace: '',
    tests: ['test/core/cas/ingest.test.ts'],
  },
  {
    name: 'copies of any base are believed',
    file: 'core/cas/recipe-copies.ts',
    find: 'if (chunks !== null && digestOf(encodeChunkList(chunks)) === recipe) return chunks;',
    replace: 'if (chunks !== null) return chunks;',
    tests: ['test/core/cas/recipe-copies.test.ts'],
  },
  {
    name: 'absent is said without asking the store',
    file: 'core/cas/segment-index.ts',
    find: '    await this.refresh();\n    await this.#lookup(missing, kind, found);',
    replace: '    await this.#lookup(missing, kind, found);',
    tests: COMMIT,
  },
  {
    name: 'a damaged segment hides the others',
    file: 'core/cas/segment-index.ts',
    find: "      if (!hasCode(error, 'CORRUPT')) throw error;\n      this.#damaged",
    replace: "      if (!hasCode(error, 'INVALID')) throw error;\n      this.#damaged",
    tests: COMMIT,
  },
  {
    name: 'merging vouches for what nobody verified',
    file: 'core/cas/merger.ts',
    find: 'records.push({ oid, sizeBytes, kind, state, runs: moved.rebuild(runs) });',
    replace:
      "records.push({ oid, sizeBytes, kind, state: state && 'verified', runs: moved.rebuild(runs) });",
    tests: [...TRUST, ...COMMIT],
  },
  {
    name: 'merging loses a record',
    file: 'core/cas/merger.ts',
    find: 'const replaces = group.map(({ ref }) => ref.id);',
    replace: 'const replaces = group.map(({ ref }) => ref.id);\n      records.pop();',
    tests: COMMIT,
  },
  {
    name: 'a recipe is believed unread',
    file: 'core/cas/recipe-proof.ts',
    find: '    if (actual === draft.oid) return;',
    replace: '    if (actual.length > 0) return;',
    tests: ['test/core/cas/ingest.test.ts', ...TRUST],
  },
  {
    name: 'a reader gives up at the first damaged record',
    file: 'core/cas/blob-reader.ts',
    find: '        if (!isDamage(error)) throw error;\n        failure ??= error;',
    replace: '        throw error;',
    tests: [...DAMAGE, ...BLOBS],
  },
  {
    name: 'a damaged read ends as if it were whole',
    file: 'lfs-server/send-bytes.ts',
    find: 'if (sent !== promise.lengthBytes) {',
    replace: 'if (sent !== promise.lengthBytes) {\n    response.end();\n    return;',
    tests: ['test/lfs-server/objects.test.ts', 'test/lfs-server/abuse.test.ts'],
  },
];
