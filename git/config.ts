/** git's configuration: read as git sees it, written at one named level. Values are text; names are checked by git. */
import { DatamonError } from '../core/errors.ts';
import type { ConfigEntry, Git } from './git.ts';

export type ConfigLevel = 'local' | 'global' | 'system' | 'worktree';

const KEY = /^[A-Za-z][A-Za-z0-9.-]*\..+$/;

function checkedKey(key: string): string {
  if (KEY.test(key) && !key.includes('\n') && !key.includes('\0')) return key;
  throw new DatamonError('INVALID', `not a git configuration key: ${JSON.stringify(key)}`);
}

/** The value that wins, or null. */
export async function getConfig(
  git: Git,
  key: string,
  level?: ConfigLevel,
): Promise<string | null> {
  const all = await getAllConfig(git, key, level);
  return all.at(-1) ?? null;
}

/** All values of a key, in git's order. */
export async function getAllConfig(
  git: Git,
  key: string,
  level?: ConfigLevel,
): Promise<readonly string[]> {
  if (level === undefined && git.configuration !== undefined) {
    return valuesOf(git.configuration, checkedKey(key));
  }
  const where = level === undefined ? [] : [`--${level}`];
  const text = await git.text(['config', ...where, '-z', '--get-all', checkedKey(key)]);
  return text.split('\0').slice(0, -1);
}

function valuesOf(entries: readonly ConfigEntry[], key: string): readonly string[] {
  const wanted = folded(key);
  return entries.filter((entry) => entry.key === wanted).map(({ value }) => value ?? '');
}

/** Section and name are the same in any case, what stands between them is not. */
function folded(key: string): string {
  const [first, last] = [key.indexOf('.'), key.lastIndexOf('.')];
  return key.slice(0, first).toLowerCase() + key.slice(first, last) + key.slice(last).toLowerCase();
}

/** The value that wins among entries; null where none has the key. */
export const lastValue = (entries: readonly ConfigEntry[], key: string): string | null =>
  valuesOf(entries, key).at(-1) ?? null;

/** Every entry git sees, in order of rising precedence; or those of one file or blob alone. */
export async function listConfig(
  git: Git,
  source: readonly string[] = [],
): Promise<readonly ConfigEntry[]> {
  if (source.length === 0 && git.configuration !== undefined) return git.configuration;
  const answer = await git.run(['config', ...source, '-z', '--list']);
  if (answer.status !== 0) {
    throw new DatamonError('INVALID', `git cannot read its configuration: ${answer.stderr.trim()}`);
  }
  return parseConfigList(answer.stdout.toString('utf8'));
}

export function parseConfigList(text: string): readonly ConfigEntry[] {
  return text
    .split('\0')
    .slice(0, -1)
    .map((entry) => {
      const end = entry.indexOf('\n');
      return end < 0
        ? { key: entry, value: null }
        : { key: entry.slice(0, end), value: entry.slice(end + 1) };
    });
}

/** Sets a key to one value, whatever it was. */
export async function setConfig(
  git: Git,
  level: ConfigLevel,
  key: string,
  value: string,
): Promise<void> {
  await git.bytes(['config', `--${level}`, '--replace-all', checkedKey(key), value]);
}

const STATUS_NOT_SET = 5;

/** Removes all values of a key. False where there were none. */
export async function unsetConfig(git: Git, level: ConfigLevel, key: string): Promise<boolean> {
  const answer = await git.run(['config', `--${level}`, '--unset-all', checkedKey(key)]);
  if (answer.status === 0) return true;
  if (answer.status === STATUS_NOT_SET) return false;
  throw new DatamonError('INVALID', `git cannot unset ${key}: ${answer.stderr.trim()}`);
}

/** A yes/no key, as git reads such. */
export function isTrue(value: string | null): boolean {
  return value !== null && /^(true|yes|on|[1-9][0-9]*)$/i.test(value);
}
