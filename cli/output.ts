/**
 * Where words go. Data to stdout (aligned text, JSON lines, or bare ids), talk to stderr. Colour only where a person
 * reads and has not declined it; a reader that went away (EPIPE) ends the program quietly.
 */
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import type { Io } from '../core/io.ts';

export type ColorMode = 'auto' | 'always' | 'never';

/** Ways to mark text; each returns it unchanged where there is no colour. */
export interface Style {
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly red: (text: string) => string;
  readonly green: (text: string) => string;
  readonly yellow: (text: string) => string;
}

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 } as const;

export function styleOf(colored: boolean): Style {
  const mark =
    (code: number) =>
    (text: string): string =>
      colored && text !== '' ? `\u001b[${code}m${text}\u001b[0m` : text;
  return {
    bold: mark(CODES.bold),
    dim: mark(CODES.dim),
    red: mark(CODES.red),
    green: mark(CODES.green),
    yellow: mark(CODES.yellow),
  };
}

/** Whether to colour: the flag, then FORCE_COLOR, NO_COLOR, CLICOLOR=0, TERM=dumb, then whether a terminal reads. */
export function wantsColor(mode: ColorMode, env: Io['env'], isTerminal: boolean): boolean {
  if (mode !== 'auto') return mode === 'always';
  const set = (name: string): boolean => (env[name] ?? '') !== '';
  if (set('FORCE_COLOR')) return env['FORCE_COLOR'] !== '0';
  if (set('NO_COLOR') || env['CLICOLOR'] === '0' || env['TERM'] === 'dumb') return false;
  return isTerminal;
}

export function isTerminalStream(stream: Writable): boolean {
  return 'isTTY' in stream && stream.isTTY === true;
}

/** Thrown when whoever read stdout has gone (`datamon log | head`). */
export class ReaderGone extends Error {
  override readonly name = 'ReaderGone';
}

/** Writes and waits where the reader is slow; the reader's absence is ReaderGone. */
export class Output {
  readonly #stream: Writable;
  #gone = false;

  constructor(stream: Writable) {
    this.#stream = stream;
    stream.on('error', () => {
      this.#gone = true;
    });
  }

  async write(bytes: string | Uint8Array): Promise<void> {
    if (this.#gone || this.#stream.destroyed) throw new ReaderGone();
    if (this.#stream.write(bytes)) return;
    try {
      await once(this.#stream, 'drain');
    } catch {
      throw new ReaderGone();
    }
  }

  async line(text: string): Promise<void> {
    await this.write(`${text}\n`);
  }
}

/** A column of a table. */
export interface Column<Row> {
  readonly name: string;
  cell(row: Row): string;
  readonly align?: 'left' | 'right';
  mark?(text: string, row: Row, style: Style): string;
}

/** Rows as aligned lines; `header` names the columns. */
export function tableLines<Row>(
  rows: readonly Row[],
  all: readonly Column<Row>[],
  style: Style,
  header: boolean,
): string[] {
  // A column that says nothing takes no room.
  const columns = all.filter((column) => rows.some((row) => column.cell(row) !== ''));
  const cells = rows.map((row) => columns.map((column) => column.cell(row)));
  const widths = columns.map((column, index) =>
    Math.max(header ? width(column.name) : 0, ...cells.map((line) => width(line[index] ?? ''))),
  );
  const lines = cells.map((line, rowIndex) => {
    const row = rows[rowIndex] as Row;
    return joinCells(
      columns.map((column, index) => {
        const text = line[index] ?? '';
        const marked = column.mark === undefined ? text : column.mark(text, row, style);
        return pad(text, marked, widths[index] ?? 0, column, index === columns.length - 1);
      }),
    );
  });
  if (!header) return lines;
  const titles = columns.map((column, index) =>
    pad(
      column.name,
      style.dim(column.name),
      widths[index] ?? 0,
      column,
      index === columns.length - 1,
    ),
  );
  return [joinCells(titles), ...lines];
}

const joinCells = (cells: readonly string[]): string => cells.join('  ').trimEnd();

function pad<Row>(
  plain: string,
  marked: string,
  columnWidth: number,
  column: Column<Row>,
  isLast: boolean,
): string {
  const gap = ' '.repeat(Math.max(0, columnWidth - width(plain)));
  if (column.align === 'right') return gap + marked;
  return isLast ? marked : marked + gap;
}

/** Columns a text takes on a terminal, near enough: code points. */
const width = (text: string): number => [...text].length;
