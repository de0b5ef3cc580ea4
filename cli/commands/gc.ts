/** `datamon gc`: plans what to collect of a store's pool, condemns it, and a day later deletes it. Needs the store, not a server. */
import { readFile, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import {
  condemnPlan,
  makePlan,
  restorePlan,
  setPolicy,
  standingCondemned,
  sweep,
} from '../../core/collect/collector.ts';
import { type CollectPlan, parsePlan, planBytes } from '../../core/collect/plan.ts';
import { surveyPool } from '../../core/collect/pool-survey.ts';
import { DatamonError } from '../../core/errors.ts';
import type { PoolName } from '../../core/keys.ts';
import { secureRandom } from '../../core/random.ts';
import { type Options, usageError } from '../args.ts';
import {
  inPool,
  type OpenedStore,
  onePool,
  openStoreOf,
  poolOfRepo,
  poolsOf,
} from '../collection.ts';
import { type Command, type Outcome, rowsOf } from '../command.ts';
import type { Context } from '../context.ts';
import { type GcRow, gcLines, planRow, reasonLines } from '../gc-rows.ts';
import { whoAmI } from '../who-am-i.ts';

/** Less would not leave a push the time from its files to its ref. */
const UNREFERENCED_DAYS_MIN = 2;
const ACTIONS = ['apply', 'restore', 'status', 'policy'] as const;

export const gc: Command<GcRow> = {
  usage: [
    'gc STORE [--pool POOL] [--plan FILE]',
    'gc --apply PLAN [STORE] [--limit 40%] [--rate COUNT]',
    'gc --restore PLAN [STORE]',
    'gc STORE --status',
    'gc STORE --policy REPO --unreferenced-days N|keep --history-days N|keep',
  ],
  about:
    'says what could be deleted from a store, and changes nothing. --apply condemns what a plan names, after copying out whatever is still used; the same command again, a day later, deletes it. Until then --restore brings everything back. Without a policy every file that was ever pushed is kept.',
  examples: [
    ['gc /srv/store --plan gc.plan', 'what could go, and why; nothing is changed'],
    ['gc --apply gc.plan', 'condemn it; a day later, the same again deletes it'],
    ['gc --restore gc.plan', 'bring back what it condemned'],
    ['gc /srv/store --status', 'what is condemned, and the policies'],
    [
      'gc /srv/store --policy acme/weather --unreferenced-days 30 --history-days keep',
      'let go what no push names for 30 days',
    ],
  ],
  options: {
    pool: { type: 'string', value: 'POOL', summary: 'which pool, where the store has several' },
    plan: { type: 'string', value: 'FILE', summary: 'write the plan to FILE' },
    apply: { type: 'string', value: 'PLAN', summary: 'condemn, or after a day delete' },
    restore: { type: 'string', value: 'PLAN', summary: 'publish again what the plan condemned' },
    status: { type: 'boolean', summary: 'what is condemned, and the policies' },
    limit: {
      type: 'string',
      value: 'PERCENT',
      summary: 'most of the pool a plan may condemn; 10% unless said',
    },
    rate: { type: 'string', value: 'COUNT', summary: 'most deletions in a second' },
    policy: { type: 'string', value: 'REPO', summary: 'set a repo’s policy' },
    'unreferenced-days': {
      type: 'string',
      value: 'DAYS',
      summary: `how long what no push names is kept: ${UNREFERENCED_DAYS_MIN} or more, or keep`,
    },
    'history-days': {
      type: 'string',
      value: 'DAYS',
      summary: 'how long older pushes of a branch or label count, or keep',
    },
  },
  operands: { names: ['STORE'], min: 0, max: 1 },
  run: runGc,
  view: {
    lines: gcLines,
    id: (row) => ('id' in row ? row.id : 'plan' in row ? row.plan : null),
  },
};

async function runGc(context: Context, options: Options): Promise<Outcome<GcRow>> {
  const said = ACTIONS.filter((action) =>
    action === 'status' ? options.flag(action) : options.text(action) !== undefined,
  );
  if (said.length > 1) throw usageError(`gc takes one of --${said.join(', --')} at a time`, 'gc');
  const [action] = said;
  switch (action) {
    case 'apply':
      return rowsOf(await apply(context, options));
    case 'restore':
      return rowsOf(await restore(context, options));
    case 'status':
      return rowsOf(await status(context, await storeOf(context, options)));
    case 'policy':
      return rowsOf(await policy(context, options));
    default:
      return rowsOf(await plan(context, options));
  }
}

function storeOf(context: Context, options: Options, plan?: CollectPlan): Promise<OpenedStore> {
  const text = options.operands[0] ?? plan?.store;
  if (text === undefined) throw usageError('gc needs STORE: a folder or a store’s URL', 'gc');
  return openStoreOf(context, text);
}

async function plan(context: Context, options: Options): Promise<GcRow[]> {
  const opened = await storeOf(context, options);
  const pool = await onePool(opened, options.text('pool'));
  const made = await inPool(context, opened, pool, makePlan);
  const file = options.text('plan');
  if (file !== undefined) await writePlan(resolve(context.io.cwd, file), made);
  if (!context.json) for (const line of reasonLines(made)) context.talk(line);
  if (made.candidates.length > 0) {
    const next = file === undefined ? 'gc STORE --plan FILE' : `gc --apply ${file}`;
    context.talk(`nothing was changed; go on with: datamon ${next}`);
  }
  const listed = context.json || context.quiet || context.verbosity > 0;
  const containers = made.candidates.map((each) => ({ type: 'container' as const, ...each }));
  return [...(listed ? containers : []), planRow(made)];
}

async function writePlan(path: string, made: CollectPlan): Promise<void> {
  try {
    await writeFile(path, planBytes(made), { flag: 'wx' });
  } catch (cause) {
    throw new DatamonError(
      'CONFLICT',
      `the plan could not be written to ${path}: ${reason(cause)}`,
      {
        cause,
        hint: 'Choose a file that is not there yet.',
      },
    );
  }
}

async function readPlan(context: Context, file: string): Promise<CollectPlan> {
  const path = resolve(context.io.cwd, file);
  try {
    return parsePlan(await readFile(path));
  } catch (cause) {
    if (cause instanceof DatamonError) throw cause;
    throw new DatamonError('NOT_FOUND', `the plan ${path} cannot be read: ${reason(cause)}`, {
      cause,
      hint: 'Make one: datamon gc STORE --plan FILE',
    });
  }
}

const reason = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Condemns what the plan names; where that was done, deletes whatever of the pool may be deleted by now. */
async function apply(context: Context, options: Options): Promise<GcRow[]> {
  const limitPercent = percentOf(options.text('limit'));
  const pace = paceOf(options.text('rate'));
  const made = await readPlan(context, options.text('apply') ?? '');
  const opened = await storeOf(context, options, made);
  return inPool(context, opened, made.pool, async (pool) => {
    if (!(await wasApplied(pool, made))) {
      const limits = limitPercent === null ? {} : { limitPercent };
      const by = await whoAmI(context);
      const { containerCount, copiedCount, deletableAt } = await condemnPlan(pool, made, {
        by,
        ...limits,
      });
      return [
        {
          type: 'condemned' as const,
          plan: made.id,
          containers: containerCount,
          copiedFiles: copiedCount,
          deletableAt: deletableAt.toISOString(),
        },
      ];
    }
    const swept = await sweep(pool, pace === null ? {} : { pace });
    if (swept.goneCount > 0) {
      context.talk(
        `${swept.goneCount} files were published without their bytes, by pushes that failed`,
      );
    }
    return [
      {
        type: 'deleted' as const,
        pool: made.pool,
        containers: swept.deletedCount,
        bytes: swept.deletedBytes,
        copiedFiles: swept.copiedCount,
        waiting: swept.waitingCount,
        nextAt: swept.nextAt?.toISOString() ?? null,
      },
    ];
  });
}

async function wasApplied(
  { backend, pool, random }: Parameters<typeof sweep>[0],
  made: CollectPlan,
): Promise<boolean> {
  const { openCondemnedLog } = await import('../../core/cas/condemned.ts');
  for await (const { event } of openCondemnedLog(backend, pool, random).entries()) {
    if (event.plan === made.id) return true;
  }
  return false;
}

async function restore(context: Context, options: Options): Promise<GcRow[]> {
  const made = await readPlan(context, options.text('restore') ?? '');
  const opened = await storeOf(context, options, made);
  const { recordCount, gone } = await inPool(context, opened, made.pool, (pool) =>
    restorePlan(pool, made.id),
  );
  if (gone > 0) {
    throw new DatamonError(
      'INCOMPLETE',
      `${recordCount} files and pages were published again; ${gone} were deleted already`,
      { hint: 'Push those from a clone that has them.' },
    );
  }
  return [{ type: 'restored', plan: made.id, files: recordCount, gone }];
}

async function status(context: Context, opened: OpenedStore): Promise<GcRow[]> {
  const rows: GcRow[] = [];
  for (const pool of await poolsOf(opened)) rows.push(...(await poolStatus(context, opened, pool)));
  return rows;
}

async function poolStatus(context: Context, opened: OpenedStore, pool: PoolName): Promise<GcRow[]> {
  return inPool(context, opened, pool, async (options) => {
    const survey = await surveyPool(options);
    const waiting = await standingCondemned(options, survey);
    const segments = survey.repos.flatMap((repo) => repo.segments);
    const sum = (sizes: Iterable<{ readonly sizeBytes: number }>): number =>
      [...sizes].reduce((bytes, { sizeBytes }) => bytes + sizeBytes, 0);
    const times = waiting.map(({ deletableAt }) => deletableAt).sort((a, b) => a - b);
    const row: GcRow = {
      type: 'status',
      pool,
      packs: survey.packs.size,
      segments: segments.length,
      bytes: sum(survey.packs.values()) + sum(segments.map(({ ref }) => ref)),
      condemned: waiting.length,
      condemnedBytes: sum(waiting),
      nextAt: times[0] === undefined ? null : new Date(times[0]).toISOString(),
    };
    const policies = Object.entries(survey.condemned.policies()).map(
      ([repo, each]): GcRow => ({ type: 'policy', repo, ...each }),
    );
    return [row, ...policies];
  });
}

async function policy(context: Context, options: Options): Promise<GcRow[]> {
  const unreferencedDays = daysOf(options, 'unreferenced-days', UNREFERENCED_DAYS_MIN);
  const historyDays = daysOf(options, 'history-days', 1);
  const opened = await storeOf(context, options);
  const { repo, pool } = await poolOfRepo(opened, options.text('policy') ?? '');
  const by = await whoAmI(context);
  const target = { backend: opened.backend, pool, random: secureRandom };
  const set = await setPolicy(target, repo, { unreferencedDays, historyDays, by });
  return [{ type: 'policy', repo, ...set }];
}

function daysOf(options: Options, name: string, least: number): number | null {
  const text = options.text(name);
  if (text === 'keep') return null;
  const days = text !== undefined && /^[0-9]{1,5}$/.test(text) ? Number(text) : -1;
  if (days >= least) return days;
  throw usageError(`--${name} takes ${least} or more days, or keep`, 'gc');
}

function percentOf(text: string | undefined): number | null {
  if (text === undefined) return null;
  const percent = /^([0-9]{1,3})%?$/.exec(text)?.[1];
  if (percent !== undefined && Number(percent) <= 100) return Number(percent);
  throw usageError('--limit takes a percentage of the pool, such as 40%', 'gc');
}

function paceOf(text: string | undefined): (() => Promise<void>) | null {
  if (text === undefined) return null;
  const rate = /^[0-9]{1,6}$/.test(text) ? Number(text) : 0;
  if (rate < 1) throw usageError('--rate takes how many deletions a second, 1 or more', 'gc');
  return () => new Promise((done) => setTimeout(done, 1000 / rate));
}
