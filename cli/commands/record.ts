/** `datamon record`: makes bundles for what is on the git remote and has none: pushes without the hook, merges by button. */
import { formatBytes, formatCount, shortId } from '../../client/format.ts';
import { DatamonError, hasCode } from '../../core/errors.ts';
import { EXIT } from '../../core/io.ts';
import type { GitSha } from '../../core/keys.ts';
import { displayPath } from '../../core/meta/raw-path.ts';
import type { Repository } from '../../core/meta/repository.ts';
import { hasObject, listRemoteRefs, peelToCommit } from '../../git/commit.ts';
import { getConfig } from '../../git/config.ts';
import { recordRef } from '../../git/record-commit.ts';
import { remoteId } from '../../git/remote-id.ts';
import type { GitRepository } from '../../git/repository.ts';
import type { Options } from '../args.ts';
import type { Command, Outcome } from '../command.ts';
import { type Context, cloneOf } from '../context.ts';
import { defaultRemote } from '../repo-address.ts';
import { whoAmI } from '../who-am-i.ts';

export interface RecordRow {
  readonly ref: string;
  readonly commit: string;
  readonly bundle: string | null;
  readonly outcome: 'recorded' | 'already' | 'gap' | 'failed';
  readonly files: number;
  readonly bytes: number;
  readonly uploaded: number;
  /** Paths whose bytes are neither in the store nor here. */
  readonly missing: readonly string[];
  readonly reason: string | null;
}

const REMOTE_TIMEOUT_MS = 60_000;
const MISSING_SHOWN_COUNT = 5;
const HEADS = 'refs/heads/';
const TAGS = 'refs/tags/';

export const record: Command<RecordRow> = {
  usage: ['record [REF…] [--all] [--remote NAME]'],
  about:
    'makes the bundles that no hook made: after git push --no-verify, git lfs push, a merge in the browser, or in CI. It asks the git remote where its branches and tags are, so nothing unpushed is recorded. Files that are here and not in the store are sent. Running it again changes nothing.',
  examples: [
    ['record', 'the current branch, as it is on the remote'],
    ['record main v1.0', 'a branch and a tag'],
    ['record --all', 'every branch and tag of the remote; in CI after fetching all'],
  ],
  options: {
    all: { type: 'boolean', summary: 'every branch and tag of the remote' },
    remote: {
      type: 'string',
      value: 'NAME',
      summary: 'the git remote; default: the branch’s own, else origin',
    },
  },
  operands: { names: ['REF'], min: 0, max: 10_000 },
  settlesPushes: true,
  run: runRecord,
  view: {
    lines: (row, style) => {
      if (row.bundle === null) return [`${style.red('✗')} ${row.ref}: ${row.reason ?? ''}`];
      const lines = [
        `${style.green('✓')} ${row.ref} at ${shortId(row.commit)}: bundle ${shortId(row.bundle)}, ${row.outcome === 'already' ? 'there already' : `${formatCount(row.files, 'file')}, ${formatBytes(row.bytes)}`}`,
      ];
      if (row.missing.length === 0) return lines;
      const shown = row.missing.slice(0, MISSING_SHOWN_COUNT).join(', ');
      return [
        ...lines,
        `  incomplete: ${formatCount(row.missing.length, 'file')} neither here nor in the store: ${shown}`,
      ];
    },
    id: (row) => row.bundle,
  },
};

interface Target {
  readonly ref: string;
  readonly commit: GitSha;
}

async function runRecord(context: Context, options: Options): Promise<Outcome<RecordRow>> {
  const clone = await cloneOf(context, 'datamon record reads commits from a clone');
  const remote = options.text('remote') ?? (await defaultRemote(clone));
  const url = await getConfig(clone.git, `remote.${remote}.url`);
  if (url === null) {
    throw new DatamonError('NOT_FOUND', `this clone has no git remote ${JSON.stringify(remote)}`, {
      hint: 'See those it has: git remote -v',
    });
  }
  const id = await remoteId(url, clone.topLevel ?? clone.gitDir);
  const there = await refsOf(clone, remote);
  const targets = options.flag('all')
    ? allTargets(there)
    : await namedTargets(clone, there, options.operands);
  const repository = await openForWriting(context, id);
  let bad = 0;
  const rows = async function* (): AsyncGenerator<RecordRow> {
    const pushedBy = await whoAmI(context);
    for (const target of targets) {
      const row = await one({ context, clone, repository, remote: id, pushedBy }, target);
      if (row.bundle === null || row.missing.length > 0) bad += 1;
      yield row;
    }
  };
  return { rows: rows(), status: () => (bad > 0 ? EXIT.partial : EXIT.ok) };
}

