/** Which symbolic links may be made: those that lead, whatever the links on their way, to a place inside the root. */

/** Why a link that lies `depth` folders below the root may not be made: it is absolute, or leads out of the root. Null where it may. */
export function linkProblem(depth: number, target: string): string | null {
  if (target === '' || target.includes('\0')) return 'a link without a target';
  if (target.startsWith('/') || target.includes('\\') || /^[A-Za-z]:/.test(target)) {
    return `a link to ${JSON.stringify(target)}, which is outside`;
  }
  let left = depth;
  let descending = false;
  for (const part of target.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') {
      descending = true;
      continue;
    }
    left -= 1;
    // Behind a name, `..` may mean another link's parent; only leading ones are certain to stay inside.
    if (descending || left < 0)
      return `a link to ${JSON.stringify(target)}, which may lead outside`;
  }
  return null;
}
