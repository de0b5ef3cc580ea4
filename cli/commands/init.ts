/** `datamon init`: keeps a clone's data in a store or on a server. Everything is tried before anything is written. */
import { basename } from 'node:path';
import {
  formatRepoUrl,
  lfsUrl,
  parseEndpoint,
  parseRepoUrl,
  type RepoUrl,
} from '../../client/repo-url.ts';
import { DatamonError, hasCode } from '../../core/errors.ts';
import { parseRepoName } from '../../core/keys.ts';
import { getConfig, setConfig } from '../../git/config.ts';
import { installHooks } from '../../git/hook-shims.ts';
import { noteClone } from '../../git/known-clones.ts';
import { remoteId } from '../../git/remote-id.ts';
import type { GitRepository } from '../../git/repository.ts';
import { type Options, usageError } from '../args.ts';
import {
  copyUrl,
  isShared,
  lfsConfigFile,
  verifyLocks,
  writeLfsConfig,
} from '../clone-settings.ts';
import { type Command, type Outcome, rowsOf } from '../command.ts';
import { type Context, cloneOf } from '../context.ts';
import { AGENT_PATH_KEY, HOOKS_KEY, hookLauncher } from '../install-plan.ts';
import { cloneRepoUrl, defaultRemote, joinRepo, withScheme } from '../repo-address.ts';
import { whoAmI } from '../who-am-i.ts';

export interface InitRow {
  readonly repo: string;
  readonly url: string;
  /** What git-lfs reads. */
  readonly lfsUrl: string;
  /** Where it was written; null where it stood there already. */
  readonly written: 'lfsconfig' | 'clone' | null;
  readonly hooks: 'ours' | 'refused' | 'absent' | 'stock' | 'off';
  readonly next: readonly string[];
}

export const init: Command<InitRow> = {
  usage: ['init [URL] [--repo OWNER/NAME] [--shared] [--lenient] [--remote NAME] [--no-hooks]'],
  about:
    'keeps this clone’s data in URL: a server, a store, or a directory. It tries to create, read and list there first, then writes lfs.url into .lfsconfig for the team and puts datamon’s hooks into this clone. The repo is called like the git remote unless --repo says otherwise.',
  examples: [
    ['init https://data.example.org', 'a server; the repo is named after origin'],
    ['init https://data.example.org/acme/weather', 'the repo in full'],
    ['init gs://bucket/prefix', 'a bucket, also s3://, by your own right to it'],
    ['init /srv/datamon --shared', 'a directory all teammates see at this path'],
    ['init ~/datamon --repo acme/weather', 'a directory of your own: only this clone knows it'],
  ],
  options: {
    shared: {
      type: 'boolean',
      summary: 'write a directory’s path into .lfsconfig: all see it at that path',
    },
    lenient: { type: 'boolean', summary: 'clones that cannot download get pointers, not an error' },
    remote: { type: 'string', value: 'NAME', summary: 'for this git remote alone' },
    'no-hooks': { type: 'boolean', summary: 'leave this clone’s hooks alone' },
  },
  operands: { names: ['URL'], min: 0, max: 1 },
  run: runInit,
  view: {
    lines: (row, style) => [
      `${style.green('✓')} ${row.repo} keeps its data in ${row.url}`,
      ...(row.next.length === 0 ? [] : ['', 'Next:', ...row.next.map((line) => `  ${line}`)]),
    ],
    id: (row) => row.url,
  },
};

async function runInit(context: Context, options: Options): Promise<Outcome<InitRow>> {
  const clone = await cloneOf(context, 'datamon init connects a clone with its data');
  const remote = options.text('remote') ?? null;
  if (remote !== null && (await getConfig(clone.git, `remote.${remote}.url`)) === null) {
    throw usageError(`this clone has no remote ${JSON.stringify(remote)}`, 'init');
  }
  const url = await targetUrl(context, clone, options.operands[0]);
  await probe(context, clone, url);
  const written = await writeUrl(context, clone, { url, options, remote });
  if (url.kind === 'server') await verifyLocks(clone, lfsUrl(url));
  await noteClone(context.io.env, clone);
  const hooks = await putHooks(context, clone, options);
  return rowsOf([
    {
      repo: url.repo,
      url: formatRepoUrl(url),
      lfsUrl: lfsUrl(url),
      written,
      hooks,
      next: await nextSteps(clone, written),
    },
  ]);
}

/** The repo meant: in full, or a store or server plus `--repo`, else plus the name of the git remote. */
async function targetUrl(
  context: Context,
  clone: GitRepository,
  operand: string | undefined,
): Promise<RepoUrl> {
  const given = operand ?? context.io.env['DATAMON_URL'];
  if (given === undefined || given === '') {
    const present = await cloneRepoUrl(clone);
    if (present !== null) return present;
    throw usageError('init needs URL: https://…, gs:// or s3://…, or a directory', 'init');
  }
  const text = withScheme(
    given.includes('/') || given.includes(':') ? given : `./${given}`,
    context.io.cwd,
  );
  const endpoint = parseEndpoint(text);
  if (context.repoFlag !== undefined) return joinRepo(endpoint, context.repoFlag);
  if (namesRepo(text)) return parseRepoUrl(text);
  return joinRepo(endpoint, await nameOfClone(clone));
}

