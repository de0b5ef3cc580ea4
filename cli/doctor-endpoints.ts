/** Where this clone's data goes: each remote's, what the team has in `.lfsconfig`, and what old commits would do. */
import { stat } from 'node:fs/promises';
import type { GitSha } from '../core/keys.ts';
import { peelToCommit } from '../git/commit.ts';
import { getConfig, listConfig } from '../git/config.ts';
import { type LfsEndpoint, lfsEndpoint } from '../git/lfs-endpoint.ts';
import type { GitRepository } from '../git/repository.ts';
import { copiedUrl, copyUrl, lfsConfigFile } from './clone-settings.ts';
import { type Finding, finding } from './doctor-check.ts';
import { defaultRemote } from './repo-address.ts';

const inClone = finding('clone');

/** The remotes by name; git-lfs goes by `origin` where there is none. */
export async function remotesOf(clone: GitRepository): Promise<readonly string[]> {
  const remotes = (await clone.git.text(['remote'])).split('\n').filter((name) => name !== '');
  return remotes.length === 0 ? ['origin'] : remotes;
}

export async function endpointFindings(
  clone: GitRepository,
  remotes: readonly string[],
): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const remote of remotes) {
    const endpoint = await lfsEndpoint({ repo: clone, remote, operation: 'upload' });
    findings.push(endpointFinding(remote, endpoint));
  }
  return findings;
}

function endpointFinding(remote: string, { url, kind }: LfsEndpoint): Finding {
  const name = `endpoint-${remote}`;
  if (url === '') {
    return inClone(name, false, `git-lfs knows no place for the data of ${remote}`, {
      fix: 'datamon init URL',
    });
  }
  if (kind === 'datamon-store')
    return inClone(name, true, `${remote}: straight on a store, ${shown(url)}`);
  if (kind === 'http') return inClone(name, true, `${remote}: through a server, ${shown(url)}`);
  return inClone(name, false, `${remote}: ${shown(url)} is nothing datamon speaks`, {
    fix: 'datamon init URL',
  });
}

/** A URL without user and password. */
const shown = (url: string): string => url.replace(/\/\/[^/@]*@/, '//…@');

/** `.lfsconfig` reaches the team only when committed, and old commits have none: there the local copy stands in. */
export async function committedFindings(clone: GitRepository): Promise<Finding[]> {
  if (clone.topLevel === null) return [];
  const exists = await stat(lfsConfigFile(clone)).then(
    () => true,
    () => false,
  );
  const url = exists ? await committedUrl(clone) : null;
  return [
    ...(exists ? [await committedFinding(clone)] : []),
    ...(await oldCommitsFindings(clone, url)),
  ];
}

async function committedUrl(clone: GitRepository): Promise<string | null> {
  const entries = await listConfig(clone.git, ['--no-includes', '--file', lfsConfigFile(clone)]);
  return entries.findLast(({ key }) => key === 'lfs.url')?.value ?? null;
}

async function committedFinding(clone: GitRepository): Promise<Finding> {
  const changed = await clone.git.run(['status', '--porcelain', '-z', '--', ':/.lfsconfig']);
  const isCommitted = changed.stdout.length === 0;
  const says = isCommitted
    ? '.lfsconfig is committed'
    : '.lfsconfig is not committed, so the team does not have it';
  return inClone('lfsconfig-committed', isCommitted, says, {
    fix: 'git add .lfsconfig && git commit -m "Data in datamon"',
  });
}

/** Whether commits from before `.lfsconfig` would go to the place that the work tree's commit goes to. */
async function oldCommitsFindings(clone: GitRepository, url: string | null): Promise<Finding[]> {
  const own = await getConfig(clone.git, 'lfs.url', 'local');
  if (own !== null) {
    if (url === null) return [];
    const copied = (await copiedUrl(clone)) === null ? '' : ' (datamon init copied the URL)';
    const says =
      own === url
        ? `old commits find their data too${copied}`
        : 'this clone overrides .lfsconfig with its own lfs.url';
    return [inClone('old-commits', true, says)];
  }
  const elsewhere = await oldestElsewhere(clone);
  if (elsewhere === null && url === null) return [];
  const says = elsewhere ?? 'commits from before .lfsconfig look for their data elsewhere';
  // Without lfs.url it is one remote's own URL that old commits do not know.
  return [
    inClone('old-commits', false, says, {
      fix: 'datamon init',
      ...(url !== null && { repair: () => copyUrl(clone, url) }),
    }),
  ];
}

/** Where the oldest branch or tag would look for its data, if that is not where the work tree does. */
async function oldestElsewhere(clone: GitRepository): Promise<string | null> {
  const oldest = await oldestRef(clone);
  if (oldest === null) return null;
  const request = {
    repo: clone,
    remote: await defaultRemote(clone),
    operation: 'download',
  } as const;
  const now = await lfsEndpoint(request);
  const then = await lfsEndpoint({ ...request, commit: oldest.commit });
  if (then.url === now.url) return null;
  const place = then.url === '' ? 'nowhere' : `at ${shown(then.url)}`;
  return `${oldest.name}, the oldest branch or tag, looks for its data ${place}`;
}

async function oldestRef(
  clone: GitRepository,
): Promise<{ readonly name: string; readonly commit: GitSha } | null> {
  const name = (
    await clone.git.text([
      'for-each-ref',
      '--sort=creatordate',
      '--count=1',
      '--format=%(refname:short)',
      'refs/heads',
      'refs/tags',
      'refs/remotes',
    ])
  ).trim();
  const commit = name === '' ? null : await peelToCommit(clone.git, name);
  return commit === null ? null : { name, commit };
}
