/** W6: many versions of one table, each a little longer or corrected in places: what all of them take to save, and to keep. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Archive, type Archiver, checkRestored } from '../archiver.ts';
import type { Bench, Work } from '../bench.ts';
import { RowFile } from '../data.ts';
import { storedBytes } from '../files-size.ts';
import { type StoredFile, writeGenerated } from '../template.ts';
import { PUT } from './names.ts';

const SAVE = 'all versions';
/** Sizes do not vary, and twenty versions take their time. */
const ROUNDS_MAX = 2;

export const keepVersions: Work = {
  id: 'W6',
  title: 'versions of a table, 1 % changed in each',
  targets: (['restic', 'borg'] as const).map((peer) => ({
    case: SAVE,
    program: PUT,
    metric: 'storedBytes' as const,
    against: [peer],
    bound: { atMost: 1.05 },
  })),
  async run(bench) {
    const rounds = Math.min(bench.rounds, ROUNDS_MAX);
    for (let round = 0; round < rounds; round += 1) await saveAll(bench, round);
  },
};

interface Keeper {
  readonly name: string;
  readonly ours: boolean;
  readonly archive: Archive;
  seconds: number;
}

async function saveAll(bench: Bench, round: number): Promise<void> {
  const { rig, sizes } = bench;
  const folder = await rig.newFolder('table');
  const table = new RowFile(sizes.rowFileBytes);
  let keepers: readonly Keeper[] = await openAll(bench);
  let files: readonly StoredFile[] = [];
  for (let version = 1; version <= sizes.versionCount; version += 1) {
    if (version > 1) table.edit();
    files = [await writeVersion(folder, table)];
    await rig.settle();
    keepers = await bench.takeTurns(
      keepers,
      async (keeper) => {
        keeper.seconds += await rig.timed(keeper.archive.save(folder, version));
      },
      1,
    );
  }
  for (const { name, ours, archive, seconds } of keepers) {
    await bench.attempt({ name, ours }, async () => {
      const values = { seconds, storedBytes: await storedBytes(rig, archive.storeDir) };
      bench.record({ case: SAVE, program: name, values });
      if (round === 0) await checkRestored({ rig, archive, version: sizes.versionCount, files });
    });
    await rm(archive.storeDir, { recursive: true, force: true });
  }
  await rm(folder, { recursive: true });
}

async function openAll({ rig, archivers }: Bench): Promise<readonly Keeper[]> {
  const keepers: Keeper[] = [];
  for (const archiver of archivers.filter(keepsBytes)) {
    const archive = await archiver.open(rig, { compression: 'zstd' });
    keepers.push({ name: archiver.name, ours: archiver.ours, archive, seconds: 0 });
  }
  return keepers;
}

const keepsBytes = ({ name }: Archiver): boolean => name !== 'sha256sum';

async function writeVersion(folder: string, { file, path }: RowFile): Promise<StoredFile> {
  // A new file, as editors and tables' writers make one.
  await rm(join(folder, path), { force: true });
  const oid = await writeGenerated(join(folder, path), file);
  return { path, sizeBytes: file.sizeBytes, oid };
}
