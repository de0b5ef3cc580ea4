/**
 * The pre-push hook: all data durable and announced before git sends a commit, or the push fails. A remote that is not
 * datamon's gets git-lfs's own hook and nothing else.
 */
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatamonError, hasCode } from '../core/errors.ts';
import { isFast } from '../core/fast-paths.ts';
import { EXIT, type ExitStatus } from '../core/io.ts';
import type { Creation } from '../core/open-repository.ts';
import { getConfig, isTrue } from '../git/config.ts';
import { committer } from '../git/identity.ts';
import { ownFolder } from '../git/own-folder.ts';
import { ancestorsOf, gitPushAmong, isDryRun } from '../git/process-tree.ts';
import { newPushId } from '../git/record-commit.ts';
import { remoteId } from '../git/remote-id.ts';
import { type GitRepository, openGitRepo } from '../git/repository.ts';
import { announced, deletion, sumOf } from './announced.ts';
import { runGitLfs } from './git-lfs.ts';
import {
  type LocalPending,
  listPending,
  type PendingRef,
  pendingFile,
  writePending,
} from './local-pending.ts';
import {
  concernsData,
  type PushLine,
  type PushPlan,
  parsePushLines,
  planPush,
} from './push-plan.ts';
import { reconcile } from './reconcile.ts';
import { storePush } from './store-push.ts';
import { beginOpening, nothingPushed, type Opening, pushEndpoint, type Target } from './target.ts';
import { type HookWorld, readInput, say, sayError } from './world.ts';

/** Hosts hang up on an idle connection about then. */
const LONG_PUSH_MS = 5 * 60_000;
/** Objects that git-lfs asks for at once. */
const LFS_BATCH_COUNT = 100;

interface Push {
  readonly world: HookWorld;
  readonly repo: GitRepository;
  readonly args: readonly string[];
  readonly input: Buffer;
  readonly remoteName: string;
  readonly remoteUrl: string;
  readonly gitPid: number | null;
}

export async function prePush(world: HookWorld, args: readonly string[]): Promise<ExitStatus> {
  const startedAtMs = world.nowMs();
  const { io } = world;
  const repo = await openGitRepo(io.cwd, io.env, { configuration: 'once' });
  const { remoteName, remoteUrl, input } = await pushedRefs(world, args);
  const above = gitPushAmong(await ancestorsOf(world.pid));
  const push: Push = {
    world,
    repo,
    args: [remoteName, remoteUrl],
    input,
    remoteName,
    remoteUrl,
    gitPid: above?.pid ?? null,
  };
  try {
    const status = await run(push, above !== null && isDryRun(above.argv));
    if (status === 0 && world.nowMs() - startedAtMs > LONG_PUSH_MS) {
      say(
        world,
        'data is safe; if git now reports a closed connection, push again (takes seconds)',
      );
    }
    // git-lfs's own status is passed on, whatever it is.
    return status as ExitStatus;
  } catch (error) {
    if (hasCode(error, 'CANCELLED') || io.signal.aborted) {
      say(world, 'stopped; what is stored stays, push again to continue');
      return EXIT.interrupted;
    }
    sayError(world, nothingPushed(error));
    return EXIT.failure;
  }
}

async function run(push: Push, isDry: boolean): Promise<number> {
  const { world, repo } = push;
  const handOn = () => runGitLfs(push);
  if ((await getConfig(repo.git, 'datamon.hooks')) === 'off') return handOn();
  const { url: lfsUrl, kind } = await pushEndpoint(repo, push.remoteName);
  if (kind === 'other') return handOn();
  if (isTrue(world.io.env['GIT_LFS_SKIP_PUSH'] ?? null)) return EXIT.ok;
  return await planAndPush(push, { isDry, lfsUrl, isServer: kind === 'http' });
}

interface Destination {
  readonly isDry: boolean;
  readonly lfsUrl: string;
  readonly isServer: boolean;
}

