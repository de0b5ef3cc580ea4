/** W7: batch requests, the one call that every LFS client makes before it moves a byte: how many a second, and how long each waits. */

import { digestOf } from '../../core/digest.ts';
import { seededBytes } from '../../test/support/splitmix64.ts';
import type { Work } from '../bench.ts';
import { type LfsObject, loadBatches, uploadObjects } from '../http-load.ts';
import { quantile } from '../statistics.ts';
import { BASIC_PEERS, SERVER } from './names.ts';

const BATCH = 'batch of present objects';
const SEED = 7_000_000;
const OBJECT_SIZE_BYTES = 100;

export const batchRate: Work = {
  id: 'W7',
  title: 'batch requests',
  targets: [
    {
      case: BATCH,
      program: SERVER,
      metric: 'requestsPerSecond',
      against: BASIC_PEERS,
      bound: { atLeast: 1 },
    },
  ],
  async run(bench) {
    const { rig, sizes } = bench;
    const objects = makeObjects(sizes.batchObjectCount);
    // One and the same server, whatever its clients have.
    const servers = bench.lfsPrograms.filter(
      ({ name, hasNetwork }) => hasNetwork && name !== 'datamon-basic',
    );
    await bench.takeTurns(servers, async (program) => {
      const host = await program.start(rig, {});
      try {
        const lfsUrl = host.lfsUrl('data');
        await uploadObjects(lfsUrl, objects);
        const { batchCount: requestCount, connectionCount } = sizes;
        const result = await loadBatches({ lfsUrl, objects, requestCount, connectionCount });
        const values = {
          requestsPerSecond: result.requestsPerSecond,
          latencyMs: quantile(result.latenciesMs, 0.5),
          latencyP99Ms: quantile(result.latenciesMs, 0.99),
        };
        bench.record({ case: BATCH, program: program.name, values });
      } finally {
        await host.close();
      }
    });
  },
};

const makeObjects = (count: number): readonly LfsObject[] =>
  Array.from({ length: count }, (_, index) => {
    const bytes = seededBytes(SEED + index, OBJECT_SIZE_BYTES);
    return { oid: digestOf(bytes), bytes };
  });
