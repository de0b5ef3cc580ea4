/** Processes above us are read as the system tells, and command lines of `git push` for what they ask. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { ancestorsOf, gitPushAmong, isDryRun } from '../../git/process-tree.ts';
import { makeTempDir } from '../support/temp-dir.ts';

async function fakeProc(
  processes: Readonly<Record<string, readonly [number, string[], string?]>>,
): Promise<string> {
  const proc = await makeTempDir();
  for (const [pid, [parent, argv, name = 'x']] of Object.entries(processes)) {
    await mkdir(join(proc, pid));
    await writeFile(join(proc, pid, 'stat'), `${pid} (${name}) S ${parent} 1 1`);
    await writeFile(join(proc, pid, 'cmdline'), `${argv.join('\0')}\0`);
  }
  return proc;
}

describe('git/process-tree', () => {
  const argv = (text: string): readonly string[] => text.split(' ');

  it('sees dry runs, and options that only look like one', () => {
    for (const text of [
      'git push -n',
      'git push --dry-run o m',
      'git -c a=b push -fn',
      'git push o m -n',
    ]) {
      expect(isDryRun(argv(text)), text).to.equal(true);
    }
    for (const text of [
      'git push',
      'git push -o -n',
      'git push -- -n',
      'git push --no-verify',
      'git fetch -n',
      'git push o n',
    ]) {
      expect(isDryRun(argv(text)), text).to.equal(false);
    }
  });

  it('finds git push above shells and hook managers', () => {
    const above = [
      { pid: 5, argv: ['/bin/sh', 'x'] },
      { pid: 4, argv: ['git', 'hook', 'run'] },
      { pid: 3, argv: ['/usr/bin/git', 'push', 'origin'] },
      { pid: 2, argv: ['bash'] },
    ];
    expect(gitPushAmong(above)?.pid).to.equal(3);
    expect(gitPushAmong(above.slice(0, 2))?.pid).to.equal(4);
    expect(gitPushAmong([])).to.equal(null);
  });

  it('climbs from this very process', async () => {
    const above = await ancestorsOf(process.pid);
    expect(above[0]).to.include({ pid: process.pid });
    expect(above[1]?.pid).to.equal(process.ppid);
  });

  it('asks ps where there is no /proc', async () => {
    const above = await ancestorsOf(process.pid, await makeTempDir());
    expect(above.map(({ pid }) => pid)).to.include.members([process.pid, process.ppid]);
  });

  it('reads command lines upward, whatever a process calls itself', async () => {
    const proc = await fakeProc({
      30: [20, ['sh', '-c', 'x'], ') S 99 (evil'],
      20: [1, ['git-lfs', 'prune', '--verify-remote']],
    });
    expect((await ancestorsOf(30, proc)).map((each) => each.argv)).to.deep.equal([
      ['sh', '-c', 'x'],
      ['git-lfs', 'prune', '--verify-remote'],
    ]);
  });

  it('ends at a process it may not see, and at a circle', async () => {
    expect(await ancestorsOf(30, await fakeProc({ 30: [29, ['a']] }))).to.have.length(1);
    const circle = await fakeProc({ 30: [31, ['a']], 31: [30, ['b']] });
    expect((await ancestorsOf(30, circle)).length).to.be.at.most(32);
  });
});
