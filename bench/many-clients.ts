/** Several clients of one host that push at the same time, each a repo and bytes of its own. */
import type { Bench } from './bench.ts';
import { Project } from './git-project.ts';
import type { LfsHost } from './lfs-program.ts';

/** Calls `work` with all clients ready to push. */
export async function withClients<T>(
  { rig, sizes, templates }: Bench,
  host: LfsHost,
  work: (clients: readonly Project[]) => Promise<T>,
): Promise<T> {
  const clients: Project[] = [];
  try {
    for (let index = 0; index < sizes.clientCount; index += 1) {
      const template = await templates.client(index);
      clients.push(await Project.create({ rig, host, template, repo: `data-${index}` }));
    }
    await rig.settle();
    return await work(clients);
  } finally {
    for (const client of clients) await client.remove();
  }
}

/** Seconds until the last one is done. */
export async function pushAtOnce(clients: readonly Project[]): Promise<number> {
  const began = performance.now();
  await Promise.all(clients.map((client) => client.push()));
  return (performance.now() - began) / 1000;
}
