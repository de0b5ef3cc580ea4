/** `datamon fsck`: reads a whole store back and proves it; with `--repair` mends what can be mended, and says what cannot. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatBytes } from '../../client/format.ts';
import { openStoreBackend } from '../../client/open-store.ts';
import { parseEndpoint } from '../../client/repo-url.ts';
import type { Backend } from '../../core/backend/backend.ts';
import { DatamonError } from '../../core/errors.ts';
import { EXIT, type ExitStatus } from '../../core/io.ts';
import { secureRandom } from '../../core/random.ts';
import type { Finding } from '../../core/scrub/finding.ts';
import { openScrubLog, type ScrubReceipt } from '../../core/scrub/receipt.ts';
import { healFromReplicas, repair } from '../../core/scrub/repair.ts';
import { Scrub } from '../../core/scrub/scrub.ts';
import { type Options, usageError } from '../args.ts';
import type { Command, Outcome } from '../command.ts';
import type { Context } from '../context.ts';
import { repairSources } from '../fsck-sources.ts';
import { type FsckRow, fsckLines } from '../fsck-view.ts';
import { createRedraw } from '../redraw.ts';
import { endpointBeside, withScheme } from '../repo-address.ts';
import { whoAmI } from '../who-am-i.ts';

export const fsck: Command<FsckRow> = {
  usage: ['fsck [STORE] [--sample PERCENT] [--repair] [--from DIR]'],
  about:
    'reads a store back and proves every byte: logs, bundles, segments, packs, and that each file hashes to its oid. Says of all damage which files of which bundles it concerns and what to run. Changes nothing without --repair; needs the store itself, not a server. Status 13 where something is damaged, 3 where --repair mended a part of it.',
  examples: [
    ['fsck file:///srv/store', 'read and prove all of it'],
    ['fsck --sample 5%', 'logs and lists whole, and each day another 5 % of the packs'],
    ['fsck --repair', 'in a clone: mend, with what this clone has'],
    ['fsck file:///srv/store --repair --from /backup/lfs/objects', 'mend from a folder'],
  ],
  options: {
    sample: { type: 'string', value: 'PERCENT', summary: 'read only so much of the packs' },
    repair: { type: 'boolean', summary: 'mend what can be mended' },
    from: {
      type: 'string',
      value: 'DIR',
      summary: 'a folder of LFS objects to take lost files from',
    },
  },
  operands: { names: ['STORE'], min: 0, max: 1 },
  run: runFsck,
  view: {
    lines: fsckLines,
    id: (row) => (row.type === 'finding' && row.severity === 'damage' ? row.key : null),
  },
};

/** Rounds of repair and check; each brings to light what the one before uncovered. */
const ROUNDS_MAX = 4;

interface Job {
  readonly context: Context;
  readonly backend: Backend;
  readonly share: number;
  readonly repairs: boolean;
  readonly from: string | undefined;
}

async function runFsck(context: Context, options: Options): Promise<Outcome<FsckRow>> {
  const repairs = options.flag('repair');
  const from = options.text('from');
  if (from !== undefined && !repairs) throw usageError('--from goes with --repair', 'fsck');
  const share = shareOf(options.text('sample'));
  const storeUrl = await storeUrlOf(context, options.operands[0]);
  const backend = await openStoreBackend(storeUrl, { signal: context.io.signal });
  let status: ExitStatus = EXIT.ok;
  const end = (ended: ExitStatus): void => {
    status = ended;
  };
  return { rows: check({ context, backend, share, repairs, from }, end), status: () => status };
}

/** `5%` or `5`: above 0, at most 100. */
function shareOf(text: string | undefined): number {
  if (text === undefined) return 1;
  const percent = /^[0-9]+(?:\.[0-9]+)?%?$/.test(text) ? Number.parseFloat(text) : 0;
  if (percent > 0 && percent <= 100) return percent / 100;
  throw usageError(`--sample ${JSON.stringify(text.slice(0, 40))} is no percentage`, 'fsck');
}

async function storeUrlOf(context: Context, operand: string | undefined): Promise<string> {
  const named = operand ?? context.repoFlag;
  const endpoint =
    named === undefined
      ? await endpointBeside(context)
      : parseEndpoint(withScheme(named, context.io.cwd));
  if (endpoint?.kind === 'store') return endpoint.storeUrl;
  throw new DatamonError(
    'INVALID',
    endpoint === null
      ? 'no store was named, and this is not a clone of one'
      : `fsck reads the store itself, and ${endpoint.origin} is a server`,
    {
      hint: 'Where the store can be reached, name it as serve --store has it: datamon fsck file:///srv/store',
    },
  );
}

