/** Sizes, counts and times as people read them. */
import { formatBytes } from '../../client/format.ts';
import { type Html, html } from './html.ts';

/** The same words as on the command line. */
export const bytes = formatBytes;

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
