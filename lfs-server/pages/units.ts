/** Sizes, counts and times as people read them. */
import { type Html, html } from './html.ts';

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** `1.4 MiB`: three digits at most, never rounded up to the next unit. */
export function bytes(sizeBytes: number): string {
  let value = sizeBytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  if (unit === 0) return `${value} B`;
  const digits = value < 10 ? 1 : 0;
  const shown = Math.floor(value * 10 ** digits) / 10 ** digits;
  return `${shown} ${UNITS[unit]}`;
}

/** `1,234`. */
export const count = (value: number): string => value.toLocaleString('en-US');

export const counted = (value: number, one: string, many = `${one}s`): string =>
  `${count(value)} ${value === 1 ? one : many}`;

const STEPS: ReadonlyArray<readonly [number, string]> = [
  [60, 'minute'],
  [60, 'hour'],
  [24, 'day'],
  [30, 'month'],
  [12, 'year'],
];

/** `3 hours ago`, seen from `now`; the exact time on hovering. */
export function ago(time: string, now: Date): Html {
  const date = new Date(time);
  const exact = Number.isNaN(date.getTime())
    ? time
    : `${date.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
  return html`<time datetime="${time}" title="${exact}">${words(date, now)}</time>`;
}

function words(date: Date, now: Date): string {
  let value = (now.getTime() - date.getTime()) / 1000;
  if (!(value >= 60)) return 'just now';
  let unit = 'second';
  for (const [size, name] of STEPS) {
    if (value < size) break;
    value /= size;
    unit = name;
  }
  return `${counted(Math.floor(value), unit)} ago`;
}
