/** Memory that is used again: never while somebody reads it, whatever the order in which readers come and go. */
import { expect } from 'chai';
import { type Slab, Slabs } from '../../../core/cas/slabs.ts';
import { splitmix64 } from '../../support/splitmix64.ts';

interface Held {
  readonly slab: Slab;
  readonly mark: number;
  readers: number;
}

/** Takes a slab and marks it, or one more or one fewer reads one of those held. */
function act(slabs: Slabs, held: Held[], turn: number, next: () => number): void {
  const one = held[Math.floor(next() * held.length)];
  const what = Math.floor(next() * 4);
  if (what === 0 || one === undefined) {
    const slab = slabs.take();
    slab.bytes.writeUInt32LE(turn);
    held.push({ slab, mark: turn, readers: 1 });
  } else if (what === 1) {
    one.slab.hold();
    one.readers += 1;
  } else {
    one.slab.release();
    one.readers -= 1;
    if (one.readers === 0) held.splice(held.indexOf(one), 1);
  }
}

describe('slabs', () => {
  it('are nobody else’s while somebody holds them', () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const next = splitmix64(seed);
      const slabs = new Slabs(8);
      const held: Held[] = [];
      for (let turn = 1; turn <= 200; turn += 1) {
        act(slabs, held, turn, next);
        for (const { slab, mark } of held) {
          expect(slab.bytes.readUInt32LE(), `seed ${seed}, turn ${turn}`).equal(mark);
        }
      }
    }
  });

  it('are used again once the last reader is done, and few are kept', () => {
    const slabs = new Slabs(8);
    const first = slabs.take();
    const { bytes } = first;
    first.release();
    expect(slabs.take().bytes).equal(bytes);
    const many = Array.from({ length: 20 }, () => slabs.take());
    for (const slab of many) slab.release();
    expect(slabs.freeCount).at.most(4);
  });

  it('refuse to be given back twice, or held when free', () => {
    const slab = new Slabs(8).take();
    slab.release();
    expect(() => slab.release()).throws(RangeError);
    expect(() => slab.hold()).throws(RangeError);
  });
});
