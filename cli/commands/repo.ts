/** `datamon repo`: the repos of a store or server. */
import { formatCount } from '../../client/format.ts';
import { listRepositories } from '../../client/open.ts';
import { type Endpoint, formatRepoUrl, parseEndpoint } from '../../client/repo-url.ts';
import { DatamonError } from '../../core/errors.ts';
import { type Options, usageError } from '../args.ts';
import { type Command, type Outcome, rowsOf } from '../command.ts';
import type { Context } from '../context.ts';
import {
  addressOf,
  endpointBeside,
  joinRepo,
  type RepoAddress,
  withScheme,
} from '../repo-address.ts';
import { formatTime } from '../rows.ts';
import { whoAmI } from '../who-am-i.ts';
import { unknownAction } from './label.ts';

export interface RepoRow {
  readonly repo: string;
  readonly url: string;
  readonly pool: string;
  readonly createdAt: string;
  /** `show` and `create` only. */
  readonly remote?: string | null;
  readonly createdBy?: string;
  readonly branches?: number;
  readonly labels?: number;
  readonly page?: string | null;
}

const ACTIONS = ['list', 'create', 'show'] as const;

export const repo: Command<RepoRow> = {
  usage: ['repo [list]', 'repo create REPO', 'repo show [REPO]'],
  about:
    'lists, makes and shows the repos of a store or server: the one named with -R, else DATAMON_URL’s, else this clone’s. A repo is also made by the first push into it.',
  examples: [
    ['repo list -R https://data.example.org', 'those you may read'],
    ['repo list -R file:///srv/store', 'straight on a store'],
    ['repo create https://data.example.org/acme/weather', 'make one before the first push'],
    ['repo show', 'this clone’s'],
  ],
  options: {},
  operands: { names: ['ACTION', 'REPO'], min: 0, max: 2 },
  run: runRepo,
  view: {
    columns: [
      { name: 'repo', cell: (row) => row.repo, mark: (text, _, style) => style.bold(text) },
      { name: 'pool', cell: (row) => row.pool },
      { name: 'created', cell: (row) => formatTime(row.createdAt) },
      { name: 'by', cell: (row) => row.createdBy ?? '' },
      {
        name: 'branches',
        cell: (row) =>
          row.branches === undefined ? '' : formatCount(row.branches, 'branch', 'branches'),
      },
      {
        name: 'labels',
        cell: (row) => (row.labels === undefined ? '' : formatCount(row.labels, 'label')),
      },
      { name: 'url', cell: (row) => row.page ?? row.url },
    ],
    header: false,
    id: (row) => row.url,
  },
};

async function runRepo(context: Context, options: Options): Promise<Outcome<RepoRow>> {
  const [word = 'list', name] = options.operands;
  const action = ACTIONS.find((known) => known === word);
  if (action === undefined) throw unknownAction(word, ACTIONS, 'repo');
  if (action === 'list') {
    if (name !== undefined)
      throw usageError('repo list takes no REPO; name a store with -R', 'repo');
    return rowsOf(await list(context));
  }
  if (action === 'create') {
    if (name === undefined) throw usageError('repo create needs REPO', 'repo');
    return rowsOf([await describe(context, await named(context, name), true)]);
  }
  const address = name === undefined ? await context.address() : await named(context, name);
  return rowsOf([await describe(context, address, false)]);
}

/** With -R naming a store or server, a bare name is a repo there. */
async function named(context: Context, name: string): Promise<RepoAddress> {
  const { repoFlag } = context;
  if (repoFlag === undefined || /[:]|\/\//.test(name)) return addressOf(context, name);
  const url = joinRepo(parseEndpoint(withScheme(repoFlag, context.io.cwd)), name);
  return { url, text: formatRepoUrl(url), source: 'operand' };
}

async function list(context: Context): Promise<RepoRow[]> {
  const endpoint = await endpointOf(context);
  const text = endpoint.kind === 'store' ? endpoint.storeUrl : endpoint.origin;
  const repos = await listRepositories(text, {
    token: await context.tokens(),
    signal: context.io.signal,
  });
  return repos.map(({ repo: found, pool, createdAt }) => ({
    repo: found,
    url: formatRepoUrl(joinRepo(endpoint, found)),
    pool,
    createdAt,
  }));
}

async function endpointOf(context: Context): Promise<Endpoint> {
  const { repoFlag } = context;
  if (repoFlag !== undefined) return parseEndpoint(withScheme(repoFlag, context.io.cwd));
  const beside = await endpointBeside(context);
  if (beside !== null) return beside;
  throw new DatamonError(
    'INVALID',
    'no store or server was named, and this is not a clone of one',
    {
      hint: 'Name one: datamon repo list -R https://server',
    },
  );
}

async function describe(
  context: Context,
  address: RepoAddress,
  mayCreate: boolean,
): Promise<RepoRow> {
  const repository = await context.openOther(
    address,
    mayCreate ? { create: { by: await whoAmI(context), remote: null } } : {},
  );
  const { history, name, webUrl } = repository;
  const info = await history.info();
  return {
    repo: name,
    url: address.text,
    pool: info.pool,
    createdAt: info.createdAt,
    createdBy: info.createdBy,
    remote: info.remote,
    branches: await countLive(history.branches()),
    labels: await countLive(history.labels()),
    page: webUrl,
  };
}

async function countLive(
  events: AsyncIterable<{ readonly event: { readonly bundle: unknown } }>,
): Promise<number> {
  let count = 0;
  for await (const { event } of events) if (event.bundle !== null) count += 1;
  return count;
}
