/** A server in a test: the whole app on a store in memory and a real socket, tokens of every kind, bundles made in one word. */

import http from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type ActionClaims,
  mintActionToken,
  mintUserToken,
  parseScope,
  parseSecret,
  type Secret,
} from '../../../client/tokens.ts';
import type { Backend } from '../../../core/backend/backend.ts';
import { createMemoryBackend } from '../../../core/backend/memory.ts';
import { type Digest, digestOf } from '../../../core/digest.ts';
import { type GitSha, type PushId, parseRepoName, type RepoName } from '../../../core/keys.ts';
import { createSyntheticCommit } from '../../../core/meta/commit-object.ts';
import type { Entry, RawPath, RefMove } from '../../../core/meta/model.ts';
import { rawPathFromText } from '../../../core/meta/raw-path.ts';
import { type RecordedBundle, recordBundle } from '../../../core/meta/record.ts';
import type { Repository } from '../../../core/meta/repository.ts';
import { secureRandom } from '../../../core/random.ts';
import { createApp } from '../../../lfs-server/app.ts';
import { createBatchMemory } from '../../../lfs-server/batch-memory.ts';
import { createRepos, type Repos } from '../../../lfs-server/repos.ts';
import type { LogLine } from '../../../lfs-server/request-log.ts';
import { DEFAULT_LIMITS, type Limits, type Settings } from '../../../lfs-server/settings.ts';
import { createSpaceWatch } from '../../../lfs-server/space-watch.ts';
import { openStoreSource } from '../../../lfs-server/store-source.ts';
import { makeTempDir } from '../../support/temp-dir.ts';

export const REPO = parseRepoName('acme/weather');
export const REMOTE = 'git.example.org/acme/weather';
export const SECRET: Secret = parseSecret(Buffer.from('a-secret-for-tests-of-more-than-32-bytes'));
const SIGNING = { secrets: [SECRET], issuer: 'datamon' } as const;
export const LFS = 'application/vnd.git-lfs+json';

export interface WorldOptions {
  readonly anonymous?: Settings['anonymous'];
  readonly limits?: Partial<Limits>;
  readonly hosts?: ReadonlySet<string>;
  readonly publicUrl?: string;
  readonly backend?: Backend;
  /** Wraps the repos, to make them fail. */
  readonly repos?: (repos: Repos) => Repos;
}

// biome-ignore lint/suspicious/noExplicitAny: tests look into answers freely; schemas say what they are
export type Answer = any;

export interface ServerWorld {
  readonly origin: string;
  readonly port: number;
  readonly backend: Backend;
  readonly repos: Repos;
  readonly settings: Settings;
  readonly log: LogLine[];
  /** Calls the server; `path` begins with a slash. */
  call(path: string, init?: CallInit): Promise<Response>;
  json(path: string, init?: CallInit): Promise<{ status: number; body: Answer; headers: Headers }>;
  /** The repo as somebody with the bucket's credentials has it. */
  repository(name?: RepoName): Promise<Repository>;
  put(bytes: Buffer | string, name?: RepoName): Promise<Digest>;
}

export interface CallInit {
  readonly method?: string;
  readonly token?: string | undefined;
  readonly json?: unknown;
  readonly body?: Buffer | string;
  readonly headers?: Readonly<Record<string, string>>;
}

const running = new Set<{ close(): Promise<void> }>();
afterEach('stop servers', async () => {
  for (const server of running) await server.close();
  running.clear();
});

export async function startServer(options: WorldOptions = {}): Promise<ServerWorld> {
  const backend = options.backend ?? createMemoryBackend();
  const source = await openStoreSource({ backend, spoolDir: await makeTempDir() });
  const plain = createRepos(source);
  const repos = options.repos?.(plain) ?? plain;
  const log: LogLine[] = [];
  const settings: Settings = {
    publicUrl: options.publicUrl ?? null,
    anonymous: options.anonymous ?? 'none',
    hosts: options.hosts ?? null,
    signing: SIGNING,
    accepting: { secrets: [SECRET], issuers: ['datamon'], audience: 'datamon' },
    limits: { ...DEFAULT_LIMITS, ...options.limits },
  };
  const app = createApp({
    settings,
    repos,
    batches: createBatchMemory(),
    space: createSpaceWatch(() => performance.now()),
    random: secureRandom,
    log: (line) => void log.push(line),
  });
  const server = http.createServer({ requestTimeout: 0 }, app);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const origin = `http://127.0.0.1:${port}`;
  running.add({
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await repos.close();
    },
  });
  const call: ServerWorld['call'] = (path, init = {}) => fetch(origin + path, requestInit(init));
  const repository = async (name = REPO) =>
    (await plain.ensure(name, { createdBy: 'ada', remote: REMOTE })).repository;
  return {
    origin,
    port,
    backend,
    repos,
    settings,
    log,
    call,
    json: async (path, init) => {
      const response = await call(path, init);
      const text = await response.text();
      return {
        status: response.status,
        body: text === '' ? null : JSON.parse(text),
        headers: response.headers,
      };
    },
    repository,
    put: async (content, name) => {
      const bytes = Buffer.from(content);
      const oid = digestOf(bytes);
      const { blobs } = await repository(name);
      await blobs.put({
        oid,
        sizeBytes: bytes.length,
        async *open() {
          yield bytes;
        },
      });
      return oid;
    },
  };
}

