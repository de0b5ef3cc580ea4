/** Refspecs map refs as git does, both ways; command lines of `git push` are read for what they ask. */
import { expect } from 'chai';
import { ancestorsOf, gitPushAmong, isDryRun } from '../../git/process-tree.ts';
import { trackedRef, trackingRef } from '../../git/refspec.ts';

const USUAL = ['+refs/heads/*:refs/remotes/origin/*'];

describe('git/refspec', () => {
  it('maps branches to remote-tracking refs and back', () => {
    expect(trackingRef(USUAL, 'refs/heads/a/b')).to.equal('refs/remotes/origin/a/b');
    expect(trackedRef(USUAL, 'refs/remotes/origin/a/b')).to.equal('refs/heads/a/b');
    expect(trackingRef(USUAL, 'refs/tags/v1')).to.equal(null);
    expect(trackingRef([], 'refs/heads/main')).to.equal(null);
  });

  it('takes exact refspecs, stars in the middle, the first that fits; leaves out negative ones', () => {
    const specs = [
      '^refs/heads/x',
      'refs/heads/main:refs/remotes/o/m',
      '+refs/heads/a*z:refs/r/a*z',
    ];
    expect(trackingRef(specs, 'refs/heads/main')).to.equal('refs/remotes/o/m');
    expect(trackingRef(specs, 'refs/heads/abz')).to.equal('refs/r/abz');
    expect(trackingRef(specs, 'refs/heads/a')).to.equal(null);
    expect(trackingRef(['refs/heads/*:refs/r/$&*'], 'refs/heads/x')).to.equal('refs/r/$&x');
  });
});

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
});