function namesRepo(text: string): boolean {
  const http = /^https?:\/\/[^/]+(\/.*)?$/i.exec(text);
  if (http !== null) return (http[1] ?? '').replace(/\/+/g, '') !== '';
  return /[^/:]\/\/[^/]/.test(text.replace(/^(?:datamon::)?[a-z0-9]+:\/{0,3}/i, ''));
}

/** `acme/weather` of `git@github.com:acme/weather.git`; a local remote's or the folder's own name else. */
async function nameOfClone(clone: GitRepository): Promise<string> {
  const id = await canonicalRemote(clone);
  const parts = (id ?? '')
    .replace(/^file:\/\//, '')
    .split('/')
    .filter((part) => part !== '');
  const isLocal = id === null || id.startsWith('file://');
  const name = isLocal
    ? (parts.at(-1) ?? basename(clone.topLevel ?? clone.gitDir))
    : parts.slice(1).slice(-2).join('/');
  try {
    return parseRepoName(name);
  } catch (cause) {
    throw new DatamonError(
      'INVALID',
      `${JSON.stringify(name)}, after the git remote, is no name for a repo`,
      {
        cause,
        hint: 'Say what it shall be called: --repo owner/name',
      },
    );
  }
}

async function canonicalRemote(clone: GitRepository): Promise<string | null> {
  const url = await getConfig(clone.git, `remote.${await defaultRemote(clone)}.url`);
  return url === null ? null : remoteId(url, clone.topLevel ?? clone.gitDir);
}

/** Creates what is missing, reads it back and lists it; what fails is said before anything was written here. */
async function probe(context: Context, clone: GitRepository, url: RepoUrl): Promise<void> {
  const address = { url, text: formatRepoUrl(url), source: 'operand' } as const;
  const create = { by: await whoAmI(context), remote: await canonicalRemote(clone) };
  const repository = await context.openOther(address, {}).catch(async (error) => {
    if (!hasCode(error, 'NOT_FOUND')) throw error;
    return context.openOther(address, { create });
  });
  await repository.history.info();
  for await (const { event } of repository.history.branches()) {
    context.talk(
      `datamon: ${url.repo} exists already; its branch ${event.branch} is at ${event.gitNew?.slice(0, 7) ?? 'nothing'}`,
    );
    break;
  }
}

async function writeUrl(
  context: Context,
  clone: GitRepository,
  how: { readonly url: RepoUrl; readonly options: Options; readonly remote: string | null },
): Promise<InitRow['written']> {
  const { url, options, remote } = how;
  const value = lfsUrl(url);
  const isOwnFolder = url.kind === 'store' && url.storeUrl.startsWith('file:');
  // What the team has agreed on stays so, whoever runs init again.
  const shared =
    !isOwnFolder || options.flag('shared') || (await isShared(clone, { url: value, remote }));
  if (!shared) {
    context.talk(
      'datamon: a directory is known to this machine only, so its path goes into this clone, not into .lfsconfig; if all see it at that path: --shared',
    );
    const key = remote === null ? 'lfs.url' : `remote.${remote}.lfsurl`;
    if ((await getConfig(clone.git, key, 'local')) === value) return null;
    await setConfig(clone.git, 'local', key, value);
    return 'clone';
  }
  const changed = await writeLfsConfig(clone, {
    url: value,
    remote,
    lenient: options.flag('lenient'),
  });
  if (remote === null) await copyUrl(clone, value);
  return changed ? 'lfsconfig' : null;
}

async function putHooks(
  context: Context,
  clone: GitRepository,
  options: Options,
): Promise<InitRow['hooks']> {
  // Remembered in the clone, or the agent would put them in on first contact.
  if (options.flag('no-hooks')) await setConfig(clone.git, 'local', HOOKS_KEY, 'off');
  if ((await getConfig(clone.git, HOOKS_KEY)) === 'off') {
    context.talk('datamon: no hooks; after a push run: datamon record');
    return 'off';
  }
  const launcher = await hookLauncher(context.io, context.runtime);
  const report = await installHooks(clone, { launcher });
  if (report.snippet !== null) {
    const { manager, file, text } = report.snippet;
    context.talk(
      `datamon: ${manager} has the hooks of this clone, so nothing was changed. Put this into ${file}:`,
    );
    context.talk(text.replace(/^/gm, '    ').trimEnd());
  }
  return report.state;
}

async function nextSteps(clone: GitRepository, written: InitRow['written']): Promise<string[]> {
  const steps: string[] = [];
  if ((await getConfig(clone.git, AGENT_PATH_KEY)) === null) {
    steps.push('datamon install                                 # once on this machine');
  }
  if (written === 'lfsconfig') {
    steps.push(`git add ${basename(lfsConfigFile(clone))} && git commit -m "Data in datamon"`);
  }
  return [
    ...steps,
    "git lfs track '*.parquet'                       # or whatever is large",
    'git push',
  ];
}
