/** Prints an outcome: JSON lines, bare ids, or text; aligned by windows, so that a long list starts at once and holds little memory. */
import type { Outcome, View } from './command.ts';
import type { Context } from './context.ts';
import { type Column, type Output, tableLines } from './output.ts';

/** Rows aligned together. */
const TABLE_WINDOW_ROWS = 400;

export async function printOutcome<Row>(
  outcome: Outcome<Row>,
  view: View<Row>,
  context: Context,
  output: Output,
): Promise<void> {
  if (outcome.bytes !== undefined) {
    for await (const bytes of outcome.bytes) await output.write(bytes);
    return;
  }
  if (context.json) {
    for await (const row of outcome.rows) await output.line(JSON.stringify(row));
  } else if (context.quiet) {
    for await (const row of outcome.rows) {
      const id = view.id(row);
      if (id !== null) await output.line(id);
    }
  } else await printText(outcome, view, context, output);
}

/** A view has columns or lines. */
async function printText<Row>(
  outcome: Outcome<Row>,
  view: View<Row>,
  context: Context,
  output: Output,
): Promise<void> {
  const { columns } = view;
  if (columns !== undefined) return printTable(outcome, { ...view, columns }, context, output);
  for await (const row of outcome.rows) {
    for (const line of view.lines?.(row, context.style) ?? []) await output.line(line);
  }
}

async function printTable<Row>(
  outcome: Outcome<Row>,
  view: View<Row> & { readonly columns: readonly Column<Row>[] },
  context: Context,
  output: Output,
): Promise<void> {
  // Whoever reads lines with a program wants none; a person who pipes into a pager may ask.
  let header = view.header !== false && (context.stdoutIsTerminal || context.verbosity > 0);
  let window: Row[] = [];
  const flush = async (): Promise<void> => {
    const lines = tableLines(window, view.columns, context.style, header);
    if (window.length > 0) for (const line of lines) await output.line(line);
    header = false;
    window = [];
  };
  for await (const row of outcome.rows) {
    window.push(row);
    if (window.length >= TABLE_WINDOW_ROWS) await flush();
  }
  await flush();
}
