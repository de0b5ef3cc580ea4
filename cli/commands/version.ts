/** `datamon version`: what is installed, for bug reports. */
import { FORMAT_VERSION } from '../../core/store.ts';
import { openGit } from '../../git/git.ts';
import { type Command, NO_OPERANDS, rowsOf } from '../command.ts';
import type { Context } from '../context.ts';
import { DATAMON_VERSION } from '../runtime.ts';

export interface Versions {
  readonly datamon: string;
  readonly node: string;
  /** Null where the program is missing or does not answer. */
  readonly git: string | null;
  readonly gitLfs: string | null;
  readonly format: number;
  readonly platform: string;
}

export const version: Command<Versions> = {
  usage: ['version'],
  about: 'says which versions of datamon, Node, git, git-lfs and the store format are at work.',
  examples: [
    ['version', 'one line'],
    ['version --json', 'for a bug report'],
  ],
  options: {},
  operands: NO_OPERANDS,
  run: async (context) => rowsOf([await versionsOf(context)]),
  view: {
    lines: (row) => [
      `datamon ${row.datamon} (format ${row.format}, node ${row.node}, git ${row.git ?? 'missing'}, git-lfs ${row.gitLfs ?? 'missing'})`,
    ],
    id: (row) => row.datamon,
  },
};

export async function versionsOf(context: Context): Promise<Versions> {
  const [git, gitLfs] = await Promise.all([
    programVersion(context, ['--version'], /git version (\S+)/),
    programVersion(context, ['lfs', 'version'], /git-lfs\/(\S+)/),
  ]);
  return {
    datamon: DATAMON_VERSION,
    node: context.runtime.nodeVersion,
    git,
    gitLfs,
    format: FORMAT_VERSION,
    platform: context.runtime.platform,
  };
}

async function programVersion(
  context: Context,
  args: readonly string[],
  pattern: RegExp,
): Promise<string | null> {
  try {
    const git = await openGit({ cwd: context.io.cwd, env: context.io.env });
    const answer = await git.run(args);
    return pattern.exec(answer.stdout.toString('utf8'))?.[1] ?? null;
  } catch {
    return null;
  }
}
