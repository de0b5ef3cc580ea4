/** What the collector needs to read a repo's pages and to publish records into it. */
import { collect } from '../bytes.ts';
import { BlobReader } from '../cas/blob-reader.ts';
import { Committer } from '../cas/committer.ts';
import type { Condemned } from '../cas/condemned.ts';
import type { Containers } from '../cas/containers.ts';
import { FRAME_RAW_SIZE_MAX_BYTES } from '../cas/frame.ts';
import { Holdings } from '../cas/holdings.ts';
import type { PackWriterOptions } from '../cas/pack-writer.ts';
import { SegmentIndex } from '../cas/segment-index.ts';
import type { Digest } from '../digest.ts';
import type { PoolOptions, SurveyedRepo } from './pool-survey.ts';

export interface RepoHands {
  readonly packs: PackWriterOptions;
  readonly containers: Containers;
  readonly committer: Committer;
  readonly getPage: (digest: Digest) => Promise<Uint8Array>;
}

export function openHands(
  { backend, spoolDir, random }: PoolOptions,
  { repo, containers }: SurveyedRepo,
  condemned: Condemned,
): RepoHands {
  const index = new SegmentIndex({ backend, repo, containers });
  const holdings = new Holdings({ backend, containers, condemned });
  const packs = { backend, containers, spoolDir, random };
  const committer = new Committer({
    ...packs,
    index,
    condemned,
    schedule: (_delayMs, run) => run(),
    onPublished: async () => {},
  });
  const reader = new BlobReader({ backend, containers, index, holdings });
  const getPage: RepoHands['getPage'] = (digest) =>
    collect(reader.read(digest, 'page'), FRAME_RAW_SIZE_MAX_BYTES);
  return { packs, containers, committer, getPage };
}
