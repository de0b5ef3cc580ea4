/** `datamon put`: uploads a folder without git, as a bundle with a commit of its own. */
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatResumed,
  formatReused,
  shortId,
} from '../../client/format.ts';
import {
  addReceipts,
  type BlobSource,
  EMPTY_RECEIPT,
  type Receipt,
} from '../../core/cas/blob-store.ts';
import type { Digest } from '../../core/digest.ts';
import { DatamonError } from '../../core/errors.ts';
import type { GitSha, PushId } from '../../core/keys.ts';
import { createSyntheticCommit } from '../../core/meta/commit-object.ts';
import type { BranchEvent, RefMove } from '../../core/meta/model.ts';
import { storeTree } from '../../core/meta/record.ts';
import { checkLabel, checkName } from '../../core/meta/ref-names.ts';
import type { Repository } from '../../core/meta/repository.ts';
import { type BuiltTree, buildTree } from '../../core/meta/tree-builder.ts';
import { randomHex, secureRandom } from '../../core/random.ts';
import { type Options, usageError } from '../args.ts';
import { type Command, type Outcome, rowsOf } from '../command.ts';
import type { Context } from '../context.ts';
import { createProgress } from '../progress.ts';
import { type FolderFile, readFolder } from '../read-folder.ts';
import { addressOf } from '../repo-address.ts';
import { identity, whoAmI } from '../who-am-i.ts';

export interface PutRow {
  readonly bundle: string;
  readonly commit: string;
  readonly branch: string;
  readonly files: number;
  readonly bytes: number;
  readonly newBytes: number;
  readonly storedBytes: number;
  readonly label: string | null;
  readonly url: string | null;
  /** False where the branch was at these very files already. */
  readonly recorded: boolean;
}

const PUSH_ID_SIZE_BYTES = 16;
/** Canonical remote of a repo that git never pushed into. */
const OWN_REMOTE = 'datamon:put';
const DEFAULT_BRANCH = 'main';
/** What `put` recorded it with; git's recorder has its own number. */
const RULES = { recorder: 1, config: null } as const;

export const put: Command<PutRow> = {
  usage: ['put DIR REPO[:BRANCH] [-m MESSAGE] [--label NAME]'],
  about:
    'uploads the files of DIR into a repo without git, as one bundle on a branch (default: main). What the repo has already is not sent again. The repo is made where it is not there yet.',
  examples: [
    ['put results https://data.example.org/acme/runs -m "Run 17"', 'onto the branch main'],
    ['put results file:///srv/store//acme/runs:nightly', 'straight on a store, another branch'],
    ['put results acme/runs --label best', 'beside this clone’s repo, with a label'],
  ],
  options: {
    message: {
      type: 'string',
      short: 'm',
      value: 'MESSAGE',
      summary: 'what it is; default: the folder’s name',
    },
    label: { type: 'string', value: 'NAME', summary: 'put a label on the bundle' },
  },
  operands: { names: ['DIR', 'REPO[:BRANCH]'], min: 2, max: 2 },
  run: runPut,
  view: { lines: (row) => [row.url ?? row.bundle], id: (row) => row.bundle },
};

async function runPut(context: Context, options: Options): Promise<Outcome<PutRow>> {
  const [dir = '', target = ''] = options.operands;
  const { repo, branch } = splitBranch(target);
  const label = options.text('label') ?? null;
  if (label !== null) checkLabel(label);
  checkName(branch, 'a branch');
  const startedAtMs = Date.now();
  const address = await addressOf(context, repo);
  const files = await readFolder(dir, context.io);
  const tree = await buildTree(files.map(({ entry }) => entry));
  const { fileCount, sizeBytes } = tree.totals;
  context.talk(`datamon: ${formatCount(fileCount, 'file')}, ${formatBytes(sizeBytes)}`);
  const by = await whoAmI(context);
  const repository = await context.openOther(address, { create: { by, remote: null } });
  const receipt = await upload(context, repository, files);
  await storeTree(repository.pages, tree);
  const push = { branch, tree, by, message: options.text('message') ?? `Files of ${dir}` };
  const made = await record(context, repository, { ...push, receipt, startedAtMs });
  if (label !== null) await repository.history.setLabel(label, made.bundle, by);
  context.talk(
    `datamon: bundle ${shortId(made.bundle)} · ${formatBytes(sizeBytes)}, ${formatBytes(receipt.newBytes)} new · ${formatReused(sizeBytes, receipt.newBytes)} · ${formatDuration(Date.now() - startedAtMs)}${formatResumed(receipt.resumedBytes)}`,
  );
  if (!made.recorded) context.talk(`datamon: ${branch} was at these very files already`);
  const url = repository.webUrl === null ? null : `${repository.webUrl}/bundle/${made.bundle}`;
  const { newBytes, storedBytes } = receipt;
  return rowsOf([
    { ...made, branch, files: fileCount, bytes: sizeBytes, newBytes, storedBytes, label, url },
  ]);
}

