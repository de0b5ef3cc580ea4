/** How people write references: `REF`, `REF:PATH`, `branch~2`, `branch@{2026-01-31}`. Text in, parts out; nothing is looked up. */
import { DatamonError } from '../errors.ts';
import type { RawPath } from './model.ts';
import { rawPathFromText } from './raw-path.ts';

/** Newest push of all branches. */
export const LATEST = 'latest';

const BACK_COUNT_MAX = 1_000_000;
const UNIT_MS: Readonly<Record<string, number>> = {
  second: 1000,
  minute: 60_000,
  hour: 3_600_000,
  day: 86_400_000,
  week: 604_800_000,
};

export interface RefPath {
  /** Null where none was given. */
  readonly ref: string | null;
  /** `''` is the root. */
  readonly path: RawPath | '';
}

/** Where in a log: so many pushes back, or the last one at a time. */
export type Position = { readonly back: number } | { readonly at: Date };

export interface RefParts {
  /** `''` where only a time was given: `@{yesterday}`. */
  readonly base: string;
  readonly position: Position | null;
}

/** `REF[:PATH]`, split at the first colon outside `@{…}`: git allows none in a ref. A final slash of the path means nothing. */
export function parseRefPath(text: string): RefPath {
  const [, ref = '', rest] = /^((?:@\{[^}]*\}|[^:])*)(?::(.*))?$/s.exec(text) ?? [];
  const path = (rest ?? '').replace(/^(?:\.?\/+)+/, '').replace(/\/+$/, '');
  return {
    ref: ref === '' ? null : ref,
    path: path === '' || path === '.' ? '' : rawPathFromText(path),
  };
}

/** `now` is what relative times count from; without it they are INVALID. */
export function parseRefText(text: string, now?: Date): RefParts {
  const braces = /^(.*)@\{([^{}]*)\}$/s.exec(text);
  if (braces !== null) {
    return { base: braces[1] ?? '', position: parsePosition((braces[2] ?? '').trim(), text, now) };
  }
  // A leading tilde belongs to the name of another remote's branch.
  const tilde = /^(.+?)~(\d*)$/s.exec(text);
  if (tilde === null) return { base: text, position: null };
  return { base: tilde[1] ?? '', position: { back: backCount(tilde[2] || '1', text) } };
}

function parsePosition(when: string, text: string, now: Date | undefined): Position {
  if (/^\d{1,7}$/.test(when)) return { back: backCount(when, text) };
  const at = parseTime(when) ?? (now === undefined ? null : relativeTime(when, now));
  if (at !== null) return { at };
  throw new DatamonError('INVALID', `no time in ${JSON.stringify(text)}`, {
    hint: 'Write main@{2026-01-31}, main@{2026-01-31T15:00Z}, main@{3 days ago} or main@{yesterday}.',
  });
}

function backCount(digits: string, text: string): number {
  const back = Number(digits);
  if (back <= BACK_COUNT_MAX) return back;
  throw new DatamonError('INVALID', `too far back: ${JSON.stringify(text.slice(0, 120))}`);
}

/** RFC 3339, seconds and zone optional; UTC where no zone is given, and a day means its end. */
function parseTime(text: string): Date | null {
  const [, day, time, seconds = ':00', zone = 'Z'] =
    /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2})(:\d{2}(?:\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?)?$/i.exec(
      text,
    ) ?? [];
  if (day === undefined) return null;
  const at = new Date(
    time === undefined ? `${day}T23:59:59.999Z` : `${day}T${time}${seconds}${zone}`,
  );
  return Number.isNaN(at.getTime()) ? null : at;
}

function relativeTime(text: string, now: Date): Date | null {
  if (text === 'now') return now;
  if (text === 'yesterday') return relativeTime('1 day ago', now);
  const [, count, unit = ''] = /^(\d{1,6}) (second|minute|hour|day|week)s? ago$/.exec(text) ?? [];
  const unitMs = UNIT_MS[unit];
  return unitMs === undefined ? null : new Date(now.getTime() - Number(count) * unitMs);
}
