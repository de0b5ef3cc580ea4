/** How sizes, times and ids are written for people; the same words in hooks, CLI and demo. */
import { reusedPercent } from '../core/cas/blob-store.ts';

const UNITS = ['bytes', 'KB', 'MB', 'GB', 'TB', 'PB', 'EB'] as const;
/** Digits of an id shown to people: what git shows of a commit. */
export const SHORT_ID_LENGTH = 7;

/** `0 bytes`, `1 byte`, `62 KB`, `48.0 MB`, `1.2 GB`: thousands, one decimal from MB on (and below 10 KB). */
export function formatBytes(bytes: number): string {
  let unit = 0;
  let value = bytes;
  while (unit < UNITS.length - 1 && round(value, decimals(value, unit)) >= 1000) {
    value /= 1000;
    unit += 1;
  }
  if (unit === 0) return bytes === 1 ? '1 byte' : `${bytes} bytes`;
  return `${value.toFixed(decimals(value, unit))} ${UNITS[unit]}`;
}

function decimals(value: number, unit: number): number {
  if (unit === 0) return 0;
  if (unit === 1) return value < 9.95 ? 1 : 0;
  return value < 99.95 ? 1 : 0;
}

const round = (value: number, digits: number): number => Number(value.toFixed(digits));

/** `0.1 s`, `12 s`, `3 min 5 s`, `2 h 14 min`, `3 days`. */
export function formatDuration(durationMs: number): string {
  const seconds = Math.max(0, durationMs) / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return joined(Math.floor(whole / 60), 'min', whole % 60, 's');
  const minutes = Math.round(seconds / 60);
  if (minutes < 48 * 60) return joined(Math.floor(minutes / 60), 'h', minutes % 60, 'min');
  return `${Math.round(minutes / (24 * 60))} days`;
}

function joined(big: number, bigUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${big} ${bigUnit}` : `${big} ${bigUnit} ${small} ${smallUnit}`;
}

/** `19.0 MB/s`. */
export function formatRate(bytes: number, durationMs: number): string {
  return `${formatBytes(durationMs <= 0 ? 0 : Math.round((bytes * 1000) / durationMs))}/s`;
}

/** The first digits of a bundle, oid or commit. */
export function shortId(id: string): string {
  return id.slice(0, SHORT_ID_LENGTH);
}

/** `97 % reused`: rounded down, 100 only where nothing was new. */
export function formatReused(bytes: number, newBytes: number): string {
  return `${reusedPercent(bytes, newBytes)} % reused`;
}

/** `1 file`, `3 files`, `2,000 files`. */
export function formatCount(count: number, noun: string, plural = `${noun}s`): string {
  return `${count.toLocaleString('en-US')} ${count === 1 ? noun : plural}`;
}

/** What an interrupted push had stored, behind what this one cost; nothing where there was none. */
export function formatResumed(resumedBytes: number): string {
  if (resumedBytes === 0) return '';
  return ` · ${formatBytes(resumedBytes)} were there from the interrupted push`;
}
