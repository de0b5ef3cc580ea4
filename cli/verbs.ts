/** The verb table: every verb, its group on the help screen, and where its code is. Code is loaded when its verb runs. */
import type { Command } from './command.ts';

export type VerbGroup = 'start' | 'look' | 'data' | 'keep' | 'run' | 'also' | 'hidden';

/** Another program of datamon, reached through `datamon <verb>`. */
export type ProgramName = 'serve' | 'hook' | 'agent';

export interface Verb {
  readonly name: string;
  readonly group: VerbGroup;
  /** Operands on the help screen. */
  readonly operands: string;
  readonly summary: string;
  readonly load: () => Promise<Command>;
  /** Set where the arguments go to another program as they are. */
  readonly program?: ProgramName;
}

/** In the order of the help screen. */
export const VERBS: readonly Verb[] = [
  {
    name: 'install',
    group: 'start',
    operands: '',
    summary: 'connect git on this machine, once; --local --dry-run',
    load: async () => (await import('./commands/install.ts')).install,
  },
  {
    name: 'uninstall',
    group: 'start',
    operands: '',
    summary: 'put git back as it was, hooks included',
    load: async () => (await import('./commands/uninstall.ts')).uninstall,
  },
  {
    name: 'init',
    group: 'start',
    operands: '[URL]',
    summary: 'keep this clone’s data in URL: a server’s https://…, or a directory',
    load: async () => (await import('./commands/init.ts')).init,
  },
  {
    name: 'login',
    group: 'start',
    operands: '[URL]',
    summary: 'hand a token to git’s credential helper; --token-stdin, --logout',
    load: async () => (await import('./commands/login.ts')).login,
  },
  {
    name: 'doctor',
    group: 'start',
    operands: '',
    summary: 'check this machine and clone; each ✗ has one command; --fix',
    load: async () => (await import('./commands/doctor.ts')).doctor,
  },
  {
    name: 'demo',
    group: 'start',
    operands: '',
    summary: 'try everything in a throw-away folder; --exit',
    load: async () => (await import('./commands/demo.ts')).demo,
  },
  {
    name: 'status',
    group: 'look',
    operands: '',
    summary: 'this clone: store, hooks, pushes not confirmed, last receipt',
    load: async () => (await import('./commands/status.ts')).status,
  },
  {
    name: 'log',
    group: 'look',
    operands: '[REF]',
    summary: 'pushes, newest first: bundle, commit, who, new bytes; --stat --path',
    load: async () => (await import('./commands/log.ts')).log,
  },
  {
    name: 'show',
    group: 'look',
    operands: '[REF]',
    summary: 'one bundle: commit, author, receipt, lineage',
    load: async () => (await import('./commands/show.ts')).show,
  },
  {
    name: 'ls',
    group: 'look',
    operands: '[REF[:PATH]]',
    summary: 'files with their sizes; -r -l',
    load: async () => (await import('./commands/ls.ts')).ls,
  },
  {
    name: 'diff',
    group: 'look',
    operands: 'A [B] [-- PATH]',
    summary: 'files added, removed, changed, and bytes; --exit-code',
    load: async () => (await import('./commands/diff.ts')).diff,
  },
  {
    name: 'cat',
    group: 'look',
    operands: 'REF:PATH',
    summary: 'a file’s bytes to stdout; --range',
    load: async () => (await import('./commands/cat.ts')).cat,
  },
  {
    name: 'get',
    group: 'data',
    operands: 'REF[:PATH] [DIR]',
    summary: 'download without git; --include GLOB --dry-run',
    load: async () => (await import('./commands/get.ts')).get,
  },
  {
    name: 'put',
    group: 'data',
    operands: 'DIR REPO[:BRANCH]',
    summary: 'upload without git, as a bundle; -m --label',
    load: async () => (await import('./commands/put.ts')).put,
  },
  {
    name: 'label',
    group: 'data',
    operands: 'list|set|rm|log',
    summary: 'names that only a person moves',
    load: async () => (await import('./commands/label.ts')).label,
  },
  {
    name: 'repo',
    group: 'data',
    operands: 'list|create|show',
    summary: 'the repos of a store or server',
    load: async () => (await import('./commands/repo.ts')).repo,
  },
  {
    name: 'record',
    group: 'keep',
    operands: '[REF…]',
    summary: 'make bundles for pushes made without the hook; --all',
    load: async () => (await import('./commands/record.ts')).record,
  },
  {
    name: 'fsck',
    group: 'keep',
    operands: '[STORE]',
    summary: 'read a store back and prove it; --sample 5% --repair --from DIR',
    load: async () => (await import('./commands/fsck.ts')).fsck,
  },
  {
    name: 'prune',
    group: 'keep',
    operands: '',
    summary: 'free local copies the store is proven to hold; --dry-run --quick',
    load: async () => (await import('./commands/prune.ts')).prune,
  },
  {
    name: 'gc',
    group: 'keep',
    operands: 'STORE',
    summary: 'plan what a store can let go; --apply PLAN, a day later again',
    load: async () => (await import('./commands/gc.ts')).gc,
  },
  {
    name: 'replicate',
    group: 'keep',
    operands: 'STORE',
    summary: 'keep a store in several places; --add --status --resync --promote',
    load: async () => (await import('./commands/replicate.ts')).replicate,
  },
  {
    name: 'serve',
    group: 'run',
    operands: '',
    summary: 'LFS server, API and pages on a store; --store --listen',
    load: async () => (await import('./commands/programs.ts')).serve,
    program: 'serve',
  },
  {
    name: 'token',
    group: 'run',
    operands: 'mint|show',
    summary: 'make a token for a server, or read one without its secrets',
    load: async () => (await import('./commands/token.ts')).token,
  },
  {
    name: 'config',
    group: 'also',
    operands: '[get|set]',
    summary: 'every setting and where its value comes from',
    load: async () => (await import('./commands/config.ts')).config,
  },
  {
    name: 'version',
    group: 'also',
    operands: '',
    summary: 'versions of datamon, Node, git, git-lfs and the format',
    load: async () => (await import('./commands/version.ts')).version,
  },
  {
    name: 'help',
    group: 'also',
    operands: '[VERB]',
    summary: 'this screen, or one verb’s',
    load: async () => (await import('./commands/help.ts')).help,
  },
  {
    name: 'hook',
    group: 'hidden',
    operands: '',
    summary: 'what the git hooks run',
    load: async () => (await import('./commands/programs.ts')).hook,
    program: 'hook',
  },
  {
    name: 'agent',
    group: 'hidden',
    operands: '',
    summary: 'what git-lfs runs',
    load: async () => (await import('./commands/programs.ts')).agent,
    program: 'agent',
  },
  {
    name: 'credential',
    group: 'hidden',
    operands: 'get',
    summary: 'git credential helper that answers with DATAMON_TOKEN',
    load: async () => (await import('./commands/credential.ts')).credential,
  },
];

export const findVerb = (name: string): Verb | null =>
  VERBS.find((verb) => verb.name === name) ?? null;

export const visibleVerbs = (): readonly Verb[] => VERBS.filter((verb) => verb.group !== 'hidden');
