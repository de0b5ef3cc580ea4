/** Globs as gitignore users know them: `*` and `?` stay in a segment, `**` crosses them, a glob without `/` matches names anywhere. */
import { DatamonError } from '../core/errors.ts';

const GLOB_SIZE_MAX_CHARS = 1000;

/** A test of slash-separated paths. Throws INVALID for a glob that cannot be read. */
export function globMatcher(glob: string): (path: string) => boolean {
  if (glob.length === 0 || glob.length > GLOB_SIZE_MAX_CHARS) {
    throw new DatamonError('INVALID', `not a usable glob: ${JSON.stringify(glob.slice(0, 80))}`);
  }
  const segments = glob.replace(/^\//, '').split('/');
  if (!glob.includes('/')) segments.unshift('**');
  // A glob that names a folder means what is below it.
  if (segments.at(-1) === '') segments[segments.length - 1] = '**';
  const matchers = segments.map((segment) => (segment === '**' ? null : segmentMatcher(segment)));
  return (path) => {
    const parts = path.split('/');
    return matches(matchers, parts);
  };
}

type SegmentMatcher = (segment: string) => boolean;

/** Dynamic programme over segments: linear in both lengths, whatever the stars. */
function matches(matchers: readonly (SegmentMatcher | null)[], parts: readonly string[]): boolean {
  let reached = new Set([0]);
  const settle = (states: Set<number>): Set<number> => {
    for (const state of states) if (matchers[state] === null) states.add(state + 1);
    return states;
  };
  reached = settle(reached);
  for (const part of parts) {
    const next = new Set<number>();
    for (const state of reached) {
      const matcher = matchers[state];
      if (matcher === null) next.add(state);
      else if (matcher?.(part) === true) next.add(state + 1);
    }
    reached = settle(next);
  }
  return reached.has(matchers.length);
}

function segmentMatcher(pattern: string): SegmentMatcher {
  const tokens = tokensOf(pattern);
  return (text) => {
    const chars = [...text];
    let reached = new Set([0]);
    const settle = (states: Set<number>): Set<number> => {
      for (const state of states) if (tokens[state] === null) states.add(state + 1);
      return states;
    };
    reached = settle(reached);
    for (const char of chars) {
      const next = new Set<number>();
      for (const state of reached) {
        const token = tokens[state];
        if (token === null) next.add(state);
        else if (token?.(char) === true) next.add(state + 1);
      }
      reached = settle(next);
    }
    return reached.has(tokens.length);
  };
}

type Token = ((char: string) => boolean) | null;

/** One test per character; null is a star. */
function tokensOf(pattern: string): Token[] {
  const tokens: Token[] = [];
  const chars = [...pattern];
  for (let index = 0; index < chars.length; ) {
    const { token, length } = tokenAt(chars, index);
    // Two stars in a row are one.
    if (token !== null || tokens.length === 0 || tokens.at(-1) !== null) tokens.push(token);
    index += length;
  }
  return tokens;
}

function tokenAt(
  chars: readonly string[],
  index: number,
): { readonly token: Token; readonly length: number } {
  const char = chars[index];
  if (char === '*') return { token: null, length: 1 };
  if (char === '?') return { token: () => true, length: 1 };
  const end = char === '[' ? chars.indexOf(']', index + 2) : -1;
  if (end > 0) return { token: classMatcher(chars.slice(index + 1, end)), length: end - index + 1 };
  const escaped = char === '\\' && index + 1 < chars.length;
  const literal = chars[escaped ? index + 1 : index];
  return { token: (other) => other === literal, length: escaped ? 2 : 1 };
}

function classMatcher(body: readonly string[]): (char: string) => boolean {
  const negated = body[0] === '!' || body[0] === '^';
  const chars = negated ? body.slice(1) : body;
  return (char) => {
    let inside = false;
    for (let index = 0; index < chars.length; index += 1) {
      const low = chars[index] ?? '';
      const high = chars[index + 1] === '-' ? chars[index + 2] : undefined;
      if (high === undefined) inside ||= char === low;
      else {
        inside ||= char >= low && char <= high;
        index += 2;
      }
    }
    return inside !== negated;
  };
}