async function planAndPush(push: Push, destination: Destination): Promise<number> {
  const { repo } = push;
  const lines = parsePushLines(push.input.toString('utf8'));
  const planning = planPush(repo, lines, push.remoteName);
  // Awaited below.
  planning.catch(() => {});
  const opening = openingOf(push, destination, { lines, planning });
  try {
    const plan = await planning;
    const moved = plan.moved.filter(concernsData);
    const leftovers = await listPending(repo);
    if (moved.length === 0 && plan.deleted.length === 0 && leftovers.length === 0) {
      return destination.isServer && !destination.isDry ? await runGitLfs(push) : EXIT.ok;
    }
    const target = await orNull(moved.length > 0 && !destination.isDry, opening.take());
    if (target === null) return await runGitLfs(push);
    return await pushInto(push, target, { ...destination, plan: { ...plan, moved } });
  } finally {
    await opening.close();
  }
}

/** A server is asked while git is: both take their time. Where nothing is likely to be sent, nobody is asked before that is sure. */
function openingOf(
  push: Push,
  { isDry, lfsUrl, isServer }: Destination,
  about: { readonly lines: readonly PushLine[]; readonly planning: Promise<PushPlan> },
): Opening {
  const { world, repo } = push;
  const endpoint = { world, repo, lfsUrl, signal: world.io.signal };
  const create = isDry ? {} : { create: async () => creationFor(push, await about.planning) };
  const isLikely = isServer && !isDry && about.lines.some(({ localSha }) => localSha !== null);
  const opening = beginOpening({ ...endpoint, ...create });
  if (isLikely && isFast('beside-bundle')) void opening.take().catch(() => {});
  return opening;
}

/** Who makes the repo, which only a push that brings data does. */
async function creationFor(push: Push, plan: PushPlan): Promise<Creation> {
  if (!plan.moved.some(concernsData)) {
    throw new DatamonError('NOT_FOUND', 'a push without data makes no repo');
  }
  return { by: await pusher(push), remote: await remoteOf(push) };
}

const pusher = ({ world, repo }: Push): Promise<string> => committer(repo.git, world.io.env);

const remoteOf = ({ repo, remoteUrl }: Push): Promise<string> =>
  remoteId(remoteUrl, repo.topLevel ?? repo.gitDir);

async function pushInto(
  push: Push,
  target: Target,
  { isDry, lfsUrl, plan }: Destination & { readonly plan: PushPlan },
): Promise<number> {
  const { world, repo } = push;
  if (isDry) return EXIT.ok;
  await reconcile({ world, repo, signal: world.io.signal, style: 'off' });
  const identity = { remote: await remoteOf(push), by: await pusher(push), lfsUrl };
  return await pushTo(push, target, { ...identity, plan });
}

/** A dry run, or a deletion, of a repo that is not there yet concerns nobody. */
async function orNull(mayMake: boolean, opening: Promise<Target | null>): Promise<Target | null> {
  try {
    return await opening;
  } catch (error) {
    if (!mayMake && hasCode(error, 'NOT_FOUND')) return null;
    throw error;
  }
}

interface PushFacts {
  /** Normalised. */
  readonly remote: string;
  readonly by: string;
  readonly lfsUrl: string;
  readonly plan: PushPlan;
}

async function pushTo(push: Push, target: Target, facts: PushFacts): Promise<number> {
  const { world, repo } = push;
  const { repository, mode } = target;
  const refs = await storePush(
    {
      world,
      repo,
      repository,
      remote: facts.remote,
      remoteName: push.remoteName,
      lockOwner: mode === 'standalone' ? facts.by : target.subject(),
      signal: world.io.signal,
    },
    facts.plan.moved,
  );
  if (mode === 'negotiated' && !(await isSaidAlready(target, facts.plan, refs))) {
    const status = await handOnKnowing(push, facts.plan);
    if (status !== 0) return status;
  }
  const pending = pendingOf(push, facts, refs);
  if (pending.refs.length === 0) return EXIT.ok;
  if (pending.isAnnounced) {
    await repository.history.announce({
      pushId: pending.pushId,
      remote: facts.remote,
      refs: refs.map(announced),
      pushedBy: facts.by,
      receipt: sumOf(refs),
    });
  }
  await writePending(repo, pending);
  startWatcher(push, pending);
  return EXIT.ok;
}

