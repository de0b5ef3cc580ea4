/** Git hosts that look at LFS pointers themselves: what they may refuse, said before they do. Nothing is asked over the network. */
import { getConfig } from '../git/config.ts';
import { lfsEndpoint } from '../git/lfs-endpoint.ts';
import { normaliseRemote } from '../git/remote-id.ts';
import type { GitRepository } from '../git/repository.ts';
import { type Finding, finding } from './doctor-check.ts';

interface GitHost {
  readonly host: string;
  /** What it may refuse, and what to do then. */
  readonly trap: (remote: string, repo: string) => string;
}

const GIT_HOSTS: readonly GitHost[] = [
  {
    host: 'github.com',
    trap: (remote, repo) =>
      `GitHub refuses pushes with “GH008: unknown Git LFS objects” where the repo, or a fork of it, ever held LFS objects of its own.
Then: a fresh repo, or ask GitHub’s support to remove its LFS objects, or give GitHub a copy too:
git -c lfs.url=https://${repo}.git/info/lfs lfs push --all ${remote}`,
  },
  {
    host: 'gitlab.com',
    trap: (remote, repo) =>
      `GitLab refuses pushes with “LFS objects are missing” while its own LFS is on for the project.
Then: switch it off (Settings > General > Visibility > Git LFS), or give GitLab a copy too:
git -c lfs.url=https://${repo}.git/info/lfs lfs push --all ${remote}`,
  },
];

/** A notice for each remote on such a host whose data is kept elsewhere: no fault, and nothing to mend until it happens. */
export async function gitHostFindings(
  clone: GitRepository,
  remotes: readonly string[],
): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const remote of remotes) {
    const url = await getConfig(clone.git, `remote.${remote}.url`);
    const id = url === null ? '' : normaliseRemote(url, clone.topLevel ?? clone.gitDir);
    const host = GIT_HOSTS.find((each) => id.startsWith(`${each.host}/`));
    if (host === undefined) continue;
    const endpoint = await lfsEndpoint({ repo: clone, remote, operation: 'upload' });
    if (endpoint.url === '' || URL.parse(endpoint.url)?.hostname === host.host) continue;
    findings.push(finding('clone')(`git-host-${remote}`, null, host.trap(remote, id)));
  }
  return findings;
}
