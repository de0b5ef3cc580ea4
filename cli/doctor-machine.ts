/** This machine: programs and their versions, git's keys, whether git-lfs could start the agent. */
import { spawn } from 'node:child_process';
import { mkdir, statfs } from 'node:fs/promises';
import { CACHE_SIZE_KEY, cachePlace } from '../client/cache-place.ts';
import { diskCacheSize } from '../client/disk-cache.ts';
import { formatBytes } from '../client/format.ts';
import { getAllConfig, getConfig, isTrue, unsetConfig } from '../git/config.ts';
import { type Git, openGit } from '../git/git.ts';
import { stateFolder } from '../git/known-clones.ts';
import { runInstall } from './commands/install.ts';
import { versionsOf } from './commands/version.ts';
import type { Context } from './context.ts';
import { type Finding, finding } from './doctor-check.ts';
import {
  AGENT_CONCURRENT_KEY,
  AGENT_PATH_KEY,
  FILTER_KEYS,
  HOOKS_KEY,
  STANDALONE_KEY,
  shellQuoted,
} from './install-plan.ts';

const machine = finding('machine');
const GIT_MIN: Version = [2, 31];
const GIT_LFS_MIN: Version = [2, 9];
const NODE_MIN: Version = [22, 18];
/** The agent answers within a second on an idle machine. */
const ANSWER_TIMEOUT_MS = 10_000;
const ANSWER_SIZE_MAX = 4096;
const FREE_SPACE_LOW_BYTES = 1024 ** 3;

type Version = readonly [number, number];

export async function machineFindings(context: Context): Promise<readonly Finding[]> {
  const versions = await versionFindings(context);
  if (versions.some(({ check, ok }) => check === 'git' && ok === false)) return versions;
  const clone = await context.clone();
  const git = clone?.git ?? (await openGit({ cwd: context.io.cwd, env: context.io.env }));
  return [
    ...versions,
    ...(await keyFindings(context, git)),
    await launcherFinding(context, git),
    ...(await oddFindings(context, git)),
    await spaceFinding(context),
    await cacheFinding(context, git),
    await stateFinding(context),
  ];
}

async function versionFindings(context: Context): Promise<Finding[]> {
  const versions = await versionsOf(context);
  const judge = (name: string, version: string | null, least: Version, fix: string): Finding => {
    if (version === null) return machine(name, false, `${name} is missing`, { fix });
    const ok = isAtLeast(version, least);
    const need = `; datamon needs ${least.join('.')} or newer`;
    return machine(name, ok, `${name} ${version}${ok ? '' : need}`, { fix });
  };
  return [
    judge('git', versions.git, GIT_MIN, 'sudo apt-get install git'),
    judge('git-lfs', versions.gitLfs, GIT_LFS_MIN, 'sudo apt-get install git-lfs'),
    judge('node', versions.node, NODE_MIN, './install.sh'),
  ];
}

function isAtLeast(version: string, [major, minor]: Version): boolean {
  const [hasMajor = 0, hasMinor = 0] = version.split('.').map(Number);
  return hasMajor > major || (hasMajor === major && hasMinor >= minor);
}

async function keyFindings(context: Context, git: Git): Promise<Finding[]> {
  const repair = async (): Promise<void> => {
    await runInstall(context, { level: 'global', dryRun: false, hooks: null, servers: [] });
  };
  const fix = 'datamon install';
  const [path, concurrent, standalone, policy] = await Promise.all(
    [AGENT_PATH_KEY, AGENT_CONCURRENT_KEY, STANDALONE_KEY, HOOKS_KEY].map((key) =>
      getConfig(git, key),
    ),
  );
  const paths = await getAllConfig(git, AGENT_PATH_KEY);
  const filters = await Promise.all(FILTER_KEYS.map((key) => getConfig(git, key)));
  return [
    machine(
      'agent-key',
      path != null && concurrent === 'false',
      path == null
        ? 'git-lfs does not know datamon’s agent'
        : concurrent === 'false'
          ? 'git-lfs knows datamon’s agent'
          : `${AGENT_CONCURRENT_KEY} is not false: git-lfs starts eight agents for one file`,
      { fix, repair },
    ),
    machine(
      'agent-key-levels',
      path == null ? null : new Set(paths).size <= 1,
      new Set(paths).size <= 1
        ? 'the agent is set in one place'
        : `the agent is set ${paths.length} times, differently`,
      { fix: `git config --show-origin --get-all ${AGENT_PATH_KEY}` },
    ),
    machine(
      'standalone-key',
      standalone === 'datamon',
      standalone === 'datamon'
        ? 'stores without a server go to datamon'
        : 'git-lfs cannot reach stores without a server',
      { fix, repair },
    ),
    machine(
      'hooks-consent',
      policy !== null,
      policy === null
        ? 'datamon was not told whether it may put hooks into clones'
        : `hooks for clones: ${policy}`,
      { fix, repair },
    ),
    machine(
      'lfs-filters',
      filters.every((value) => value !== null),
      filters.every((value) => value !== null)
        ? 'git-lfs’s filters are set'
        : 'git-lfs’s filters are missing',
      { fix: 'git lfs install --skip-repo', repair },
    ),
  ];
}

