/** Where git-lfs will send a remote's objects: its own rules, followed key by key, so that hook and git-lfs never disagree. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DatamonError } from '../core/errors.ts';
import type { GitSha } from '../core/keys.ts';
import { listConfig, parseConfigList } from './config.ts';
import type { ConfigEntry } from './git.ts';
import type { GitRepository } from './repository.ts';

export type LfsOperation = 'upload' | 'download';

export interface LfsEndpoint {
  readonly url: string;
  /** `datamon-store`: a `datamon::` URL. `http`: some LFS server, perhaps one of ours. `other`: nothing we speak. */
  readonly kind: 'datamon-store' | 'http' | 'other';
}

export interface LfsEndpointRequest {
  readonly repo: GitRepository;
  /** A remote's name, or a URL that was given in its place. */
  readonly remote: string;
  readonly operation: LfsOperation;
  /** As it would be with this commit checked out; default: the work tree as it is. */
  readonly commit?: GitSha;
  /** What `committedConfig` said, where somebody asked already. */
  readonly committed?: Promise<readonly ConfigEntry[]>;
}

export const LFS_CONFIG_FILE = '.lfsconfig';
const DEFAULT_REMOTE = 'origin';
const STORE_PREFIX = 'datamon::';
/** What git-lfs takes from a file that anyone may have committed, and from files that one includes; all else is ignored. */
const SAFE_KEYS: ReadonlySet<string> = new Set(['lfs.url', 'lfs.pushurl']);
const SAFE_REMOTE_KEY = /^remote\.[^\n]+\.lfsurl$/s;

/** The endpoint git-lfs would use. Kind `other` with an empty URL where it would know none. */
export async function lfsEndpoint(request: LfsEndpointRequest): Promise<LfsEndpoint> {
  const { repo, commit, committed = committedConfig(repo, commit) } = request;
  const settings = await lfsSettings(repo, committed);
  const url = endpointUrl(settings, request.remote, request.operation);
  return { url, kind: kindOf(url) };
}

function kindOf(url: string): LfsEndpoint['kind'] {
  if (url.startsWith(STORE_PREFIX)) return 'datamon-store';
  return /^https?:\/\//i.test(url) ? 'http' : 'other';
}

interface LfsSettings {
  get(key: string): string | null;
  readonly aliases: readonly Alias[];
  readonly pushAliases: readonly Alias[];
}

interface Alias {
  readonly from: string;
  readonly to: string;
}

async function lfsSettings(
  repo: GitRepository,
  reading: Promise<readonly ConfigEntry[]>,
): Promise<LfsSettings> {
  const [all, own] = await Promise.all([reading, listConfig(repo.git)]);
  const committed = all.filter(({ key }) => SAFE_KEYS.has(key) || SAFE_REMOTE_KEY.test(key));
  const values = new Map<string, string>();
  // Later wins, and git's own configuration wins over the committed file.
  for (const { key, value } of [...committed, ...own]) values.set(key, value ?? '');
  return {
    get: (key) => values.get(key) ?? null,
    aliases: aliasesOf(own, '.insteadof'),
    pushAliases: aliasesOf(own, '.pushinsteadof'),
  };
}

/** `.lfsconfig` of the work tree, else of the index, else of HEAD; a bare repo has only the last. */
export async function committedConfig(
  repo: GitRepository,
  commit?: GitSha,
): Promise<readonly ConfigEntry[]> {
  const { git, topLevel } = repo;
  if (topLevel !== null && commit === undefined) {
    const file = join(topLevel, LFS_CONFIG_FILE);
    if (existsSync(file)) return listConfig(git, ['--includes', '--file', file]);
  }
  const checkedOut = topLevel === null ? ['HEAD:'] : [':', 'HEAD:'];
  const places = commit === undefined ? checkedOut : [`${commit}:`];
  const asked = places.map((place) => `${place}${LFS_CONFIG_FILE}\n`).join('');
  const known = await git.run(['cat-file', '--batch-check=%(objecttype)'], { input: asked });
  const types = known.stdout.toString('latin1').split('\n');
  for (const [index, place] of places.entries()) {
    if (types[index] !== 'blob') continue;
    const answer = await git.run([
      'config',
      '--includes',
      '--blob',
      `${place}${LFS_CONFIG_FILE}`,
      '-z',
      '--list',
    ]);
    if (answer.status === 0) return parseConfigList(answer.stdout.toString('utf8'));
  }
  return [];
}

