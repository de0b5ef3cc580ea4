/** One string for a git remote, however its URL is spelled: the same repo over ssh, https or scp-like syntax has one remote id. */
import { realpath } from 'node:fs/promises';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const DEFAULT_PORTS: Readonly<Record<string, string>> = {
  'http:': '80',
  'https:': '443',
  'git:': '9418',
};

/**
 * `host/path` for a repo on the network, `file:///abs/path` for a local one. User, password, `.git` and a final slash are
 * dropped; so is the port of ssh, where the same repo usually has an https URL without one. `cwd` is what a relative path means.
 */
export function normaliseRemote(url: string, cwd: string): string {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(url)?.[1]?.toLowerCase();
  if (scheme === 'file') return localId(pathOfFileUrl(url));
  if (scheme !== undefined) return networkId(url);
  const scp = scpParts(url);
  if (scp !== null) return joinId(scp.host, scp.path);
  return localId(resolve(cwd, url));
}

/** As `normaliseRemote`, with symbolic links of a local path followed: `/tmp` and `/private/tmp` are one place. */
export async function remoteId(url: string, cwd: string): Promise<string> {
  const id = normaliseRemote(url, cwd);
  if (!id.startsWith('file://')) return id;
  const path = id.slice('file://'.length);
  for (const candidate of [path, `${path}.git`]) {
    const real = await realpath(candidate).catch(() => null);
    if (real !== null) return localId(real);
  }
  return id;
}

/** `[user@]host:path`, which git takes for ssh unless a slash comes before the colon. */
function scpParts(url: string): { readonly host: string; readonly path: string } | null {
  const bracketed = /^(?:[^@/]*@)?\[([^\]/]+)\]:(.*)$/s.exec(url);
  if (bracketed !== null) {
    const [, address = '', path = ''] = bracketed;
    const port = /^(.*):(\d+)$/.exec(address);
    return { host: port === null || address.includes('::') ? address : (port[1] ?? ''), path };
  }
  const plain = /^(?:[^@/]*@)?([^:/@]+):(.*)$/s.exec(url);
  // One letter and a colon is a drive.
  if (plain === null || /^[a-zA-Z]:[\\/]/.test(url)) return null;
  return { host: plain[1] ?? '', path: plain[2] ?? '' };
}

function networkId(text: string): string {
  const url = URL.parse(text);
  if (url === null) return joinId('', text.replace(/^[a-z+.-]*:\/\/([^/@]*@)?/i, ''));
  const isSsh = /ssh/.test(url.protocol);
  const port = url.port === '' || url.port === DEFAULT_PORTS[url.protocol] ? '' : `:${url.port}`;
  return joinId(`${url.hostname}${isSsh ? '' : port}`, url.pathname);
}

function joinId(host: string, path: string): string {
  return `${host.toLowerCase()}/${tidyPath(unescaped(path)).replace(/^\/+/, '')}`;
}

function localId(path: string): string {
  return `file://${tidyPath(path)}`;
}

const tidyPath = (path: string): string =>
  path
    .replace(/\/{2,}/g, '/')
    .replace(/\/+$/, '')
    .replace(/\/\.git$/, '')
    .replace(/\.git$/, '');

function unescaped(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

function pathOfFileUrl(url: string): string {
  try {
    return fileURLToPath(url);
  } catch {
    return unescaped(url.replace(/^file:\/\/[^/]*/i, ''));
  }
}
