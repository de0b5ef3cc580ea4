/**
 * The reference-transaction hook: a remote-tracking ref moved, so the push took. Its lines come after git's own report. It
 * never fails a transaction, and never keeps one waiting for long.
 */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { formatCount, shortId } from '../client/format.ts';
import { type GitSha, isGitSha } from '../core/keys.ts';
import { displayPath } from '../core/meta/raw-path.ts';
import { peelToCommit } from '../git/commit.ts';
import { filesOf } from '../git/commit-files.ts';
import { getConfig, isTrue } from '../git/config.ts';
import { committer } from '../git/identity.ts';
import { type RecordedRef, recordRef } from '../git/record-commit.ts';
import { remotesOf } from '../git/refspec.ts';
import { remoteId } from '../git/remote-id.ts';
import { type GitRepository, openGitRepo } from '../git/repository.ts';
import { type Confirming, confirmRefs } from './confirm.ts';
import { type LocalPending, listPending, type PendingRef } from './local-pending.ts';
import { receiptStyle, sayReceipt } from './receipt.ts';
import { rememberSeen } from './seen.ts';
import { openTarget, pushEndpoint, type Target } from './target.ts';
import { type HookWorld, readInput, say, warn } from './world.ts';

const CONFIRM_TIMEOUT_MS = 20_000;
/** A push past the hook still sends its data, and that may be much. */
const CATCH_UP_TIMEOUT_MS = 30 * 60_000;

interface Moved {
  readonly tracking: string;
  /** Null: the ref went away. */
  readonly gitNew: GitSha | null;
}

export async function referenceTransaction(
  world: HookWorld,
  args: readonly string[],
): Promise<void> {
  if (args[0] !== 'committed') return;
  const moves = parseMoves((await readInput(world.io)).toString('utf8'));
  if (moves.length === 0) return;
  const repo = await openGitRepo(world.io.cwd, world.io.env, { configuration: 'once' });
  if ((await getConfig(repo.git, 'datamon.hooks')) === 'off') return;
  const style = await receiptStyle(repo);
  const pushes = await listPending(repo);
  for (const moved of moves) {
    const match = matching(pushes, moved);
    try {
      if (match !== null) {
        const signal = bounded(world, CONFIRM_TIMEOUT_MS);
        await confirmRefs({ world, repo, style, signal }, match.pending, [match.ref]);
      } else {
        const signal = bounded(world, CATCH_UP_TIMEOUT_MS);
        await catchUp({ world, repo, style, signal }, moved);
      }
      if (moved.gitNew !== null) await rememberSeen(repo, moved.tracking, moved.gitNew);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      warn(world, `the push is done, but not in the history yet: ${why}`);
      say(
        world,
        match === null ? 'Run: datamon record' : 'The next push or datamon command records it.',
      );
    }
  }
}

function parseMoves(text: string): readonly Moved[] {
  const moves: Moved[] = [];
  for (const line of text.split('\n')) {
    const [, gitNew, tracking = ''] = line.split(' ');
    if (!isGitSha(gitNew) || !tracking.startsWith('refs/remotes/')) continue;
    moves.push({ tracking, gitNew: /^0+$/.test(gitNew) ? null : gitNew });
  }
  return moves;
}

const bounded = (world: HookWorld, timeoutMs: number): AbortSignal =>
  AbortSignal.any([world.io.signal, AbortSignal.timeout(timeoutMs)]);

/** The newest announced push that put this very commit there. */
function matching(
  pushes: readonly LocalPending[],
  { tracking, gitNew }: Moved,
): { readonly pending: LocalPending; readonly ref: PendingRef } | null {
  for (const pending of pushes.toReversed()) {
    const ref = pending.refs.find((each) => each.tracking === tracking && each.tip === gitNew);
    if (ref !== undefined) return { pending, ref };
  }
  return null;
}

