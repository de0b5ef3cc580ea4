/** Mistakes in how bytes come to rest: the folder store, retries, the log. */
import type { Mutant } from './mutant.ts';

const POWER = ['test/backends/local-power-loss.test.ts'];
const FAULTS = ['test/backends/local-faults.test.ts'];
const LOG = ['test/core/log.test.ts'];
const RETRY = ['test/core/backend/retrying.test.ts'];
const LOCAL = ['test/backends/local-conformance.test.ts'];

export const STORE_MUTANTS: readonly Mutant[] = [
  {
    name: 'no fsync of the file',
    file: 'backends/local.ts',
    find: "    await guarded('write', temp, file.sync());\n",
    replace: '',
    tests: POWER,
  },
  {
    name: 'no fsync of the folder after a link',
    file: 'backends/local.ts',
    find: '    await folders.settle(folder);\n    return { created };',
    replace: '    return { created };',
    tests: POWER,
  },
  {
    name: 'no fsync of the folders above',
    file: 'backends/local-folders.ts',
    find: '    await sync(folder);\n    await settleName(folder);',
    replace: '    await sync(folder);',
    tests: POWER,
  },
  {
    name: 'acknowledged before the fsync is done',
    file: 'backends/local.ts',
    find: "    await guarded('write', temp, file.sync());\n",
    replace: '    void file.sync().catch(() => {});\n',
    tests: [...POWER, ...FAULTS],
  },
  {
    name: 'acknowledged before the link is made',
    file: 'backends/local.ts',
    find: 'const created = await publish({ fs, root, key, temp, path, makeFolder });',
    replace:
      'const created = true;\n    void publish({ fs, root, key, temp, path, makeFolder }).catch(() => {});',
    tests: LOCAL,
  },
  {
    name: '“exists already” told without an fsync of the folder',
    file: 'backends/local.ts',
    find: '    await folders.settle(folder);\n    return { created: false };',
    replace: '    return { created: false };',
    tests: POWER,
  },
  {
    name: 'an fsync that failed is tried again',
    file: 'backends/local.ts',
    find: "await guarded('write', temp, file.sync());",
    replace: 'await file.sync().catch(() => file.sync());',
    tests: FAULTS,
  },
  {
    name: 'a put overwrites',
    file: 'backends/local-publish.ts',
    find: '    await fs.link(temp, path);',
    replace: '    await fs.rename(temp, path);',
    tests: [...LOCAL, 'test/backends/local-processes.test.ts'],
  },
  {
    name: 'the claim of a rename is not taken',
    file: 'backends/local-publish.ts',
    find: '  await takeClaim(publication, claim);\n',
    replace: '',
    tests: ['test/backends/local-linkless.test.ts'],
  },
  {
    name: 'the size of a body is not checked',
    file: 'core/backend/sized.ts',
    find: '  if (sizeBytes < body.sizeBytes) throw',
    replace: '  if (sizeBytes < 0) throw',
    tests: LOCAL,
  },
  {
    name: 'temporary names can be foretold',
    file: 'backends/local-temp.ts',
    find: "randomBytes(16).toString('hex')}`",
    replace: "'0'.repeat(32)}`",
    tests: LOCAL,
  },
  {
    name: 'the sweep takes what living processes write',
    file: 'backends/local-temp.ts',
    find: '  if (id === host.id && !(await host.isAlive(Number(pid)))) return true;',
    replace: '  if (id === host.id) return true;',
    tests: ['test/backends/local-kill.test.ts', 'test/backends/local-temp.test.ts'],
  },
  {
    name: 'what dead processes left is never swept',
    file: 'backends/local.ts',
    find: '  await sweepTemps({ ...store, nowMs: async () => (await touch(store)).getTime() });\n',
    replace: '',
    tests: ['test/backends/local-kill.test.ts', ...POWER],
  },
  {
    name: 'a removal is not made durable',
    file: 'backends/local.ts',
    find: "  if (folder?.kind === 'folder') await store.folders.sync(dirname(path));\n",
    replace: '  void folder;\n',
    tests: POWER,
  },
  {
    name: 'a short write is taken for a whole one',
    file: 'backends/local.ts',
    find: '    rest = rest.subarray(count);',
    replace: '    rest = rest.subarray(rest.length);',
    tests: POWER,
  },
  {
    name: 'a file that ends too soon reads as if that were all',
    file: 'backends/local.ts',
    find: "if (count === 0) throw new DatamonError('CORRUPT'",
    replace: "if (count === 0) return;\n      if (count < 0) throw new DatamonError('CORRUPT'",
    tests: FAULTS,
  },
  {
    name: 'a list is not in order',
    file: 'backends/local-list.ts',
    find: '      .sort((a, b) => (a < b ? -1 : 1));',
    replace: '      .sort((a, b) => (a > b ? -1 : 1));',
    tests: LOCAL,
  },
  {
    name: 'everything that fails is tried again',
    file: 'core/errors.ts',
    find: "  return hasCode(error, 'UNAVAILABLE');",
    replace: '  return error instanceof DatamonError;',
    tests: RETRY,
  },
  {
    name: 'tries without end',
    file: 'core/backend/retrying.ts',
    find: '      if (!isRetryable(error) || tries >= policy.tryCount) throw error;',
    replace: '      if (!isRetryable(error)) throw error;',
    tests: RETRY,
  },
  {
    name: 'a read resumes at the wrong byte',
    file: 'core/backend/retrying.ts',
    find: '        start += bytes.length;\n',
    replace: '',
    tests: RETRY,
  },
  {
    name: 'an entry of another counts as ours',
    file: 'core/log.ts',
    find: '    if (digestOf(await readBytes(backend, key)) !== digest) return false;',
    replace: '    await readBytes(backend, key);',
    tests: LOG,
  },
  {
    name: 'a lost acknowledgement counts as a failure',
    file: 'core/log.ts',
    find: '    failure = error;\n',
    replace: '    throw error;\n',
    tests: LOG,
  },
  {
    name: 'an entry that can be read counts as durable',
    file: 'core/log.ts',
    find: '    if (failure !== undefined) await backend.putIfAbsent(key, bytesBody(bytes));\n',
    replace: '',
    tests: LOG,
  },
  {
    name: 'the chain of a log is not checked',
    file: 'core/log.ts',
    find: 'if (expected !== undefined && entry.digest !== expected) {',
    replace: 'if (expected === null) {',
    tests: LOG,
  },
  {
    name: 'entries of two writers are told apart by their events alone',
    file: 'core/log.ts',
    find: '      nonce: randomHex(options.random, NONCE_SIZE_BYTES),',
    replace: "      nonce: '0',",
    tests: LOG,
  },
  {
    name: 'a seal is not checked',
    file: 'core/json.ts',
    find: 'if (end < 0 || seal !== ',
    replace: 'if (end < 0 || seal.length < 0 && seal !== ',
    tests: [...LOG, 'test/core/json.test.ts'],
  },
];