async function* check(job: Job, end: (status: ExitStatus) => void): AsyncGenerator<FsckRow> {
  const found: Finding[] = [];
  const first = newScrub(job);
  for await (const each of first.findings()) {
    found.push(each);
    yield { type: 'finding', when: 'found', ...each };
  }
  const { last, isMended } = job.repairs
    ? yield* mendAll(job, first, found)
    : { last: first, isMended: false };
  const receipt = await receiptOf(job, last, isMended);
  await keep(job, receipt);
  if (last.damageCount > 0) end(isMended ? EXIT.partial : EXIT.corrupt);
  yield { type: 'summary', store: job.backend.url, ...receipt };
}

interface Mended {
  /** The scrub after the last repair. */
  readonly last: Scrub;
  readonly isMended: boolean;
}

/** A lost list shows none of its files, so what was mended may bring more to light. */
async function* mendAll(
  job: Job,
  first: Scrub,
  found: readonly Finding[],
): AsyncGenerator<FsckRow, Mended> {
  let last = first;
  let findings = found;
  let isMended = false;
  for (let round = 1; round <= ROUNDS_MAX && last.damageCount > 0; round += 1) {
    const isProgress = yield* mend(job, last, findings);
    if (!isProgress) break;
    isMended = true;
    last = newScrub(job);
    findings = await all(last.findings());
  }
  for (const each of isMended ? findings : []) {
    if (each.severity === 'damage') yield { type: 'finding', when: 'left', ...each };
  }
  return { last, isMended };
}

function newScrub({ context, backend, share }: Job): Scrub {
  const redraw = createRedraw(context);
  return new Scrub({
    backend,
    share,
    signal: context.io.signal,
    onProgress: ({ phase, objectCount, readBytes }) => {
      redraw.draw(() => `${phase}: ${objectCount} reads, ${formatBytes(readBytes)}`);
    },
    onPause: redraw.end,
  });
}

/** One round of repair. True where something was mended. */
async function* mend(
  job: Job,
  found: Scrub,
  foundFindings: readonly Finding[],
): AsyncGenerator<FsckRow, boolean> {
  const { context, backend } = job;
  let scrub = found;
  let findings = foundFindings;
  const healed = await all(healFromReplicas(backend, findings));
  for (const action of healed) yield { type: 'action', ...action };
  if (healed.length > 0) {
    scrub = newScrub(job);
    findings = await all(scrub.findings());
  }
  let isMended = healed.length > 0;
  const spoolDir = await mkdtemp(join(tmpdir(), 'datamon-'));
  try {
    const sources = await repairSources(context, job.from);
    const by = await whoAmI(context);
    const { signal } = context.io;
    const options = { scrub, findings, sources, spoolDir, random: secureRandom, by, signal };
    for await (const action of repair(options)) {
      isMended ||= action.did !== 'left';
      yield { type: 'action', ...action };
    }
  } finally {
    await rm(spoolDir, { recursive: true, force: true });
  }
  return isMended;
}

async function all<T>(source: AsyncIterable<T>): Promise<readonly T[]> {
  const found: T[] = [];
  for await (const each of source) found.push(each);
  return found;
}

async function receiptOf(
  { context, backend, share }: Job,
  scrub: Scrub,
  repaired: boolean,
): Promise<ScrubReceipt> {
  const { objectCount, readBytes, damageCount, noteCount } = scrub;
  return {
    at: (await backend.now()).toISOString(),
    by: await whoAmI(context),
    sharePerMillion: Math.round(share * 1_000_000),
    objectCount,
    readBytes,
    damageCount,
    noteCount,
    repaired,
  };
}

/** A check of a store that cannot be written, or whose log of checks is what is damaged, is a check all the same. */
async function keep({ context, backend }: Job, receipt: ScrubReceipt): Promise<void> {
  try {
    await openScrubLog(backend, secureRandom).update(() => receipt);
  } catch (error) {
    if (!(error instanceof DatamonError) || error.code === 'CANCELLED') throw error;
    context.talk(`datamon: the store does not remember this check: ${error.message}`);
  }
}
