/** A process that is killed while it puts: what it was told is stored is there, nothing half-done shows, and its litter is swept. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect } from 'chai';
import { openLocalBackend } from '../../backends/local.ts';
import { listed, put, read } from '../conformance/bodies.ts';
import { seededBytes } from '../support/splitmix64.ts';
import { makeTempDir } from '../support/temp-dir.ts';

const SCRIPT = join(import.meta.dirname, '../support/put-forever.ts');
const OBJECT_SIZE_BYTES = 200_000;
const ROUNDS = 4;

/** Runs the script until `enough` says so of the lines it printed, kills it, and returns all it printed. */
async function runAndKill(
  args: readonly string[],
  enough: (lines: readonly string[]) => boolean | Promise<boolean>,
): Promise<string[]> {
  const child: ChildProcess = spawn(process.execPath, [SCRIPT, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const lines: string[] = [];
  if (child.stdout === null) throw new Error('the child has no stdout');
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    if (await enough(lines)) child.kill('SIGKILL');
  }
  expect((await exited)[1]).to.equal('SIGKILL');
  return lines;
}

describe('local backend, killed', () => {
  it('shows nothing of a put that was killed in the middle of its body, and sweeps it', async () => {
    const root = await makeTempDir();
    await runAndKill([root, 'stall'], (lines) => lines.includes('half'));
    expect(await readdir(join(root, 'tmp'))).to.have.length(1);
    const backend = await openLocalBackend(root);
    expect(await listed(backend, '')).to.deep.equal([]);
    expect(await readdir(join(root, 'tmp'))).to.deep.equal([]);
    await put(backend, 'a/stalled');
  });

  it('leaves the unfinished file of a living process alone', async () => {
    const root = await makeTempDir();
    let left: readonly string[] = [];
    await runAndKill([root, 'stall'], async () => {
      await openLocalBackend(root);
      left = await readdir(join(root, 'tmp'));
      return true;
    });
    expect(left).to.have.length(1);
  });

  it('keeps all that was acknowledged, whenever it is killed', async () => {
    const root = await makeTempDir();
    const acknowledged = new Set<string>();
    for (let round = 1; round <= ROUNDS; round += 1) {
      const lines = await runAndKill([root], ({ length }) => length >= round * 5);
      for (const line of lines) acknowledged.add(line);
      const backend = await openLocalBackend(root);
      const found = await listed(backend, '');
      expect(found).to.include.members([...acknowledged]);
      for (const key of found) {
        const expected = seededBytes(Number(key.split('/').at(-1)), OBJECT_SIZE_BYTES);
        expect((await read(backend, key)).equals(expected), key).to.equal(true);
      }
      expect(await readdir(join(root, 'tmp'))).to.deep.equal([]);
    }
  }).timeout(20_000);
});
