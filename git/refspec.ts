/** Which ref of a remote a remote-tracking ref stands for, by the remote's fetch refspecs. */
import { getAllConfig, listConfig } from './config.ts';
import type { Git } from './git.ts';

/** The ref here that `remoteRef` is fetched to, or null. */
export function trackingRef(refspecs: readonly string[], remoteRef: string): string | null {
  return mapRef(refspecs, remoteRef, 'forward');
}

/** The ref there that `localRef` is fetched from, or null. */
export function trackedRef(refspecs: readonly string[], localRef: string): string | null {
  return mapRef(refspecs, localRef, 'backward');
}

function mapRef(
  refspecs: readonly string[],
  ref: string,
  direction: 'forward' | 'backward',
): string | null {
  for (const refspec of refspecs) {
    if (refspec.startsWith('^')) continue;
    const [left = '', right = ''] = refspec.replace(/^\+/, '').split(':');
    const [from, to] = direction === 'forward' ? [left, right] : [right, left];
    const mapped = mapOne(from, to, ref);
    if (mapped !== null) return mapped;
  }
  return null;
}

function mapOne(from: string, to: string, ref: string): string | null {
  if (from === '' || to === '') return null;
  const star = from.indexOf('*');
  if (star < 0) return from === ref ? to : null;
  const [head, tail] = [from.slice(0, star), from.slice(star + 1)];
  const fits =
    ref.length >= head.length + tail.length && ref.startsWith(head) && ref.endsWith(tail);
  return fits ? to.replace('*', () => ref.slice(head.length, ref.length - tail.length)) : null;
}

export const fetchRefspecs = (git: Git, remote: string): Promise<readonly string[]> =>
  getAllConfig(git, `remote.${remote}.fetch`);

/** Remotes that fetch into `localRef`, with the ref they fetch from. */
export async function remotesOf(
  git: Git,
  localRef: string,
): Promise<readonly { readonly remote: string; readonly ref: string }[]> {
  const found: { remote: string; ref: string }[] = [];
  for (const { key, value } of await listConfig(git)) {
    const [, remote] = /^remote\.(.+)\.fetch$/s.exec(key) ?? [];
    const ref = remote === undefined || value === null ? null : trackedRef([value], localRef);
    if (remote !== undefined && ref !== null) found.push({ remote, ref });
  }
  return found;
}
