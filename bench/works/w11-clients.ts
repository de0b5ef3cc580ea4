/** W11: several clients that push to one server at the same time. */
import { rm } from 'node:fs/promises';
import type { Work } from '../bench.ts';
import { pushAtOnce, withClients } from '../many-clients.ts';

export const manyClients: Work = {
  id: 'W11',
  title: 'clients pushing at once',
  targets: [],
  async run(bench) {
    const { rig, sizes } = bench;
    const name = `${sizes.clientCount} clients, until the last is done`;
    await bench.takeTurns(bench.lfsPrograms, async (program, round) => {
      const host = await program.start(rig, {});
      try {
        await withClients(bench, host, async (clients) => {
          const seconds = await pushAtOnce(clients);
          bench.record({ case: name, program: program.name, values: { seconds } });
          if (round > 0) return;
          for (const client of clients) await client.clone(0);
        });
      } finally {
        await host.close();
        await rm(host.storeDir, { recursive: true, force: true });
      }
    });
  },
};
