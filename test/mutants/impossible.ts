/** Mistakes common in such programs that cannot be made here, and which of the table's stands in for each. */
import type { Impossible } from './mutant.ts';

export const IMPOSSIBLE: readonly Impossible[] = [
  {
    name: 'temporary file on another file system',
    because: 'it stands in the store, and link fails across systems',
  },
  {
    name: 'shared .part file of two uploads',
    because: 'temporary names are random; see “temporary names can be foretold”',
  },
  {
    name: 'offset taken from a file’s size',
    because: 'there are no offset sessions: a pack is sent whole',
  },
  {
    name: 'compare-and-swap without compare',
    because: 'nothing is swapped; see “an entry of another counts as ours”',
  },
  {
    name: 'last writer wins the head',
    because: 'a head is the newest of numbered keys; see “a put overwrites”',
  },
  {
    name: 'lease never expires',
    because: 'there are no leases; see “a writer does not look after it published”',
  },
  { name: 'lease is not fenced', because: 'there are no leases; see “condemned containers count”' },
  {
    name: 'no tombstone',
    because: 'condemning is for ever; see “only the newest condemned are seen after a failed look”',
  },
];
