/** What a scrub learns of a store: its pools, its repos, which bundles their logs name, which containers are bad. */
import type { Backend } from '../backend/backend.ts';
import type { BlobReader } from '../cas/blob-reader.ts';
import type { CollectPolicies } from '../cas/condemned.ts';
import type { ContainerKind } from '../cas/container-format.ts';
import type { Containers } from '../cas/containers.ts';
import type { FoundRecord, SegmentIndex } from '../cas/segment-index.ts';
import type { RecordKind } from '../cas/segment-tables.ts';
import type { Digest } from '../digest.ts';
import type { ContainerId, GitSha, Key, PoolName, RepoName } from '../keys.ts';
import type { Extents } from './extents.ts';
import type { FindingState } from './finding.ts';
import type { Flaw } from './prove-container.ts';

/** A bundle, or another tree, that logs name. */
export interface NamedTree {
  /** Of the descriptor; null for the tree of files that only commits in between had. */
  readonly bundle: Digest | null;
  commit: GitSha | null;
  readonly names: string[];
  /** Root page; null where the descriptor does not tell. */
  tree: Digest | null;
  /** Oids that every push of it said it did not bring; null where no push said anything. */
  missing: ReadonlySet<Digest> | null;
}

export interface PoolSurvey {
  readonly name: PoolName;
  readonly condemned: Set<ContainerId>;
  /** How long repos keep what nothing names; null: nobody set any policy. */
  policies: CollectPolicies | null;
  /** Sizes of the packs that were listed. */
  readonly packs: Map<ContainerId, number>;
  /** Packs that some segment leans on. */
  readonly used: Set<ContainerId>;
}

export interface RepoSurvey {
  readonly name: RepoName;
  readonly pool: PoolSurvey;
  readonly trees: Map<Digest, NamedTree>;
  /** Absent oids that only incomplete pushes list, which said so. */
  readonly excused: Set<Digest>;
  readonly containers: Containers;
  readonly index: SegmentIndex;
  readonly reader: BlobReader;
  /** Segments that were listed. */
  readonly segments: Set<ContainerId>;
  /** Verified records that do not read, by kind and oid. */
  readonly broken: Map<string, BrokenRecord>;
  /** What bundles list and no record has, by kind and oid. */
  readonly absent: Map<string, Wanted>;
}

/** A container that is not as it was written. */
export interface BadContainer {
  readonly key: Key;
  readonly kind: ContainerKind;
  readonly id: ContainerId;
  readonly repo: RepoName | null;
  readonly state: FindingState;
  readonly sizeBytes: number;
  readonly flaws: readonly Flaw[];
  /** Null where not even that is known. */
  readonly intact: Extents | null;
}

export interface Wanted {
  readonly oid: Digest;
  readonly kind: RecordKind;
  readonly sizeBytes: number;
}

export interface BrokenRecord extends Wanted {
  /** Containers that it does not read from; none where the bytes read and are others. */
  readonly causes: Set<ContainerId>;
  /** Another record gives its bytes. */
  served: boolean;
}

export interface Survey {
  readonly backend: Backend;
  readonly pools: Map<PoolName, PoolSurvey>;
  readonly repos: Map<RepoName, RepoSurvey>;
  readonly bad: Map<ContainerId, BadContainer>;
}

export const wantedName = (kind: RecordKind, oid: Digest): string => `${kind} ${oid}`;

/** Records that stand in or lean on something condemned count as absent, so nothing is wrong with them. */
export function countsAsAbsent({ segment, runs }: FoundRecord, { condemned }: PoolSurvey): boolean {
  return condemned.has(segment) || runs.some(({ container }) => condemned.has(container.id));
}
