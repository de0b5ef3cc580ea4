/** Everything that is run: the works in order, datamon's own ways, and all peers. */
import type { Archiver } from './archiver.ts';
import type { Work } from './bench.ts';
import type { LfsProgram } from './lfs-program.ts';
import { datamonPut } from './ours/datamon-put.ts';
import { datamonBasic, datamonServer } from './ours/datamon-server.ts';
import { datamonStandalone } from './ours/datamon-standalone.ts';
import { borg } from './peers/borg.ts';
import { casync } from './peers/casync.ts';
import { dvc } from './peers/dvc.ts';
import { giftless } from './peers/giftless.ts';
import { lfsTestServer } from './peers/lfs-test-server.ts';
import { copyAndSync, sha256sum } from './peers/plain-tools.ts';
import { restic } from './peers/restic.ts';
import { rudolfs } from './peers/rudolfs.ts';
import { standaloneFile } from './peers/standalone-file.ts';
import { pushLarge } from './works/w1-push-large.ts';
import { pushInsertion } from './works/w2-push-insertion.ts';
import { pushSmall } from './works/w3-push-small.ts';
import { cloneAll } from './works/w4-clone.ts';
import { pushNothingNew } from './works/w5-push-nothing-new.ts';
import { keepVersions } from './works/w6-versions.ts';
import { batchRate } from './works/w7-batch.ts';
import { randomReads } from './works/w8-random-reads.ts';
import { bundles } from './works/w9-bundles.ts';
import { starts } from './works/w10-starts.ts';
import { manyClients } from './works/w11-clients.ts';
import { peakMemory } from './works/w12-memory.ts';

export const WORKS: readonly Work[] = [
  pushLarge,
  pushInsertion,
  pushSmall,
  cloneAll,
  pushNothingNew,
  keepVersions,
  batchRate,
  randomReads,
  bundles,
  starts,
  manyClients,
  peakMemory,
];

/** In the order in which they take turns: datamon and others by turns. */
export const LFS_PROGRAMS: readonly LfsProgram[] = [
  datamonServer,
  lfsTestServer,
  datamonStandalone,
  standaloneFile,
  datamonBasic,
  rudolfs,
  giftless,
];

export const ARCHIVERS: readonly Archiver[] = [
  datamonPut,
  restic,
  borg,
  copyAndSync,
  casync,
  dvc,
  sha256sum,
];
