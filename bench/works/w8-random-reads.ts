/**
 * W8: one hundredth of a large file, read in pieces at random places: how many bytes are fetched for each byte wanted, straight from a
 * store (counted at the backend) and through a server (counted on the wire).
 */
import { rm } from 'node:fs/promises';
import { openBackend } from '../../backends/open.ts';
import { openRepositoryUrl } from '../../client/open.ts';
import { createMeteredBackend } from '../../core/backend/metered.ts';
import { collect } from '../../core/bytes.ts';
import { DatamonError } from '../../core/errors.ts';
import { parseRepoName } from '../../core/keys.ts';
import type { Repository } from '../../core/meta/repository.ts';
import { openRepository } from '../../core/open-repository.ts';
import { seededBytes, splitmix64 } from '../../test/support/splitmix64.ts';
import type { Bench, Work } from '../bench.ts';
import { BIG_SEED } from '../data.ts';
import { Project } from '../git-project.ts';
import type { LfsHost } from '../lfs-program.ts';
import { datamonServer } from '../ours/datamon-server.ts';
import type { Template } from '../template.ts';
import { SERVER, STANDALONE } from './names.ts';

const READ = 'random reads of 1 %';
const FETCHED_MAX = 3;
const SHARE = 0.01;
const READ_SEED = 8;
const REPO = parseRepoName('bench/data');

export const randomReads: Work = {
  id: 'W8',
  title: 'random reads in a large file',
  targets: ([SERVER, STANDALONE] as const).map((program) => ({
    case: READ,
    program,
    metric: 'fetchedBytesPerByteRead' as const,
    bound: { atMost: FETCHED_MAX },
  })),
  async run(bench) {
    const { rig } = bench;
    const template = await bench.templates.big();
    await bench.attempt(datamonServer, async () => {
      const host = await datamonServer.start(rig, { front: { roundTripMs: 0 } });
      try {
        const project = await Project.create({ rig, host, template, repo: 'data' });
        await project.push();
        await project.remove();
        for (let round = 0; round < bench.rounds; round += 1) {
          await readThroughServer(bench, { host, template, round });
          await readStore(bench, { host, template, round });
        }
      } finally {
        await host.close();
        await rm(host.storeDir, { recursive: true });
      }
    });
  },
};

interface Place {
  readonly host: LfsHost;
  readonly template: Template;
  readonly round: number;
}

/** Each round with a client and caches of its own, from cold. */
async function readThroughServer(bench: Bench, { host, template, round }: Place): Promise<void> {
  const fetched = (): number => host.front?.counts().downBytes ?? 0;
  const before = fetched();
  const repository = await openRepositoryUrl(host.lfsUrl('data'));
  await readAndRecord(
    bench,
    { repository, template, round, program: SERVER },
    () => fetched() - before,
  );
}

async function readStore(bench: Bench, { host, template, round }: Place): Promise<void> {
  const metered = createMeteredBackend(await openBackend(`file://${host.storeDir}`));
  const spoolDir = await bench.rig.newFolder('spool');
  const repository = await openRepository(metered.backend, REPO, { spoolDir });
  await readAndRecord(
    bench,
    { repository, template, round, program: STANDALONE },
    () => metered.counts().receivedBytes,
  );
}

async function readAndRecord(
  bench: Bench,
  what: {
    readonly repository: Repository;
    readonly template: Template;
    readonly round: number;
    readonly program: string;
  },
  fetchedBytes: () => number,
): Promise<void> {
  const { repository, template, round, program } = what;
  try {
    const began = performance.now();
    const readBytes = await readRandomly(bench, { repository, template, round });
    const seconds = (performance.now() - began) / 1000;
    const values = { seconds, fetchedBytesPerByteRead: fetchedBytes() / readBytes };
    bench.record({ case: READ, program, values });
  } finally {
    await repository.close();
  }
}

/** Reads one after the other, each compared with the bytes that the seed decides; how many bytes there were. */
async function readRandomly(
  { sizes }: Bench,
  what: { readonly repository: Repository; readonly template: Template; readonly round: number },
): Promise<number> {
  const [file] = what.template.versions[0] ?? [];
  if (file === undefined) throw new Error('a template without a large file');
  const random = splitmix64(READ_SEED + what.round);
  const pieceBytes = sizes.readBytes;
  const count = Math.max(1, Math.round((file.sizeBytes * SHARE) / pieceBytes));
  for (let read = 0; read < count; read += 1) {
    const start = Math.floor(random() * (file.sizeBytes - pieceBytes));
    const range = { start, end: start + pieceBytes };
    const bytes = await collect(what.repository.blobs.get(file.oid, range), pieceBytes);
    if (!seededBytes(BIG_SEED, pieceBytes, start).equals(bytes)) {
      throw new DatamonError('MISMATCH', `bytes ${start} to ${range.end} are not what was stored`);
    }
  }
  return count * pieceBytes;
}
