/**
 * Bundle descriptors as bytes (docs/format.md §11). Invariant: one descriptor, one text of bytes, and its commit id is the id
 * of the commit object inside, so a bundle proves which commit it is of.
 */
import { type Digest, digestOf } from '../digest.ts';
import { DatamonError, hasCode } from '../errors.ts';
import { canonicalJson, type Json, parseJsonObject } from '../json.ts';
import { type CommitFacts, commitId, parseCommit } from './commit-object.ts';
import type { BundleDescriptor } from './model.ts';
import { parseBundleDescriptor } from './wire.ts';

/** A descriptor holds one commit object; git's own are a few hundred bytes. */
export const BUNDLE_SIZE_MAX_BYTES = 17 * 1024 * 1024;
const VERSION = 1;
const KEY_ORDER = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

export interface EncodedBundle {
  readonly bundle: Digest;
  readonly bytes: Buffer;
}

/** Throws INVALID where the commit object is not that of the commit, or where the fields are not in their one form. */
export function encodeBundle(descriptor: BundleDescriptor): EncodedBundle {
  const { tree, totals, commit, commitObject, rules, pointerExtensions } = descriptor;
  const problem = bundleProblem(descriptor);
  if (problem !== null) throw new DatamonError('INVALID', `the bundle of ${commit} ${problem}`);
  const text = canonicalJson({
    version: VERSION,
    tree,
    totals: { fileCount: totals.fileCount, sizeBytes: totals.sizeBytes },
    commit,
    commitObject,
    rules: { recorder: rules.recorder, config: rules.config },
    pointerExtensions,
  } satisfies Json);
  const bytes = Buffer.from(text, 'utf8');
  return { bundle: digestOf(bytes), bytes };
}

/** Throws CORRUPT where the bytes are not those of `bundle` or not a descriptor; UNSUPPORTED for a newer version. */
export function decodeBundle(bundle: Digest, bytes: Uint8Array): BundleDescriptor {
  const what = `the bundle ${bundle}`;
  if (digestOf(bytes) !== bundle) {
    throw new DatamonError('CORRUPT', `${what} does not read back as what was written`);
  }
  const fields = parseJsonObject(bytes, what);
  const { version } = fields;
  if (version !== VERSION) {
    throw new DatamonError('UNSUPPORTED', `${what} has version ${String(version)}`, {
      hint: 'A newer datamon wrote it. Update this one.',
    });
  }
  const descriptor = parseFields(fields, what);
  const problem = bundleProblem(descriptor);
  if (problem !== null) throw new DatamonError('CORRUPT', `${what} ${problem}`);
  return descriptor;
}

/** What the commit of a bundle says: parents, author, message, inputs. */
export function commitOf(descriptor: BundleDescriptor): CommitFacts {
  return parseCommit(Buffer.from(descriptor.commitObject, 'base64'));
}

/** True for a bundle made without git. */
export function isSynthetic(descriptor: BundleDescriptor): boolean {
  return commitOf(descriptor).tree === descriptor.tree;
}

function parseFields(fields: unknown, what: string): BundleDescriptor {
  try {
    return parseBundleDescriptor(fields, what);
  } catch (error) {
    if (!hasCode(error, 'INVALID')) throw error;
    throw new DatamonError('CORRUPT', error.message, { cause: error });
  }
}

function bundleProblem(descriptor: BundleDescriptor): string | null {
  const { commit, commitObject, pointerExtensions } = descriptor;
  const bytes = Buffer.from(commitObject, 'base64');
  if (bytes.toString('base64') !== commitObject) return 'has a commit object that is not base64';
  if (commitId(bytes, commit) !== commit) return 'holds the commit object of another commit';
  const sorted = [...new Set(pointerExtensions)].sort(KEY_ORDER);
  return sorted.join('\n') === pointerExtensions.join('\n')
    ? null
    : 'lists pointer extensions twice or out of order';
}
