/** Which repo is meant, who said so, and how it is opened. */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  type Endpoint,
  formatRepoUrl,
  parseEndpoint,
  parseRepoUrl,
  type RepoUrl,
} from '../client/repo-url.ts';
import { DatamonError } from '../core/errors.ts';
import { parseRepoName } from '../core/keys.ts';
import { findGit } from '../git/binary.ts';
import { getConfig } from '../git/config.ts';
import { lfsEndpoint } from '../git/lfs-endpoint.ts';
import type { GitRepository } from '../git/repository.ts';
import type { Context } from './context.ts';

export interface RepoAddress {
  readonly url: RepoUrl;
  /** As the user would type it. */
  readonly text: string;
  readonly source: '--repo' | 'DATAMON_URL' | 'this clone' | 'operand';
}

const NO_REPO_HINT =
  'Name one: -R https://server/owner/name, -R gs://bucket/prefix//owner/name or -R file:///dir//owner/name; or run this inside a clone set up by: datamon init URL';

/** `--repo`, else DATAMON_URL, else what this clone's git-lfs talks to. */
export async function repoAddress(context: Context): Promise<RepoAddress> {
  if (context.repoFlag !== undefined) {
    return { ...(await addressOf(context, context.repoFlag)), source: '--repo' };
  }
  const fromEnv = context.io.env['DATAMON_URL'];
  if (fromEnv !== undefined && fromEnv !== '') {
    return {
      ...toAddress(parseRepoUrl(withScheme(fromEnv, context.io.cwd))),
      source: 'DATAMON_URL',
    };
  }
  const clone = await context.clone();
  const found = clone === null ? null : await cloneRepoUrl(clone);
  if (found !== null) return { ...toAddress(found), source: 'this clone' };
  // Without git the folder may well be a clone; nobody can tell.
  if (clone === null) await findGit(context.io.env);
  throw new DatamonError(
    'INVALID',
    clone === null
      ? 'no repo was named, and this is not a clone'
      : 'this clone does not keep its data in datamon',
    { hint: NO_REPO_HINT },
  );
}

const toAddress = (url: RepoUrl): Pick<RepoAddress, 'url' | 'text'> => ({
  url,
  text: formatRepoUrl(url),
});

/** A repo as a person names it: a URL, a folder with `//`, or just `owner/name` beside the repo that is meant anyway. */
export async function addressOf(context: Context, text: string): Promise<RepoAddress> {
  if (!isBareName(text)) {
    return { ...toAddress(parseRepoUrl(withScheme(text, context.io.cwd))), source: 'operand' };
  }
  const endpoint = await endpointBeside(context);
  if (endpoint === null) {
    throw new DatamonError(
      'INVALID',
      `${JSON.stringify(text)} names a repo, but not the store or server it is in`,
      { hint: NO_REPO_HINT },
    );
  }
  return { ...toAddress(joinRepo(endpoint, text)), source: 'operand' };
}

/** The store or server of DATAMON_URL or of this clone, without its repo. */
export async function endpointBeside(context: Context): Promise<Endpoint | null> {
  const fromEnv = context.io.env['DATAMON_URL'];
  if (fromEnv !== undefined && fromEnv !== '') {
    return parseEndpoint(withScheme(fromEnv, context.io.cwd));
  }
  const clone = await context.clone();
  const found = clone === null ? null : await cloneRepoUrl(clone);
  return found === null ? null : parseEndpoint(formatRepoUrl(found));
}

/** The repo `name` of a store or server. */
export function joinRepo(endpoint: Endpoint, name: string): RepoUrl {
  const repo = parseRepoName(name);
  return endpoint.kind === 'store'
    ? { kind: 'store', storeUrl: endpoint.storeUrl, repo }
    : { kind: 'server', origin: endpoint.origin, repo, url: `${endpoint.origin}/${repo}` };
}

/** A folder as a file URL; what has a scheme stays as it is. */
export function withScheme(text: string, cwd: string): string {
  if (/^[A-Za-z][A-Za-z0-9+.-]*:/.test(text)) return text;
  if (!/^[./]/.test(text) && !text.includes('//')) return text;
  const [folder = '', ...rest] = splitStore(text);
  const url = pathToFileURL(resolve(cwd, folder)).href;
  return rest.length === 0 ? url : `${url}//${rest.join('//')}`;
}

/** Folder and repo: the last `//` that is not at the start. */
function splitStore(text: string): string[] {
  const split = text.replace(/\/+$/, '').lastIndexOf('//');
  return split <= 0 ? [text] : [text.slice(0, split), text.slice(split + 2)];
}

const isBareName = (text: string): boolean =>
  !/^[A-Za-z][A-Za-z0-9+.-]*:/.test(text) && !/^[./]/.test(text) && !text.includes('//');

/** Git hosts with LFS servers of their own; asking them whether they are datamon's would only cost time. */
const OTHER_LFS_HOSTS =
  /^https?:\/\/(?:[^/]*\.)?(?:github\.com|gitlab\.com|bitbucket\.org|codeberg\.org)(?:[:/]|$)/i;

/** The repo that a clone's git-lfs talks to, where that is one datamon can open; else null. */
export async function cloneRepoUrl(clone: GitRepository): Promise<RepoUrl | null> {
  const endpoint = await lfsEndpoint({
    repo: clone,
    remote: await defaultRemote(clone),
    operation: 'download',
  });
  if (endpoint.kind === 'other' || OTHER_LFS_HOSTS.test(endpoint.url)) return null;
  try {
    return parseRepoUrl(endpoint.url);
  } catch (error) {
    // A server whose URLs no datamon server would have is simply another LFS server.
    if (endpoint.kind === 'http') return null;
    throw error;
  }
}

/** The remote git would fetch from: the branch's own, else `origin`, else the only one. */
export async function defaultRemote(clone: GitRepository): Promise<string> {
  const head = await clone.git.run(['symbolic-ref', '--quiet', '--short', 'HEAD']);
  const branch = head.stdout.toString('utf8').trim();
  const own = branch === '' ? null : await getConfig(clone.git, `branch.${branch}.remote`);
  if (own !== null && own !== '.') return own;
  const remotes = (await clone.git.text(['remote'])).split('\n').filter((name) => name !== '');
  return remotes.includes('origin') || remotes.length !== 1 ? 'origin' : (remotes[0] ?? 'origin');
}
