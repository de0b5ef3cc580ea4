/** Log entries as they stand in a store (docs/format.md §12), where that is more than the port shows. */
import type { Digest } from '../digest.ts';
import type { GitSha } from '../keys.ts';
import { digest, gitSha, nullable, type Parse, record } from '../shape.ts';
import type { BranchEvent, BundleRules, LabelEvent } from './model.ts';
import { parseBranchEvent, parseLabelEvent, parseRules } from './wire.ts';

/** Entry of a commit's log. */
export interface CommitRecord {
  readonly bundle: Digest;
  readonly rules: BundleRules;
}

/** A label event, and what set it. */
export interface LabelRecord extends LabelEvent {
  /** The commit a tag was seen at (null: the tag was deleted); null where a person set the label. */
  readonly tag: { readonly gitNew: GitSha | null } | null;
}

const commitRecord = record<CommitRecord>({ bundle: digest, rules: parseRules });
const tag: Parse<LabelRecord['tag']> = nullable(
  record<{ gitNew: GitSha | null }>({ gitNew: nullable(gitSha) }),
);
const tagOf = record<{ tag: LabelRecord['tag'] }>({ tag });

export const parseCommitRecord = (event: unknown): CommitRecord =>
  commitRecord(event, 'commit event');
export const parseBranchRecord = (event: unknown): BranchEvent =>
  parseBranchEvent(event, 'branch event');
export const parseLabelRecord = (event: unknown): LabelRecord => ({
  ...parseLabelEvent(event, 'label event'),
  ...tagOf(event, 'label event'),
});
