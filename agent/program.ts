/** The agent put together: one process of git-lfs's, from `init` to the end. Nothing here touches `process`. */
import { batchObjects } from '../client/batch-members.ts';
import { DatamonError } from '../core/errors.ts';
import { isFast, switchOffFastPaths } from '../core/fast-paths.ts';
import { EXIT, type ExitStatus, type Io } from '../core/io.ts';
import { secureRandom } from '../core/random.ts';
import { ancestorsOf } from '../git/process-tree.ts';
import { announcedObjects } from './announced.ts';
import { seizeOutput } from './answers.ts';
import { type Clone, openClone } from './clone.ts';
import { connect } from './connect.ts';
import { createFetchAhead } from './fetch-ahead.ts';
import { withinTime } from './guard.ts';
import { sweepTempFiles } from './leftovers.ts';
import { createLogFile, type Log, logPath } from './log-file.ts';
import { createLookAhead } from './look-ahead.ts';
import type { InitRequest } from './messages.ts';
import { isFetchAndPrune, isPruneCheck } from './prune-check.ts';
import { sleep } from './retry.ts';
import { createRoutes } from './routes.ts';
import { runSession, type SessionEnd, type Transfers } from './session.ts';
import {
  createTempFiles,
  isAliveByProc,
  parseSharedMode,
  pidSpace,
  type TempFiles,
} from './temp-files.ts';
import { createTransfers } from './transfer.ts';

/** git-lfs itself waits for the answer to `init` without any bound. */
const INIT_TIMEOUT_MS = 60_000;

export interface AgentDependencies {
  readonly pid: number;
  /** Installs this clone's hooks where they are still git-lfs's own; run once, only with the user's consent. */
  readonly onFirstContact?: (clone: Clone) => Promise<void>;
  readonly openClone?: (cwd: string, env: Io['env']) => Promise<Clone>;
  readonly connect?: typeof connect;
  readonly ancestors?: typeof ancestorsOf;
}

type Endpoint = Awaited<ReturnType<Clone['endpoint']>>;

interface World {
  readonly io: Io;
  readonly deps: AgentDependencies;
  readonly log: Log;
  readonly clone: () => Promise<Clone>;
}

export async function runAgent(io: Io, deps: AgentDependencies): Promise<ExitStatus> {
  const output = seizeOutput(io.stdout, io.stderr);
  const log = createLogFile({ path: logPath(io.env), pid: deps.pid, now: () => new Date() });
  const open = deps.openClone ?? openClone;
  let clone: Promise<Clone> | null = null;
  const world: World = {
    io,
    deps,
    log,
    clone: () => {
      clone ??= open(io.cwd, io.env);
      return clone;
    },
  };
  const end = await runSession({
    input: io.stdin,
    output,
    signal: io.signal,
    nowMs: () => performance.now(),
    log,
    open: (init, signal) =>
      withinTime(INIT_TIMEOUT_MS, begin(world, init, signal), () => {
        const seconds = Math.round(INIT_TIMEOUT_MS / 1000);
        const hint = 'Try again; if it stays, run: datamon doctor';
        return new DatamonError('UNAVAILABLE', `the store did not answer in ${seconds} s`, {
          hint,
        });
      }),
  });
  return statusOf(end);
}

function statusOf(end: SessionEnd): ExitStatus {
  return end === 'interrupted' ? EXIT.interrupted : EXIT.ok;
}

