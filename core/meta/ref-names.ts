/** Which log a remote ref belongs to. Refs of the canonical remote log under their own names, those of others below its id. */
import { digestOf } from '../digest.ts';
import { DatamonError } from '../errors.ts';

const REMOTE_ID_DIGIT_COUNT = 16;
export const HEADS = 'refs/heads/';
const TAGS = 'refs/tags/';
const NAME_SIZE_MAX_BYTES = 4096;

export type RefTarget =
  | { readonly kind: 'branch'; readonly name: string }
  | { readonly kind: 'label'; readonly name: string };

/** Short name of a remote, from its normalised URL. */
export function remoteIdOf(remote: string): string {
  return digestOf(remote).slice(0, REMOTE_ID_DIGIT_COUNT);
}

/**
 * `refs/heads/main` is the branch `main`, `refs/tags/v1` the label `v1`; any other ref is a branch by its full name. Of
 * remotes other than `canonical` all are branches: `~<remote id>/main`, `~<remote id>/refs/tags/v1`.
 */
export function refTarget(ref: string, remote: string, canonical: string): RefTarget {
  checkName(ref, 'a ref');
  if (remote !== canonical) {
    return { kind: 'branch', name: `~${remoteIdOf(remote)}/${branchName(ref)}` };
  }
  return ref.startsWith(TAGS) && ref.length > TAGS.length
    ? { kind: 'label', name: ref.slice(TAGS.length) }
    : { kind: 'branch', name: branchName(ref) };
}

/** Throws INVALID for what no ref, branch or label may be called. */
export function checkName(name: string, what: string): void {
  const legal =
    name !== '' &&
    Buffer.byteLength(name) <= NAME_SIZE_MAX_BYTES &&
    !/[\p{Cc}\p{Cs}\\]/u.test(name) &&
    name.trim() === name;
  if (legal) return;
  throw new DatamonError(
    'INVALID',
    `not the name of ${what}: ${JSON.stringify(name.slice(0, 120))}`,
  );
}

/** A label by hand: nothing that a reference elsewhere reads otherwise, such as `REF:PATH` or `branch~2`. */
export function checkLabel(label: string): void {
  checkName(label, 'a label');
  if (!isFullId(label) && !/[\s~^:?*[]|\.\.|@\{|^-|^@$|^latest$/.test(label)) return;
  throw new DatamonError('INVALID', `not the name of a label: ${JSON.stringify(label)}`, {
    hint: 'A label has no spaces and none of ~ ^ : ? * [, does not start with a dash and is no full id.',
  });
}

/** A bundle's or commit's id in full, not its first digits. */
export const isFullId = (text: string): boolean => /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(text);

/** The name that a full ref, or a name itself, logs under. */
export function branchName(ref: string): string {
  const name = ref.startsWith(HEADS) ? ref.slice(HEADS.length) : ref;
  // A branch called `refs/notes/x` must not share a log with the ref of that name.
  return name === '' || name.startsWith('refs/') ? ref : name;
}