function aliasesOf(entries: readonly ConfigEntry[], suffix: string): readonly Alias[] {
  return entries
    .filter(({ key, value }) => key.startsWith('url.') && key.endsWith(suffix) && value !== null)
    .map(({ key, value }) => ({ from: value ?? '', to: key.slice('url.'.length, -suffix.length) }));
}

function endpointUrl(settings: LfsSettings, remote: string, operation: LfsOperation): string {
  const pushUrl = operation === 'upload' ? settings.get('lfs.pushurl') : null;
  const common = pushUrl ?? settings.get('lfs.url');
  if (common !== null) return apiUrl(settings, common, operation);
  const own = remote === '' ? '' : remoteEndpoint(settings, remote, operation);
  return own !== '' ? own : remoteEndpoint(settings, DEFAULT_REMOTE, operation);
}

function remoteEndpoint(settings: LfsSettings, remote: string, operation: LfsOperation): string {
  const pushUrl = operation === 'upload' ? settings.get(`remote.${remote}.lfspushurl`) : null;
  const own = pushUrl ?? settings.get(`remote.${remote}.lfsurl`);
  if (own !== null) return apiUrl(settings, own, operation);
  const clone = cloneUrl(settings, remote, operation);
  return clone === '' ? '' : fromCloneUrl(apiUrl(settings, clone, operation));
}

/** The git URL of a remote. What is no remote's name is itself a URL, if it looks like one. */
function cloneUrl(settings: LfsSettings, remote: string, operation: LfsOperation): string {
  const pushUrl = operation === 'upload' ? settings.get(`remote.${remote}.pushurl`) : null;
  const own = pushUrl ?? settings.get(`remote.${remote}.url`);
  return own ?? (/[:/]/.test(remote) ? remote : '');
}

function fromCloneUrl(url: string): string {
  const trimmed = url.replace(/\/$/, '');
  if (trimmed === '' || trimmed.startsWith('file://')) return trimmed;
  return trimmed.endsWith('.git') ? `${trimmed}/info/lfs` : `${trimmed}.git/info/lfs`;
}

function withAlias(aliases: readonly Alias[], url: string): string | null {
  let best: Alias | null = null;
  for (const alias of aliases) {
    if (url.startsWith(alias.from) && alias.from.length > (best?.from.length ?? -1)) best = alias;
  }
  return best === null ? null : best.to + url.slice(best.from.length);
}

/** git-lfs speaks HTTPS to what git reaches by ssh; local paths become file URLs; `<scheme>::…` passes through untouched. */
function apiUrl(settings: LfsSettings, text: string, operation: LfsOperation): string {
  const pushed = operation === 'upload' ? withAlias(settings.pushAliases, text) : null;
  const url = pushed ?? withAlias(settings.aliases, text) ?? text;
  if (/[\n\r\0]/.test(url)) {
    throw new DatamonError('INVALID', 'the LFS URL contains control characters', {
      hint: 'See where it is set: git config --show-origin --get-all lfs.url; cat .lfsconfig',
    });
  }
  if (url.startsWith('/')) return `file://${url}`;
  if (/^[a-z][a-z0-9+.-]*::/i.test(url)) return url;
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(url)?.[1]?.toLowerCase();
  if (scheme === undefined) return fromScp(url);
  if (/^(ssh|git\+ssh|ssh\+git)$/.test(scheme)) return fromSsh(url);
  return scheme === 'git' ? `https${url.slice('git'.length)}` : url;
}

function fromSsh(text: string): string {
  const url = URL.parse(text);
  return url === null ? '' : `https://${url.hostname}${url.pathname}`;
}

function fromScp(text: string): string {
  const match = /^(?:[^@/]*@)?(\[[^\]]+\]|[^:/]+):(.*)$/s.exec(text);
  if (match === null) return '';
  const [, host = '', path = ''] = match;
  return `https://${host}/${path}`;
}
