/** `datamon label`: names that only a person moves. Every move is kept. */
import { shortId } from '../../client/format.ts';
import { DatamonError } from '../../core/errors.ts';
import type { LabelEvent } from '../../core/meta/model.ts';
import { checkLabel } from '../../core/meta/ref-names.ts';
import { type Options, usageError } from '../args.ts';
import { type Command, type Outcome, rowsOf } from '../command.ts';
import type { Context } from '../context.ts';
import { nearest } from '../nearest.ts';
import { formatPerson, formatTime, harmless } from '../rows.ts';
import { Snapshots } from '../snapshot.ts';
import { whoAmI } from '../who-am-i.ts';

export interface LabelRow {
  readonly label: string;
  /** Null where the label was removed. */
  readonly bundle: string | null;
  readonly by: string;
  readonly at: string;
}

const ACTIONS = ['list', 'set', 'rm', 'log'] as const;
type Action = (typeof ACTIONS)[number];

export const label: Command<LabelRow> = {
  usage: ['label [list]', 'label set NAME [REF]', 'label rm NAME', 'label log NAME'],
  about:
    'lists, sets and removes labels: names for bundles that no push moves. A label can be moved; its log keeps every place it was at.',
  examples: [
    ['label', 'all labels'],
    ['label set best-model main', 'name the bundle that main is at'],
    ['label log best-model', 'where it was before'],
    ['label rm best-model', 'its log stays'],
  ],
  options: {},
  operands: { names: ['ACTION', 'NAME', 'REF'], min: 0, max: 3 },
  run: runLabel,
  view: {
    columns: [
      {
        name: 'label',
        cell: (row) => harmless(row.label),
        mark: (text, _, style) => style.green(text),
      },
      { name: 'bundle', cell: (row) => (row.bundle === null ? 'removed' : shortId(row.bundle)) },
      { name: 'at', cell: (row) => formatTime(row.at) },
      { name: 'by', cell: (row) => formatPerson(row.by) },
    ],
    id: (row) => row.bundle,
  },
};

async function runLabel(context: Context, options: Options): Promise<Outcome<LabelRow>> {
  const [word = 'list', name, ref] = options.operands;
  const action = ACTIONS.find((known) => known === word);
  if (action === undefined) throw unknownAction(word, ACTIONS, 'label');
  const expected = { list: 1, log: 2, rm: 2, set: 3 }[action];
  if (options.operands.length > expected) {
    throw usageError(
      `label ${action}: ${JSON.stringify(options.operands[expected])} is one operand too many`,
      'label',
    );
  }
  if (action === 'list') return rowsOf(listLabels(context));
  if (name === undefined) throw usageError(`label ${action} needs NAME`, 'label');
  return rowsOf(await actOn(context, action, name, ref));
}

async function actOn(
  context: Context,
  action: Exclude<Action, 'list'>,
  name: string,
  ref: string | undefined,
): Promise<LabelRow[]> {
  if (action === 'set') return [await setLabel(context, name, ref)];
  const { history } = await context.repository();
  const events: LabelRow[] = [];
  for await (const { event } of history.labelLog(name)) events.push(toRow(event));
  const [newest] = events;
  if (newest === undefined || (action === 'rm' && newest.bundle === null)) {
    throw new DatamonError('NOT_FOUND', `there is no label ${JSON.stringify(name)}`, {
      hint: 'See those there are: datamon label list',
    });
  }
  if (action === 'log') return events;
  await history.setLabel(name, null, await whoAmI(context));
  return [await newestOf(context, name)];
}

async function* listLabels(context: Context): AsyncGenerator<LabelRow> {
  const { history } = await context.repository();
  await history.info();
  for await (const { event } of history.labels()) if (event.bundle !== null) yield toRow(event);
}

async function setLabel(
  context: Context,
  name: string,
  ref: string | undefined,
): Promise<LabelRow> {
  checkLabel(name);
  const snapshots = await Snapshots.open(context);
  const snapshot = ref === undefined ? await snapshots.byDefault() : await snapshots.at(ref);
  if (snapshot.bundle === null) {
    throw new DatamonError(
      'NOT_FOUND',
      `commit ${snapshot.commit} has no bundle to put a label on`,
      {
        hint: `Push it, or make one: datamon record ${snapshot.commit}`,
      },
    );
  }
  await snapshots.repository.history.setLabel(name, snapshot.bundle, await whoAmI(context));
  return newestOf(context, name);
}

async function newestOf(context: Context, name: string): Promise<LabelRow> {
  const { history } = await context.repository();
  for await (const { event } of history.labelLog(name)) return toRow(event);
  throw new DatamonError('NOT_FOUND', `there is no label ${JSON.stringify(name)}`);
}

const toRow = ({ label, bundle, by, at }: LabelEvent): LabelRow => ({ label, bundle, by, at });

export function unknownAction(
  word: string,
  actions: readonly string[],
  verb: string,
): DatamonError {
  const meant = nearest(word, actions);
  const suggestion = meant === null ? '' : ` Did you mean: datamon ${verb} ${meant}?`;
  return usageError(
    `${verb} ${JSON.stringify(word.slice(0, 60))} is unknown; there are ${actions.join(', ')}.${suggestion}`,
    verb,
  );
}
