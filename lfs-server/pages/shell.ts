/** Commands to copy. Invariant: a word is one word in the shell, whatever people called their branches and files. */

const HARMLESS = /^[A-Za-z0-9_./+@%:,=-]+$/;

export const shellWord = (text: string): string =>
  HARMLESS.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;

/** `datamon <verb> --repo <url> <words>`. */
export const datamonCommand = (verb: string, url: string, ...words: readonly string[]): string =>
  ['datamon', verb, '--repo', url, ...words].map(shellWord).join(' ');
