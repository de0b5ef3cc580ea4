/** Refspecs map refs as git does, both ways. */
import { expect } from 'chai';
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
