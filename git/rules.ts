/** What a bundle lists: decided by `.datamon.yaml` in the commit itself, so that every client makes the same bundle of it. */
import type * as yaml from 'yaml';
import { type Digest, digestOf } from '../core/digest.ts';
import { DatamonError } from '../core/errors.ts';
import type { GitSha } from '../core/keys.ts';
import type { RawPath } from '../core/meta/model.ts';
import { TRUE_OBJECTS } from './commit.ts';
import type { Git } from './git.ts';

export const RULES_FILE = '.datamon.yaml';
const RULES_SIZE_MAX_BYTES = 64 * 1024;

/** `lfs`: LFS files and the root's README, LICENSE and data card. `all`: every file. */
export type RecordMode = 'lfs' | 'all';

export interface ContentRules {
  readonly record: RecordMode;
  /** Digest of the rules file, null without one. */
  readonly config: Digest | null;
}

/** Root files that a reader of the data needs and that are no secret: nothing else of the code leaves git by default. */
const DOCUMENT =
  /^(readme|licen[cs]e|copying|data[-_]?card|dataset[-_]?card|datasheet)(\.[a-z0-9]{1,12})?$/i;

export const isRootDocument = (path: RawPath): boolean => DOCUMENT.test(path);

export async function rulesOfCommit(git: Git, commit: GitSha): Promise<ContentRules> {
  const answer = await git.run(['cat-file', 'blob', `${commit}:${RULES_FILE}`], {
    env: TRUE_OBJECTS,
  });
  if (answer.status !== 0) return { record: 'lfs', config: null };
  // Every push asks, and few commits have the file.
  const rules = parseRules(answer.stdout, commit, await import('yaml'));
  return { record: rules, config: digestOf(answer.stdout) };
}

/** Unknown keys are ignored, so that newer rules do not stop older clients; a value nobody knows is an error. */
export function parseRules(bytes: Uint8Array, commit: string, reader: typeof yaml): RecordMode {
  const where = `${RULES_FILE} of commit ${commit.slice(0, 10)}`;
  if (bytes.length > RULES_SIZE_MAX_BYTES) {
    throw new DatamonError('INVALID', `${where} is larger than ${RULES_SIZE_MAX_BYTES} bytes`);
  }
  const record = recordField(bytes, where, reader);
  if (record === undefined || record === null || record === 'lfs') return 'lfs';
  if (record === 'all') return 'all';
  throw new DatamonError('INVALID', `${where}: record is neither "lfs" nor "all"`, {
    hint: `Correct ${RULES_FILE}, commit it and push again.`,
  });
}

function recordField(bytes: Uint8Array, where: string, reader: typeof yaml): unknown {
  let value: unknown;
  try {
    value = reader.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes), {
      logLevel: 'silent',
      maxAliasCount: 0,
    });
  } catch (cause) {
    throw new DatamonError('INVALID', `${where} is not YAML`, {
      cause,
      hint: `Correct ${RULES_FILE}, commit it and push again.`,
    });
  }
  if (value === null) return null;
  if (typeof value === 'object' && !Array.isArray(value)) {
    return (value as { readonly record?: unknown }).record;
  }
  throw new DatamonError('INVALID', `${where} is not a list of "key: value" lines`);
}
