/** Fast paths: on unless they are named, and nothing else may be named. */
import { expect } from 'chai';
import { FAST_PATHS, FAST_PATHS_OFF, isFast, switchOffFastPaths } from '../../core/fast-paths.ts';
import { errorOf } from '../support/code-of.ts';

describe('fast paths', () => {
  afterEach(() => switchOffFastPaths(process.env));

  const offWith = (names: string): readonly string[] => {
    switchOffFastPaths({ [FAST_PATHS_OFF]: names });
    return FAST_PATHS.filter((path) => !isFast(path));
  };

  it('are all on unless they are named', () => {
    switchOffFastPaths({});
    expect(FAST_PATHS.every(isFast)).to.equal(true);
    expect(offWith('')).to.deep.equal([]);
    expect(offWith('tree-edit,hash-thread')).to.deep.equal(['hash-thread', 'tree-edit']);
    expect(offWith('all')).to.deep.equal(FAST_PATHS);
    expect(offWith('')).to.deep.equal([]);
  });

  it('have no other names', async () => {
    const { code, message, hint } = await errorOf(() => offWith('pack-links'));
    expect(code).to.equal('INVALID');
    expect(message).to.include('pack-links');
    expect(hint).to.include('pack-link,');
  });
});