/** A push that no pre-push hook announced: it was skipped, or there was nothing to do. */
async function catchUp(confirming: Confirming, { tracking, gitNew }: Moved): Promise<void> {
  const { world, repo } = confirming;
  if (gitNew === null || !(await wasPush(repo, tracking, gitNew))) return;
  const commit = await peelToCommit(repo.git, gitNew);
  const [from] = await remotesOf(repo.git, tracking);
  if (commit === null || from === undefined) return;
  const files = await filesOf(repo, commit);
  if (files.lfsCount === 0 && files.config === null) return;
  const { url: lfsUrl, kind } = await pushEndpoint(repo, from.remote);
  if (kind === 'other') return;
  const url =
    (await getConfig(repo.git, `remote.${from.remote}.pushurl`)) ??
    (await getConfig(repo.git, `remote.${from.remote}.url`)) ??
    from.remote;
  const remote = await remoteId(url, repo.topLevel ?? repo.gitDir);
  const by = await committer(repo.git, world.io.env);
  const { signal } = confirming;
  const target = await openTarget({ world, repo, lfsUrl, signal, create: { by, remote } });
  if (target === null) return;
  try {
    await recordSkipped(confirming, target, { remote, ref: from.ref, commit, by });
  } finally {
    await target.repository.close();
  }
}

async function recordSkipped(
  confirming: Confirming,
  { repository }: Target,
  move: {
    readonly remote: string;
    readonly ref: string;
    readonly commit: GitSha;
    readonly by: string;
  },
): Promise<void> {
  const { world, repo, style, signal } = confirming;
  const { remote, ref, commit } = move;
  const isWished = isTrue(world.io.env['GIT_LFS_SKIP_PUSH'] ?? null);
  const recorded = await recordRef({
    repository,
    repo,
    remote,
    ref,
    commit,
    pushedBy: move.by,
    upload: isWished ? 'nothing' : 'missing',
    signal,
  });
  if (recorded.outcome === 'already') return;
  if (isWished) sayUnsent(world, recorded);
  else saySkipped(world, recorded);
  const { bundle, totals, receipt } = recorded;
  sayReceipt(world, style, { bundle, commit, totals, receipt, webUrl: repository.webUrl });
}

/** Nobody looked whether the files are here: they were not to be sent. */
function sayUnsent(world: HookWorld, { missing, bundle }: RecordedRef): void {
  if (missing.length === 0) return;
  const files = formatCount(missing.length, 'file');
  warn(
    world,
    `GIT_LFS_SKIP_PUSH is set; ${files} not sent — bundle ${shortId(bundle)} is incomplete`,
  );
  say(world, 'Send what is on this machine with: datamon record');
}

function saySkipped(world: HookWorld, recorded: RecordedRef): void {
  const { missing, uploadedCount, bundle } = recorded;
  if (missing.length === 0) {
    if (uploadedCount === 0) return;
    warn(world, `hook was skipped; ${formatCount(uploadedCount, 'file')} uploaded now`);
    return;
  }
  const [first] = missing;
  const others = missing.length === 1 ? '' : ` and ${missing.length - 1} more`;
  const verb = missing.length === 1 ? 'is' : 'are';
  const path = first === undefined ? '' : displayPath(first.path);
  warn(
    world,
    `hook was skipped; ${uploadedCount} of ${uploadedCount + missing.length} files uploaded now, ${path}${others} ${verb} not on this machine — bundle ${shortId(bundle)} is incomplete`,
  );
}

const LOG_TAIL_SIZE_BYTES = 8192;

/** The ref's log tells a push from a fetch, and a move from a push that changed nothing. */
async function wasPush(repo: GitRepository, tracking: string, gitNew: GitSha): Promise<boolean> {
  const line = await lastLine(join(repo.commonDir, 'logs', tracking));
  const [old, to] = line.split(' ');
  return line.endsWith('update by push') && to === gitNew && old !== gitNew;
}

async function lastLine(path: string): Promise<string> {
  const file = await open(path, 'r').catch(() => null);
  if (file === null) return '';
  try {
    const { size } = await file.stat();
    const start = Math.max(0, size - LOG_TAIL_SIZE_BYTES);
    const buffer = Buffer.alloc(size - start);
    await file.read(buffer, 0, buffer.length, start);
    return buffer.toString('utf8').trimEnd().split('\n').at(-1) ?? '';
  } finally {
    await file.close();
  }
}