/** Starts the agent as git-lfs does, with an empty PATH too: GUI clients give none. */
async function launcherFinding(context: Context, git: Git): Promise<Finding> {
  const path = await getConfig(git, AGENT_PATH_KEY);
  if (path === null) return machine('agent-launcher', null, 'the agent was not started');
  const { env } = context.io;
  for (const [name, PATH] of [
    ['', env['PATH']],
    [' with an empty PATH', ''],
  ] as const) {
    const answer = await initAnswer(shellQuoted(path), { ...env, PATH });
    if (answer === '{}') continue;
    return machine(
      'agent-launcher',
      false,
      `the agent does not start${name}: ${answer.slice(0, 200).replace(/\s+/g, ' ') || 'no answer'}`,
      { fix: 'datamon install' },
    );
  }
  return machine('agent-launcher', true, 'the agent starts and answers, with an empty PATH too');
}

/** The first line the agent says to `init`, or what went wrong. */
export function initAnswer(
  command: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<string> {
  return new Promise((resolve) => {
    const child = spawn('/bin/sh', ['-c', command], {
      env,
      timeout: ANSWER_TIMEOUT_MS,
      killSignal: 'SIGKILL',
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    let said = '';
    let failed = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      said = (said + part).slice(0, ANSWER_SIZE_MAX);
      if (said.includes('\n')) child.stdin.end('{"event":"terminate"}\n');
    });
    child.stderr.setEncoding('utf8').on('data', (part: string) => {
      failed = (failed + part).slice(0, ANSWER_SIZE_MAX);
    });
    child.stdin.on('error', () => {});
    child.once('error', (error) => resolve(error.message));
    child.once('close', () => {
      const [line = ''] = said.split('\n');
      resolve(line.trim() === '' ? failed.trim() : line.trim());
    });
    const init = {
      event: 'init',
      operation: 'download',
      remote: 'origin',
      concurrent: false,
      concurrenttransfers: 1,
    };
    child.stdin.write(`${JSON.stringify(init)}\n`);
  });
}

async function oddFindings(context: Context, git: Git): Promise<Finding[]> {
  const basicOnly = await getConfig(git, 'lfs.basictransfersonly');
  if (!isTrue(basicOnly)) return [];
  return [
    machine('basic-only', false, 'lfs.basictransfersonly is set: git-lfs never uses datamon', {
      fix: 'git config --global --unset-all lfs.basictransfersonly',
      repair: async () => {
        await unsetConfig(git, 'global', 'lfs.basictransfersonly');
        context.debug('unset lfs.basictransfersonly');
      },
    }),
  ];
}

async function spaceFinding(context: Context): Promise<Finding> {
  try {
    const { bavail, bsize } = await statfs(context.io.cwd);
    const freeBytes = bavail * bsize;
    const ok = freeBytes >= FREE_SPACE_LOW_BYTES;
    return machine('free-space', ok, `${formatBytes(freeBytes)} free here`, {
      fix: 'git lfs prune',
    });
  } catch {
    return machine('free-space', null, 'free space is not known here');
  }
}

/** A cache is never ill; this is for who looks for room. */
async function cacheFinding({ io }: Context, git: Git): Promise<Finding> {
  const place = await cachePlace(io.env, () => getConfig(git, CACHE_SIZE_KEY));
  if (place === null) return machine('cache', null, 'no HOME, so nothing is cached');
  const [taken, most] = [await diskCacheSize(place.dir), place.sizeMaxBytes].map(formatBytes);
  return machine('cache', true, `parts of far stores take ${taken} of at most ${most}`);
}

async function stateFinding(context: Context): Promise<Finding> {
  const folder = stateFolder(context.io.env);
  if (folder === null) return machine('state-folder', null, 'no HOME, so no logs are kept');
  const problem = await mkdir(folder, { recursive: true }).then(
    () => null,
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
  return machine(
    'state-folder',
    problem === null,
    problem === null
      ? `logs and notes are kept in ${folder}`
      : `${folder} cannot be used: ${problem}`,
    { fix: `mkdir -p ${folder}` },
  );
}
