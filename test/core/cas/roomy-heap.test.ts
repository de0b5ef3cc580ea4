/** Room for dead buffers: there while somebody holds it and little lives, V8's own rule at all other times. In processes of their own: a test runner's heap is large. */
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { expect } from 'chai';
import { THREAD_HASH_SIZE_MIN_BYTES } from '../../../core/cas/thread-hasher.ts';
import { runProgram } from '../../support/git-repo.ts';
import { makeTempDir } from '../../support/temp-dir.ts';

const CORE = resolve(import.meta.dirname, '../../../core');

/** What a program says that may `say` the growth, `holdRoom` and hash. */
async function said(lines: readonly string[]): Promise<string[]> {
  const cwd = await makeTempDir();
  const program = [
    `import { heapGrowthPercent, holdRoom } from '${CORE}/cas/roomy-heap.ts';`,
    `import { createThreadHasher } from '${CORE}/cas/thread-hasher.ts';`,
    `import { switchOffFastPaths } from '${CORE}/fast-paths.ts';`,
    'const say = () => console.log(heapGrowthPercent());',
    ...lines,
  ];
  await writeFile(join(cwd, 'program.mjs'), program.join('\n'));
  const flags = ['--disable-warning=ExperimentalWarning'];
  const ran = await runProgram(process.execPath, [...flags, 'program.mjs'], { cwd, env: {} });
  expect(ran.stderr).equal('');
  return ran.stdout.trim().split('\n');
}

describe('roomy heap', () => {
  it('is there until the last one leaves', async () => {
    const lines = ['say();', 'const [a, b] = [holdRoom(), holdRoom()];', 'say();'];
    lines.push('a(); a();', 'say();', 'b();', 'say();', 'holdRoom();', 'say();');
    expect(await said(lines)).deep.equal(['0', '400', '400', '0', '400']);
  });

  it('is not there where much lives, not even for those who held it before', async () => {
    const lines = ['holdRoom();', 'say();'];
    lines.push('globalThis.kept = Array.from({ length: 2_000_000 }, (_, i) => ({ i }));');
    expect(await said([...lines, 'holdRoom();', 'say();'])).deep.equal(['400', '0']);
  });

  it('is held while a large input is hashed, and by no input that is not', async () => {
    const size = THREAD_HASH_SIZE_MIN_BYTES;
    const lines = [`const hasher = createThreadHasher(${size});`, 'say();'];
    lines.push('await hasher.update(new Uint8Array(5_000_000));', 'say();');
    lines.push('await hasher.digest();', 'say();');
    lines.push(`const other = createThreadHasher(${size});`);
    lines.push('await other.update(new Uint8Array(5_000_000));', 'other.drop();', 'say();');
    expect(await said(lines)).deep.equal(['0', '400', '0', '0']);
  });

  it('is one of the shortcuts that can be switched off', async () => {
    const off = "switchOffFastPaths({ DATAMON_FAST_PATHS_OFF: 'roomy-heap' });";
    expect(await said([off, 'holdRoom();', 'say();'])).deep.equal(['0']);
  });
});
