/** The text of our two hooks, and how to tell them from git-lfs's own and from anybody else's. POSIX sh, no program started where nothing is to do. */

export const OUR_HOOKS = ['pre-push', 'reference-transaction'] as const;
export type OurHook = (typeof OUR_HOOKS)[number];

/** What a hook we replaced is called meanwhile. */
export const SAVED_SUFFIX = '.before-datamon';
/** Raised when the text below changes, so that an older one is replaced. */
const HOOK_VERSION = 1;
const MARK = '# Written by datamon, which takes it out again: datamon uninstall';

export type HookOwner = 'ours' | 'stock' | 'foreign';

/** git-lfs's own pre-push, of any version: a check that git-lfs is there, and the one call. */
const STOCK =
  /^#!\/bin\/sh\s*\n(?:command -v git-lfs [^\n]*exit \d+; ?\}\s*\n)?git[ -]lfs (?:pre-push|push --stdin) (?:"\$@"|\$@|"\$\*"|\$\*)\s*$/;

export function ownerOf(text: string): HookOwner {
  if (text.includes(MARK)) return 'ours';
  return STOCK.test(text) ? 'stock' : 'foreign';
}

export interface ScriptOptions {
  /** Absolute path of the `datamon` launcher. */
  readonly launcher: string;
  /** Hands on to the hook that was replaced, before our own work. */
  readonly chained: boolean;
}

export function hookScript(hook: OurHook, options: ScriptOptions): string {
  const head = ['#!/bin/sh', MARK, `# ${hook}, version ${HOOK_VERSION}`];
  const body = hook === 'pre-push' ? prePush(options) : referenceTransaction(options);
  return `${[...head, ...body].join('\n')}\n`;
}

/** One sh word, whatever is in it. */
export function quoteForSh(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** Keeps standard input, so that two programs can read it; an empty one stays empty. */
const KEEP_INPUT = [
  'lines=$(cat)',
  'feed() { if [ -n "$lines" ]; then printf \'%s\\n\' "$lines"; fi; }',
];

const HAND_ON = [
  `if [ -x "$0${SAVED_SUFFIX}" ]; then`,
  `  feed | "$0${SAVED_SUFFIX}" "$@" || exit $?`,
  'fi',
];

/**
 * No lines: everything is up to date, and not even Node is started. Exit statuses 126 and 127: the launcher, or its Node,
 * cannot be run; git-lfs takes over then.
 */
function prePush({ launcher, chained }: ScriptOptions): readonly string[] {
  const git = 'feed | git lfs pre-push "$@"';
  return [
    ...KEEP_INPUT,
    ...(chained ? HAND_ON : []),
    '[ -n "$lines" ] || exit 0',
    `datamon=${quoteForSh(launcher)}`,
    `[ -x "$datamon" ] || datamon=$(command -v datamon) || { ${git}; exit $?; }`,
    'feed | "$datamon" hook pre-push "$@"',
    'status=$?',
    `case $status in 126 | 127) ${git}; exit $? ;; esac`,
    'exit $status',
  ];
}

/**
 * Runs several times in every git command, so it decides by itself: only where a push moved a remote-tracking branch. That
 * is where a push is announced, or where the branch's log says so and we have not seen it there: the pre-push hook was skipped.
 */
function referenceTransaction({ launcher, chained }: ScriptOptions): readonly string[] {
  return [
    ...(chained ? [...KEEP_INPUT, ...HAND_ON] : []),
    '[ "$1" = committed ] || exit 0',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: sh, not a template
    'git=${0%/*}/..',
    'pushed=',
    'set -- "$git"/datamon/pending/*.json',
    '[ ! -e "$1" ] || pushed=announced',
    'moved=$(',
    chained ? '  feed | while read -r old new ref; do' : '  while read -r old new ref; do',
    '    case $ref in refs/remotes/*) ;; *) continue ;; esac',
    '    if [ -z "$pushed" ]; then',
    '      seen=',
    '      [ ! -f "$git/datamon/seen/$ref" ] || read -r seen <"$git/datamon/seen/$ref"',
    '      [ "$seen" != "$new" ] || continue',
    '      case $(tail -n 1 "$git/logs/$ref" 2>/dev/null) in *"update by push") ;; *) continue ;; esac',
    '    fi',
    '    echo "$old $new $ref"',
    '  done',
    ')',
    '[ -n "$moved" ] || exit 0',
    `datamon=${quoteForSh(launcher)}`,
    '[ -x "$datamon" ] || datamon=$(command -v datamon) || exit 0',
    'echo "$moved" | "$datamon" hook reference-transaction committed',
    'exit 0',
  ];
}