async function begin(world: World, init: InitRequest, signal: AbortSignal): Promise<Transfers> {
  const { deps, io, log } = world;
  const endpoint = await endpointOf(world, init);
  const isStandalone = endpoint?.isStore === true;
  if (isStandalone && init.operation === 'download') await refuseBlindPrune(world);
  let contact: Promise<void> | null = null;
  const routes = createRoutes({
    openRepository: (url, { token }) =>
      (deps.connect ?? connect)(url, {
        init,
        repo: async () => (await world.clone()).repo,
        env: io.env,
        batchToken: token,
        signal,
      }),
    standaloneUrl: async () => (await requireEndpoint(world, init)).url,
    // Not at init: git-lfs and doctor start an agent in clones that have nothing to do with datamon.
    onDatamon: () => {
      contact ??= firstContact(world);
    },
    log,
  });
  switchOffFastPaths(io.env);
  // A store that cannot be opened is said now, in one sentence, instead of once for each object.
  if (isStandalone) await routes.openStandalone();
  const transfers = createTransfers({
    routes,
    temps: () => openTempFiles(world),
    pauses: { sleep, random: Math.random },
    log,
    ...(isFast('look-ahead') && {
      lookAhead: createLookAhead({
        announced: (batch) => announcedObjects({ listPath: io.env['DATAMON_PUSH'], batch, signal }),
        signal,
        log,
      }),
    }),
    ...(isFast('fetch-ahead') && {
      fetchAhead: (temps: () => Promise<TempFiles>) =>
        createFetchAhead({
          open: async ({ repoUrl, token }) =>
            token === null ? null : await batchObjects({ repoUrl, token, signal }),
          temps,
          signal,
          log,
        }),
    }),
  });
  return {
    ...transfers,
    close: async () => {
      await Promise.all([contact, transfers.close()]);
    },
  };
}

/** Null where git-lfs's endpoint is not known here; a server's action then says all that is needed. */
async function endpointOf(world: World, init: InitRequest): Promise<Endpoint | null> {
  try {
    return await requireEndpoint(world, init);
  } catch (error) {
    world.log(`no endpoint: ${(error as Error).message}`);
    return null;
  }
}

async function requireEndpoint({ clone }: World, init: InitRequest): Promise<Endpoint> {
  const endpoint = await (await clone()).endpoint(init);
  if (endpoint.url !== '') return endpoint;
  throw new DatamonError('INVALID', `no LFS URL is set for the remote ${init.remote}`, {
    hint: 'Run: datamon init <store or server>',
  });
}

/**
 * `git lfs prune --verify-remote` takes an agent that starts for proof that every object is on the remote, asks nothing
 * and deletes. Failing to start makes it delete nothing.
 */
async function refuseBlindPrune({ clone, deps }: World): Promise<void> {
  const above = await (deps.ancestors ?? ancestorsOf)(deps.pid);
  const commands = above.map(({ argv }) => argv);
  const fetches = isFetchAndPrune(commands) && (await (await clone()).prunesAfterCheck());
  if (!isPruneCheck(commands) && !fetches) return;
  throw new DatamonError('UNSUPPORTED', 'this check cannot see the store, so nothing was deleted', {
    hint: fetches
      ? 'Run git lfs fetch without --prune.'
      : 'Run git lfs prune --no-verify-remote; it keeps what was not pushed yet.',
  });
}

async function openTempFiles({ clone, deps, log }: World): Promise<TempFiles> {
  const opened = await clone();
  const lfsDirectory = await opened.lfsDirectory();
  const space = pidSpace();
  const { leftovers, removedCount } = await sweepTempFiles({
    lfsDirectory,
    pidSpace: space,
    isAlive: isAliveByProc,
    nowMs: Date.now(),
  });
  if (removedCount > 0) log(`removed ${removedCount} unfinished downloads of no more use`);
  return createTempFiles({
    lfsDirectory,
    pid: deps.pid,
    sharedMode: parseSharedMode(await opened.sharedRepository()),
    random: secureRandom,
    pidSpace: space,
    leftovers,
  });
}

/** Never fails a transfer: without hooks objects are as safe, only the bundle is made later. */
async function firstContact({ clone, deps, log }: World): Promise<void> {
  if (deps.onFirstContact === undefined) return;
  try {
    const opened = await clone();
    if ((await opened.hooksPolicy()) === 'auto') await deps.onFirstContact(opened);
  } catch (error) {
    log(`hooks were not installed: ${(error as Error).message}`);
  }
}
