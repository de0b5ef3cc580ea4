/** `datamon serve`: reads its configuration, opens the store, listens, and stops when told to. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { openStorePlaces, proveStore } from '../client/open-store.ts';
import { openSpoolFolder } from '../client/spool-folder.ts';
import { DEFAULT_ISSUER, newSecret, parseSecret, type Secret } from '../client/tokens.ts';
import { SERVER_RETRY_POLICY } from '../core/backend/retrying.ts';
import { DatamonError, hasCode } from '../core/errors.ts';
import { EXIT, type ExitStatus, type Io } from '../core/io.ts';
import { secureRandom } from '../core/random.ts';
import { createApp } from './app.ts';
import { createBatchMemory } from './batch-memory.ts';
import { isLoopback, parseServeConfig, type ServeConfig } from './config.ts';
import { type Listening, listen } from './listen.ts';
import { startPusher } from './pusher.ts';
import { createRepos } from './repos.ts';
import { createLog } from './request-log.ts';
import { DEFAULT_LIMITS, type Settings } from './settings.ts';
import { createSpaceWatch } from './space-watch.ts';
import { openStoreSource } from './store-source.ts';

/** Resolves once the server has stopped. */
export async function main(argv: string[], io: Io): Promise<ExitStatus> {
  try {
    const config = parseServeConfig(argv, io.env);
    const settings = await settingsOf(config, io.cwd);
    await serve(config, settings, io);
    return EXIT.ok;
  } catch (error) {
    const { message, hint, status } = describe(error);
    io.stderr.write(`datamon: ${message}\n${hint === undefined ? '' : `  ${hint}\n`}`);
    return status;
  }
}

function describe(error: unknown): {
  message: string;
  hint?: string | undefined;
  status: ExitStatus;
} {
  if (!(error instanceof DatamonError)) {
    const message = error instanceof Error ? error.message : String(error);
    return { message: `the server could not start: ${message}`, status: EXIT.failure };
  }
  const { message, hint, code } = error;
  const status = {
    INVALID: EXIT.usage,
    FORBIDDEN: EXIT.auth,
    UNAUTHENTICATED: EXIT.auth,
    CORRUPT: EXIT.corrupt,
    UNAVAILABLE: EXIT.unavailable,
    NO_SPACE: EXIT.unavailable,
  }[code as string];
  return { message, hint, status: status ?? EXIT.failure };
}

async function settingsOf(config: ServeConfig, cwd: string): Promise<Settings> {
  const files = await Promise.all(config.secretFiles.map((file) => readSecret(resolve(cwd, file))));
  const [first = newSecret(secureRandom), ...others] = files;
  return {
    publicUrl: config.publicUrl,
    anonymous: config.anonymous,
    hosts: config.anonymous === 'none' ? null : hostsOf(config),
    signing: { secrets: [first, ...others], issuer: DEFAULT_ISSUER },
    accepting: { secrets: [first, ...others], issuers: config.issuers, audience: config.audience },
    limits: DEFAULT_LIMITS,
  };
}

async function readSecret(file: string): Promise<Secret> {
  try {
    return parseSecret(await readFile(file));
  } catch (error) {
    if (error instanceof DatamonError) throw error;
    throw new DatamonError('INVALID', `cannot read the token secret ${file}`, {
      cause: error,
      hint: 'Make one: head -c 32 /dev/urandom | base64 > secret && chmod 600 secret',
    });
  }
}

/** Who lets strangers in answers to the machine's own names only. */
function hostsOf({ listen: { host }, publicUrl }: ServeConfig): ReadonlySet<string> {
  const names = [
    'localhost',
    '127.0.0.1',
    '[::1]',
    isLoopback(host) && host.includes(':') ? `[${host}]` : host,
  ];
  if (publicUrl !== null) names.push(new URL(publicUrl).hostname);
  return new Set(names.map((name) => name.toLowerCase()));
}

async function serve(config: ServeConfig, settings: Settings, io: Io): Promise<void> {
  const { backend, group } = await openStorePlaces(config.store, {
    policy: SERVER_RETRY_POLICY,
    replicas: config.replicas,
    signal: io.signal,
    onEvent: (event, key) => void io.stderr.write(`datamon: replica: ${event}: ${key}\n`),
  });
  // Whoever may not create loses nothing by what creating is worth here.
  await proveStore(config.store, backend).catch((error) => {
    if (!hasCode(error, 'FORBIDDEN') && !hasCode(error, 'NO_SPACE')) throw error;
  });
  const spool = await openSpoolFolder();
  const spoolDir = spool.dir;
  const pusher = group && startPusher(group, (line) => void io.stderr.write(line));
  const repos = createRepos(await openStoreSource({ backend, spoolDir }));
  try {
    const app = createApp({
      settings,
      repos,
      batches: createBatchMemory(),
      space: createSpaceWatch(() => performance.now()),
      random: secureRandom,
      log: createLog((line) => void io.stderr.write(line)),
    });
    const listening = await listen(app, config.listen);
    announce(config, listening, io);
    await told(io.signal);
    await listening.stop();
  } finally {
    await pusher?.stop();
    await repos.close();
    await spool.remove();
  }
}

function announce({ store }: ServeConfig, { host, port }: Listening, io: Io): void {
  const url = `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
  io.stderr.write(`datamon serving ${store} at ${url}\n`);
  io.stdout.write(`${url}\n`);
}

function told(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((done) => signal.addEventListener('abort', () => done(), { once: true }));
}