async function refsOf(clone: GitRepository, remote: string) {
  try {
    return await listRemoteRefs(clone.git, remote, { timeoutMs: REMOTE_TIMEOUT_MS });
  } catch (cause) {
    if (!hasCode(cause, 'UNAVAILABLE')) throw cause;
    throw new DatamonError('UNAVAILABLE', `${cause.message}: the git remote does not answer`, {
      cause,
      hint: `See why: git ls-remote ${remote}`,
    });
  }
}

/** CI may be the first to come: the repo is made, with this git remote as its canonical one. */
async function openForWriting(context: Context, remote: string): Promise<Repository> {
  const by = await whoAmI(context);
  return context.openOther(await context.address(), { create: { by, remote } });
}

/** Branches and tags, tags peeled; `refs/pull/…` and the like are not anybody's push. */
function allTargets(there: ReadonlyMap<string, GitSha>): Target[] {
  return [...there.keys()]
    .filter((ref) => (ref.startsWith(HEADS) || ref.startsWith(TAGS)) && !ref.endsWith('^{}'))
    .map((ref) => targetOf(there, ref))
    .filter((target) => target !== null);
}

function targetOf(there: ReadonlyMap<string, GitSha>, ref: string): Target | null {
  const commit = there.get(`${ref}^{}`) ?? there.get(ref);
  return commit === undefined ? null : { ref, commit };
}

/** Names as people type them; without any the branch that is checked out, else whatever of the remote is at HEAD (as in CI). */
async function namedTargets(
  clone: GitRepository,
  there: ReadonlyMap<string, GitSha>,
  names: readonly string[],
): Promise<readonly Target[]> {
  if (names.length > 0) return names.map((name) => named(there, name));
  const branch = (await clone.git.run(['symbolic-ref', '--quiet', 'HEAD'])).stdout
    .toString('utf8')
    .trim();
  if (branch !== '') return [named(there, branch)];
  const head = await peelToCommit(clone.git, 'HEAD');
  const here = allTargets(there).filter(({ commit }) => commit === head);
  if (here.length > 0) return here;
  throw new DatamonError('NOT_FOUND', 'HEAD is detached, and nothing on the remote is at it', {
    hint: 'Name a branch or tag: datamon record REF',
  });
}

function named(there: ReadonlyMap<string, GitSha>, name: string): Target {
  const refs = name.startsWith('refs/') ? [name] : [`${HEADS}${name}`, `${TAGS}${name}`];
  for (const ref of refs) {
    const target = targetOf(there, ref);
    if (target !== null) return target;
  }
  const atCommit = allTargets(there).find(
    ({ commit }) => name.length >= 7 && commit.startsWith(name),
  );
  if (atCommit !== undefined) return atCommit;
  throw new DatamonError(
    'NOT_FOUND',
    `the git remote has no branch or tag ${JSON.stringify(name)}`,
    {
      hint: 'Only what was pushed is recorded: git push first',
    },
  );
}

interface Job {
  readonly context: Context;
  readonly clone: GitRepository;
  readonly repository: Repository;
  readonly remote: string;
  readonly pushedBy: string;
}

/** One ref's failure fails no other, unless no other could fare better. */
async function one(job: Job, { ref, commit }: Target): Promise<RecordRow> {
  const { clone, repository, remote, pushedBy } = job;
  const { signal } = job.context.io;
  const row = { ref, commit, files: 0, bytes: 0, uploaded: 0, missing: [] };
  if (!(await hasObject(clone.git, commit))) {
    const reason = `commit ${shortId(commit)} is not in this clone; run: git fetch`;
    return { ...row, bundle: null, outcome: 'failed', reason };
  }
  try {
    const done = await recordRef({
      repository,
      repo: clone,
      remote,
      ref,
      commit,
      pushedBy,
      upload: 'missing',
      signal,
    });
    return {
      ref,
      commit,
      bundle: done.bundle,
      outcome: done.outcome,
      files: done.totals.fileCount,
      bytes: done.totals.sizeBytes,
      uploaded: done.uploadedCount,
      missing: done.missing.map(({ path }) => displayPath(path)),
      reason: null,
    };
  } catch (error) {
    const isOwn = error instanceof DatamonError && ['INVALID', 'INCOMPLETE'].includes(error.code);
    if (!isOwn) throw error;
    return { ...row, bundle: null, outcome: 'failed', reason: error.message };
  }
}
