/** What to paste where another tool owns the hooks: we touch nothing there, and name the exact lines instead. */
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { GitRepository } from './repository.ts';

export type HookManager = 'husky' | 'lefthook' | 'pre-commit' | 'core.hooksPath' | 'other';

export interface Snippet {
  readonly manager: HookManager;
  /** File to put it into, as seen from the top of the work tree. */
  readonly file: string;
  readonly text: string;
}

/** Ours comes first, since the first reader eats the list of refs; the others get it by `feed`. */
const SHELL_LINES = `lines=$(cat)
feed() { if [ -n "$lines" ]; then printf '%s\\n' "$lines"; fi; }
if command -v datamon >/dev/null; then feed | datamon hook pre-push "$@" || exit $?
else feed | git lfs pre-push "$@" || exit $?; fi
# A command below that reads the pushed refs: feed | command
`;

const LEFTHOOK_LINES = `pre-push:
  piped: true
  commands:
    datamon:
      priority: 1
      run: datamon hook pre-push {0}
      use_stdin: true
`;

const PRE_COMMIT_LINES = `- repo: local
  hooks:
    - id: datamon
      name: datamon
      entry: datamon hook pre-push
      language: system
      stages: [pre-push]
      always_run: true
      pass_filenames: false
`;

/** `foreign` is the text of the hook that stands in our way, null where core.hooksPath does. */
export async function snippetFor(repo: GitRepository, foreign: string | null): Promise<Snippet> {
  const manager = await managerOf(repo, foreign);
  const shellFile = join(repo.hooksPath ?? '.git/hooks', 'pre-push');
  switch (manager) {
    case 'lefthook':
      return { manager, file: 'lefthook.yml', text: LEFTHOOK_LINES };
    case 'pre-commit':
      return { manager, file: '.pre-commit-config.yaml', text: PRE_COMMIT_LINES };
    case 'husky':
      return { manager, file: '.husky/pre-push', text: SHELL_LINES };
    default:
      return { manager, file: shellFile, text: SHELL_LINES };
  }
}

async function managerOf(repo: GitRepository, foreign: string | null): Promise<HookManager> {
  if (foreign !== null && /lefthook/i.test(foreign)) return 'lefthook';
  if (foreign !== null && /pre-commit/.test(foreign)) return 'pre-commit';
  if (/husky/.test(repo.hooksPath ?? foreign ?? '')) return 'husky';
  const top = repo.topLevel;
  if (repo.hooksPath === null || top === null) return 'other';
  for (const [file, manager] of [
    ['lefthook.yml', 'lefthook'],
    ['.husky', 'husky'],
  ] as const) {
    const exists = await access(join(top, file)).then(
      () => true,
      () => false,
    );
    if (exists) return manager;
  }
  return 'core.hooksPath';
}