/** `REPO[:BRANCH]`: no repo name holds a colon, so the first one behind scheme and host separates. */
export function splitBranch(text: string): { readonly repo: string; readonly branch: string } {
  const [prefix = ''] =
    /^(?:datamon::)?(?:https?:\/\/[^/]*|[a-z][a-z0-9+]*:\/\/|memory:)?/i.exec(text) ?? [];
  const colon = text.indexOf(':', prefix.length);
  if (colon < 0) return { repo: text, branch: DEFAULT_BRANCH };
  const branch = text.slice(colon + 1);
  if (branch === '') {
    throw usageError(`${JSON.stringify(text)} names no branch behind the colon`, 'put');
  }
  return { repo: text.slice(0, colon), branch };
}

/** Every file's bytes; the first failure is thrown once what had begun has ended. */
async function upload(
  context: Context,
  repository: Repository,
  files: readonly FolderFile[],
): Promise<Receipt> {
  const sources = new Map<Digest, BlobSource>();
  for (const { source } of files) {
    if (source !== null && source.sizeBytes > 0) sources.set(source.oid, source);
  }
  const progress = createProgress(context, [...sources.values()]);
  let receipt = EMPTY_RECEIPT;
  let failed: DatamonError | null = null;
  const outcomes = repository.blobs.putMany(sources.values(), {
    signal: context.io.signal,
    onProgress: progress.report,
  });
  for await (const outcome of outcomes) {
    if ('error' in outcome) failed ??= named(outcome.error, sources.get(outcome.oid));
    else receipt = addReceipts(receipt, outcome.receipt);
  }
  progress.end();
  if (failed !== null) throw failed;
  return receipt;
}

function named(error: DatamonError, source: BlobSource | undefined): DatamonError {
  const { label } = source ?? {};
  if (label === undefined || error.message.includes(label)) return error;
  return new DatamonError(error.code, `${label}: ${error.message}`, {
    cause: error,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  });
}

interface Push {
  readonly branch: string;
  readonly tree: BuiltTree;
  readonly message: string;
  readonly by: string;
  readonly receipt: Receipt;
  readonly startedAtMs: number;
}

interface Made {
  readonly bundle: Digest;
  readonly commit: GitSha;
  readonly recorded: boolean;
}

/** A commit on top of the branch's head, its bundle, and the move of the branch; nothing where the files are the same. */
async function record(context: Context, repository: Repository, push: Push): Promise<Made> {
  const { history } = repository;
  const head = await headOf(repository, push.branch);
  if (head?.bundle && head.gitNew !== null) {
    const { tree } = await history.getBundle(head.bundle);
    if (tree === push.tree.root) {
      return { bundle: head.bundle, commit: head.gitNew, recorded: false };
    }
  }
  const made = createSyntheticCommit({
    message: push.message,
    author: await identity(context),
    at: new Date(),
    parents: head?.gitNew ? [head.gitNew] : [],
    treeLabel: push.tree.root,
  });
  const bundle = await history.putBundle({
    tree: push.tree.root,
    totals: push.tree.totals,
    commit: made.commit,
    commitObject: made.commitObject.toString('base64'),
    rules: RULES,
    pointerExtensions: [],
  });
  const outcome = await history.recordMove(
    await moveOf(repository, { push, head, bundle, commit: made.commit }),
  );
  if (outcome === 'gap') context.talk(`datamon: ${push.branch} moved meanwhile; the log says so`);
  return { bundle, commit: made.commit, recorded: true };
}

async function moveOf(
  { history }: Repository,
  made: {
    readonly push: Push;
    readonly head: BranchEvent | null;
    readonly bundle: Digest;
    readonly commit: GitSha;
  },
): Promise<RefMove> {
  const { push, head, bundle, commit } = made;
  const { newBytes, resumedBytes, storedBytes, packCount, requestCount } = push.receipt;
  const { remote } = await history.info();
  return {
    pushId: randomHex(secureRandom, PUSH_ID_SIZE_BYTES) as PushId,
    // In a repo that has a git remote the branch is that remote's; one made by `put` is its own.
    remote: remote ?? OWN_REMOTE,
    ref: `refs/heads/${push.branch}`,
    gitOld: head?.gitNew ?? null,
    gitNew: commit,
    bundle,
    totals: push.tree.totals,
    extraOids: null,
    missing: [],
    forced: false,
    pushedBy: push.by,
    receipt: {
      newBytes,
      resumedBytes,
      storedBytes,
      packCount,
      requestCount,
      durationMs: Date.now() - push.startedAtMs,
      reusedFrom: newBytes < push.tree.totals.sizeBytes ? (head?.bundle ?? null) : null,
      measured: true,
    },
  };
}

async function headOf({ history }: Repository, branch: string): Promise<BranchEvent | null> {
  for await (const { event } of history.branchLog(branch)) return event;
  return null;
}
