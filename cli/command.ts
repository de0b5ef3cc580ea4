/** What a verb is: its help, its options, a function from options to rows, and how a row looks. Printing is elsewhere. */
import type { ByteStream } from '../core/bytes.ts';
import type { ExitStatus } from '../core/io.ts';
import type { OperandSpec, OptionSpecs, Options } from './args.ts';
import type { Context } from './context.ts';
import type { Column, Style } from './output.ts';

export interface Outcome<Row> {
  /** What `--json` prints, one a line; each a plain object. */
  readonly rows: Iterable<Row> | AsyncIterable<Row>;
  /** Bytes for stdout instead of rows. */
  readonly bytes?: ByteStream;
  /** Asked after the last row; `ok` without it. */
  readonly status?: () => ExitStatus;
}

/** How rows look to people: as a table, or as lines of their own. */
export interface View<Row> {
  readonly columns?: readonly Column<Row>[];
  /** False: no titles above the table. */
  readonly header?: boolean;
  lines?(row: Row, style: Style): readonly string[];
  /** What `--quiet` prints; null prints nothing. */
  id(row: Row): string | null;
}

export interface Command<Row = unknown> {
  /** Without `datamon`: `log [REF]`. */
  readonly usage: readonly string[];
  /** What it does, in a sentence or a few. */
  readonly about: string;
  /** Command line (without `datamon`) and what it is good for; shown first. */
  readonly examples: readonly (readonly [string, string])[];
  readonly options: OptionSpecs;
  readonly operands: OperandSpec;
  /** Shows or changes history, so pushes left open are settled first. */
  readonly settlesPushes?: true;
  run(context: Context, options: Options): Promise<Outcome<Row>>;
  readonly view: View<Row>;
}

export const NO_OPERANDS: OperandSpec = { names: [], min: 0, max: 0 };

/** An outcome of rows alone. */
export const rowsOf = <Row>(rows: Iterable<Row> | AsyncIterable<Row>): Outcome<Row> => ({ rows });
