/** Kept pages: the bytes that were kept, the newest of them, and no more than was allowed. */
import { expect } from 'chai';
import { KeptPages } from '../../../core/cas/kept-pages.ts';
import { digestOf } from '../../../core/digest.ts';
import { FAST_PATHS_OFF, switchOffFastPaths } from '../../../core/fast-paths.ts';
import { useFastPaths } from '../../support/fast-paths.ts';

const page = (seed: number): Buffer => Buffer.alloc(100, seed);

describe('core/cas/kept-pages', () => {
  useFastPaths();

  it('gives back what was kept, and forgets the oldest where there is too much', () => {
    const kept = new KeptPages(350);
    for (const seed of [1, 2, 3, 2, 4]) kept.keep(digestOf(page(seed)), page(seed));
    expect(kept.get(digestOf(page(1)))).to.equal(null);
    for (const seed of [2, 3, 4]) expect(kept.get(digestOf(page(seed)))).to.deep.equal(page(seed));
  });

  it('keeps nothing that is larger than all it may keep', () => {
    const kept = new KeptPages(50);
    kept.keep(digestOf(page(1)), page(1));
    expect(kept.get(digestOf(page(1)))).to.equal(null);
  });

  it('keeps nothing where it is switched off', () => {
    switchOffFastPaths({ [FAST_PATHS_OFF]: 'kept-pages' });
    const kept = new KeptPages();
    kept.keep(digestOf(page(1)), page(1));
    switchOffFastPaths({});
    expect(kept.get(digestOf(page(1)))).to.equal(null);
  });
});