function requestInit(init: CallInit): RequestInit {
  const { method = init.json === undefined ? 'GET' : 'POST', token, json, body } = init;
  return {
    method,
    redirect: 'manual',
    headers: {
      ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
      ...(json === undefined ? {} : { 'Content-Type': 'application/json' }),
      ...init.headers,
    },
    ...(json === undefined ? {} : { body: JSON.stringify(json) }),
    ...(body === undefined ? {} : { body }),
  };
}

/** Tokens are minted when files are loaded; the last of them are used at the end of the whole run. */
const DAY_SECONDS = 86_400;

/** A token for `subject` with these scope words. */
export function tokenFor(subject: string, ...words: string[]): string {
  return mintUserToken(SIGNING, {
    subject,
    scopes: words.map(parseScope),
    ttlSeconds: DAY_SECONDS,
  });
}

export const WRITER = tokenFor('ada', 'read:acme/*', 'write:acme/*');
export const READER = tokenFor('bob', 'read:acme/*');
export const ADMIN = tokenFor('eve', 'read:*', 'write:*', 'admin:*');
export const STRANGER = tokenFor('mallory', 'read:other/*', 'write:other/*');

export function basicToken(change: Partial<Extract<ActionClaims, { kind: 'basic' }>> = {}): string {
  const claims = {
    kind: 'basic',
    subject: 'ada',
    repo: REPO,
    operation: 'upload',
    oid: digestOf('x'),
    sizeBytes: 1,
  } as const;
  return mintActionToken(SIGNING, { ...claims, ...change }, DAY_SECONDS);
}

export function batchToken(
  change: Partial<Extract<ActionClaims, { kind: 'datamon' }>> = {},
): string {
  const claims = {
    kind: 'datamon',
    subject: 'ada',
    repo: REPO,
    operation: 'upload',
    batch: 'b1',
  } as const;
  return mintActionToken(SIGNING, { ...claims, ...change }, DAY_SECONDS);
}

export interface PushedVersion {
  /** Path to content; stored as LFS objects. */
  readonly files: Readonly<Record<string, string | Buffer>>;
  readonly message?: string;
  readonly branch?: string;
  readonly parent?: GitSha | null;
  readonly pushedBy?: string;
  readonly at?: Date;
  readonly newBytes?: number;
}

/** Stores files, records a bundle of them and moves a branch there, as a push does. */
export async function pushVersion(
  world: Pick<ServerWorld, 'repository' | 'put'>,
  version: PushedVersion,
  name: RepoName = REPO,
): Promise<RecordedBundle & { readonly commit: GitSha }> {
  const repository = await world.repository(name);
  const entries: Entry[] = [];
  for (const [path, content] of Object.entries(version.files)) {
    const oid = await world.put(Buffer.from(content), name);
    entries.push(entryOf(rawPathFromText(path), oid, Buffer.byteLength(content)));
  }
  const at = version.at ?? new Date();
  const { commit, commitObject } = createSyntheticCommit({
    message: version.message ?? 'A version',
    author: { name: 'Ada Lovelace', mail: 'ada@acme.io' },
    at,
    parents: version.parent ? [version.parent] : [],
    treeLabel: digestOf(JSON.stringify([version.message, at, Object.keys(version.files)])),
  });
  const recorded = await recordBundle(repository, {
    commit,
    commitObject,
    entries,
    rules: { recorder: 1, config: null },
    pointerExtensions: [],
  });
  await repository.history.recordMove(moveTo(recorded, commit, version));
  return { ...recorded, commit };
}

export const entryOf = (path: RawPath, oid: Digest, sizeBytes: number): Entry => ({
  path,
  kind: 'lfs',
  executable: false,
  oid,
  sizeBytes,
});

export function moveTo(recorded: RecordedBundle, commit: GitSha, version: PushedVersion): RefMove {
  return {
    pushId: digestOf(`${commit} ${version.branch}`).slice(0, 32) as PushId,
    remote: REMOTE,
    ref: `refs/heads/${version.branch ?? 'main'}`,
    gitOld: version.parent ?? null,
    gitNew: commit,
    bundle: recorded.bundle,
    totals: recorded.totals,
    extraOids: null,
    missing: [],
    forced: false,
    pushedBy: version.pushedBy ?? 'Ada Lovelace <ada@acme.io>',
    receipt: {
      newBytes: version.newBytes ?? recorded.totals.sizeBytes,
      resumedBytes: 0,
      storedBytes: version.newBytes ?? recorded.totals.sizeBytes,
      packCount: 1,
      requestCount: 6,
      durationMs: 1200,
      reusedFrom: null,
      measured: true,
    },
  };
}
