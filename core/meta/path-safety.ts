/**
 * Which paths may become files. A bundle keeps git's paths as they are; these rules act where a path meets a file system
 * (checkout, download, mount) and, for the few that git itself refuses, where a bundle is made.
 */
import type { RawPath } from './model.ts';
import { PATH_SIZE_MAX_BYTES, rawPathToText } from './raw-path.ts';

const COMPONENT_SIZE_MAX_BYTES = 255;
/** Code points that HFS+ ignores in names, so that `.g<200c>it` opens `.git`. */
const HFS_IGNORED = /[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]/g;
/** `git~1` is the short name of `.git` on NTFS. */
const DOT_GIT = /^(?:\.git|git~1)$/i;
/** Nearly no part begins like this, and the rest need no closer look; the two high bytes begin the ignored code points. */
const COULD_BE_DOT_GIT = /^[.gG\xe2\xef]/;
const WINDOWS_RESERVED =
  /^(?:con|prn|aux|nul|conin\$|conout\$|com[0-9\xb9\xb2\xb3]|lpt[0-9\xb9\xb2\xb3])(?:[ ]*[.:].*)?[ ]*$/i;

/** Why git's own fsck refuses this path in a tree, or null. */
export function fsckProblem(path: RawPath): string | null {
  if (path.startsWith('/')) return 'it is absolute';
  for (const component of path.split('/')) {
    const problem = componentProblem(component);
    if (problem !== null) return problem;
  }
  return null;
}

export interface CheckoutOptions {
  /** The rules of a Windows file system on top: backslashes, reserved names, forbidden characters, final dots and spaces. */
  readonly windows?: boolean;
}

/**
 * Why this path must not be written to a disk, or null. What could leave the target folder or reach into a `.git` on any
 * system is refused on every system.
 */
export function checkoutProblem(path: RawPath, options: CheckoutOptions = {}): string | null {
  if (path === '') return 'it is empty';
  if (path.includes('\0')) return 'it holds a NUL byte';
  if (path.length > PATH_SIZE_MAX_BYTES) return `it is longer than ${PATH_SIZE_MAX_BYTES} bytes`;
  if (/^[A-Za-z]:[\\/]/.test(path)) return 'it starts with a drive letter';
  if (/^[\\/]/.test(path)) return 'it is absolute';
  for (const component of path.split('/')) {
    const problem =
      componentProblem(component) ??
      lengthProblem(component) ??
      backslashProblem(component) ??
      (options.windows === true ? windowsProblem(component) : null);
    if (problem !== null) return problem;
  }
  return null;
}

function componentProblem(component: string): string | null {
  if (component === '') return 'it has an empty part';
  if (component === '.' || component === '..') return `it has the part ${component}`;
  return isDotGit(component) ? 'it reaches into a .git folder' : null;
}

/** True for `.git` in any dress: case, NTFS short name, final dots and spaces, streams, code points that HFS+ ignores. */
function isDotGit(component: string): boolean {
  if (!COULD_BE_DOT_GIT.test(component)) return false;
  const text = rawPathToText(component as RawPath) ?? component;
  if (DOT_GIT.test(text.replace(HFS_IGNORED, ''))) return true;
  const [beforeBackslash = ''] = component.split('\\');
  const [beforeStream = ''] = beforeBackslash.split(':');
  return DOT_GIT.test(beforeStream.replace(/[. ]+$/, ''));
}

function lengthProblem(component: string): string | null {
  return component.length > COMPONENT_SIZE_MAX_BYTES
    ? `it has a part longer than ${COMPONENT_SIZE_MAX_BYTES} bytes`
    : null;
}

function backslashProblem(component: string): string | null {
  if (!component.includes('\\')) return null;
  const parts = component.split('\\');
  if (parts.includes('..')) return 'it has the part ..';
  return parts.some(isDotGit) ? 'it reaches into a .git folder' : null;
}

function windowsProblem(component: string): string | null {
  if (component.includes('\\')) return 'it holds a backslash';
  if (WINDOWS_RESERVED.test(component)) return 'it has a part that is a device name on Windows';
  if (/[<>:"|?*]/.test(component) || [...component].some((char) => char < ' '))
    return 'it holds a character that Windows forbids';
  return /[. ]$/.test(component) ? 'it has a part that ends with a dot or a space' : null;
}

/** Paths that are one and the same file on some file system. */
export interface PathCollision {
  /** `unicode`: equal after NFC; `case`: equal after folding case too; `folder`: one is a folder of another's path. */
  readonly reason: 'unicode' | 'case' | 'folder';
  readonly paths: readonly RawPath[];
}

/** Groups of paths that a file system without case or with its own Unicode form would take for one file. The caller decides. */
export function findCollisions(paths: Iterable<RawPath>): readonly PathCollision[] {
  const byKey = new Map<string, RawPath[]>();
  for (const path of paths) {
    const key = foldPath(path);
    const group = byKey.get(key);
    if (group === undefined) byKey.set(key, [path]);
    else if (!group.includes(path)) group.push(path);
  }
  const collisions: PathCollision[] = [];
  for (const group of byKey.values()) {
    if (group.length > 1) collisions.push({ reason: twinReason(group), paths: group });
  }
  return [...collisions, ...folderCollisions(byKey)];
}

function twinReason(group: readonly RawPath[]): 'unicode' | 'case' {
  return new Set(group.map(normalForm)).size === 1 ? 'unicode' : 'case';
}

/** Files whose folded path is a folder of another file's. */
function folderCollisions(byKey: ReadonlyMap<string, readonly RawPath[]>): PathCollision[] {
  const collisions = new Map<string, PathCollision>();
  for (const [key, group] of byKey) {
    for (let end = key.indexOf('/'); end >= 0; end = key.indexOf('/', end + 1)) {
      const files = byKey.get(key.slice(0, end));
      if (files === undefined) continue;
      const before = collisions.get(key.slice(0, end))?.paths ?? files;
      collisions.set(key.slice(0, end), { reason: 'folder', paths: [...before, ...group] });
    }
  }
  return [...collisions.values()];
}

const normalForm = (path: RawPath): string => (rawPathToText(path) ?? path).normalize('NFC');

/** One text for all paths that some file system takes for the same. */
export const foldPath = (path: RawPath): string =>
  // Upper first: it joins what lower alone keeps apart (ſ and s, ß and ss, the Greek final sigma).
  normalForm(path).toUpperCase().toLowerCase().normalize('NFC');