/**
 * git-lfs would ask for each object once more, a hundred to a request and one request after the other: for many files that takes longer
 * than storing them did. What it does besides, looking at locks, was done.
 */
async function isSaidAlready(
  { repository, subject }: Target,
  plan: PushPlan,
  refs: readonly PendingRef[],
): Promise<boolean> {
  const count = plan.moved.reduce(
    (sum, { changed, passing }) => sum + changed.length + passing.length,
    0,
  );
  if (count <= LFS_BATCH_COUNT || !isFast('one-pass-push')) return false;
  if (refs.some(({ missing }) => missing.length > 0)) return false;
  // Without a name of our own no lock could be told from ours.
  return subject() !== null || (await repository.locks.list()).length === 0;
}

function pendingOf(push: Push, facts: PushFacts, refs: readonly PendingRef[]): LocalPending {
  return {
    version: 1,
    pushId: newPushId(),
    remoteName: push.remoteName,
    remoteUrl: push.remoteUrl,
    remote: facts.remote,
    lfsUrl: facts.lfsUrl,
    isAnnounced: refs.length > 0,
    pushedBy: facts.by,
    createdAtMs: push.world.nowMs(),
    gitPid: push.gitPid,
    refs: [...refs, ...facts.plan.deleted.map(deletion)],
  };
}

/** git-lfs checks locks and asks the server on its own; an agent it starts finds in DATAMON_PUSH what belongs to this push. */
async function handOnKnowing(push: Push, plan: PushPlan): Promise<number> {
  const folder = join(ownFolder(push.repo), 'pushes');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, `${newPushId()}.json`);
  const objects = plan.moved.flatMap(({ files, passing }) => [
    ...files.entries.filter(({ kind }) => kind === 'lfs'),
    ...passing,
  ]);
  const list = objects.map(({ oid, sizeBytes }) => ({ oid, size: sizeBytes }));
  try {
    await writeFile(file, JSON.stringify({ version: 1, objects: list }), { mode: 0o600 });
    await chmod(file, 0o600);
    return await runGitLfs({ ...push, env: { DATAMON_PUSH: file } });
  } finally {
    await rm(file, { force: true });
  }
}

function startWatcher(push: Push, pending: LocalPending): void {
  const { world, repo } = push;
  if (push.gitPid === null) return;
  const { GIT_WORK_TREE: _tree, GIT_PREFIX: _prefix, ...env } = world.io.env;
  world.runAfter({
    pid: push.gitPid,
    unless: pendingFile(repo, pending.pushId),
    args: ['watch', pending.pushId],
    cwd: repo.gitDir,
    env: { ...env, GIT_DIR: repo.gitDir },
  });
}

interface PushedRefs {
  readonly remoteName: string;
  readonly remoteUrl: string;
  readonly input: Buffer;
}

/** From git: two arguments and lines on standard input. From pre-commit, which keeps both for itself: its environment. */
async function pushedRefs(world: HookWorld, args: readonly string[]): Promise<PushedRefs> {
  const { env } = world.io;
  const [remoteName, remoteUrl] = args;
  if (remoteName !== undefined) {
    return { remoteName, remoteUrl: remoteUrl ?? remoteName, input: await readInput(world.io) };
  }
  const local = env['PRE_COMMIT_LOCAL_BRANCH'] ?? 'HEAD';
  const to = env['PRE_COMMIT_TO_REF'] ?? '';
  const from = env['PRE_COMMIT_FROM_REF'] ?? '0'.repeat(to.length);
  const name = env['PRE_COMMIT_REMOTE_NAME'] ?? 'origin';
  return {
    remoteName: name,
    remoteUrl: env['PRE_COMMIT_REMOTE_URL'] ?? name,
    input: Buffer.from(`${local} ${to} ${env['PRE_COMMIT_REMOTE_BRANCH'] ?? local} ${from}\n`),
  };
}
