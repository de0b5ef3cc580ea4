/** What the agent has to know of the clone it serves, looked up once and only when asked: git-lfs starts one agent per command. */
import { dirname } from 'node:path';
import { getConfig, isTrue } from '../git/config.ts';
import { committedConfig, lfsEndpoint } from '../git/lfs-endpoint.ts';
import { openLfsStore } from '../git/lfs-store.ts';
import { type GitRepository, openGitRepo } from '../git/repository.ts';
import type { InitRequest } from './messages.ts';

export interface Clone {
  /** The LFS URL as git-lfs sees it; `isStore` where it is one only we can read, so that no server takes part. */
  endpoint(init: InitRequest): Promise<{ readonly url: string; readonly isStore: boolean }>;
  /** Absolute; holds `objects` and `tmp`. */
  lfsDirectory(): Promise<string>;
  /** `core.sharedRepository`. */
  sharedRepository(): Promise<string | null>;
  /** True where every prune asks the remote first, `git lfs fetch --prune` too. */
  prunesAfterCheck(): Promise<boolean>;
  /** `datamon.hooks`. */
  hooksPolicy(): Promise<string | null>;
  readonly repo: GitRepository;
}

/**
 * git-lfs runs us in the top folder, in `/`, or wherever; GIT_DIR and GIT_WORK_TREE then say what is meant. What git and a committed
 * `.lfsconfig` say is read once, now.
 */
export async function openClone(
  cwd: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Clone> {
  const repo = await openGitRepo(cwd, env, { configuration: 'once' });
  // Every init asks for it, and this comes before init: git runs while the rest of the agent loads.
  const committed = committedConfig(repo);
  committed.catch(() => {});
  return {
    repo,
    endpoint: async ({ remote, operation }) => {
      const { url, kind } = await lfsEndpoint({ repo, remote, operation, committed });
      return { url, isStore: kind === 'datamon-store' };
    },
    lfsDirectory: async () => dirname((await openLfsStore(repo)).folder),
    sharedRepository: () => getConfig(repo.git, 'core.sharedRepository'),
    prunesAfterCheck: async () => isTrue(await getConfig(repo.git, 'lfs.pruneverifyremotealways')),
    hooksPolicy: () => getConfig(repo.git, 'datamon.hooks'),
  };
}
