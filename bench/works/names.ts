/** What more than one work says: names of programs in targets, and of cases. */

/** git-lfs over basic HTTP: the peer that targets name, then those that stand in for it where it is not to be had. */
export const BASIC_PEERS = ['lfs-test-server', 'rudolfs', 'giftless'] as const;

/** The ways of datamon that git pushes go. */
export const SERVER = 'datamon-server';
export const STANDALONE = 'datamon-standalone';
export const PUT = 'datamon-put';

/** A case of that name at that distance; without a word at none. */
export const atDistance = (name: string, roundTripMs: number): string =>
  roundTripMs === 0 ? name : `${name}, ${roundTripMs} ms away`;
