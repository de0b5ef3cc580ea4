/** A whole collection of a soak store in one go: every container is condemned, what lives is copied out, and a day later by the store's clock they are deleted. */
import type { Backend } from '../../core/backend/backend.ts';
import { type Candidate, GRACE_MS } from '../../core/collect/choose.ts';
import { condemnPlan, sweep } from '../../core/collect/collector.ts';
import { type PoolOptions, surveyPool } from '../../core/collect/pool-survey.ts';
import { defaultPool } from '../../core/keys.ts';
import { secureRandom } from '../../core/random.ts';
import { SOAK_REPO } from './sight-of-store.ts';

export async function collectOnce(backend: Backend, spoolDir: string): Promise<void> {
  const pool = defaultPool(SOAK_REPO);
  const options: PoolOptions = { backend, pool, random: secureRandom, spoolDir };
  const { packs, repos, now } = await surveyPool(options);
  const containers = [
    ...[...packs].map(([id, { sizeBytes }]) => ({ id, sizeBytes })),
    ...repos.flatMap(({ segments }) => segments.map(({ ref }) => ref)),
  ];
  const candidates = containers.map(
    ({ id, sizeBytes }): Candidate => ({
      ...{ id, sizeBytes, kind: 'pack', repo: null, liveBytes: 0, why: 'damaged' },
    }),
  );
  const plan = {
    ...{ id: 'c'.repeat(32), store: backend.url, pool, at: now.toISOString(), candidates },
    ...{ poolBytes: Number.MAX_SAFE_INTEGER, policies: {} },
    dropped: { recordCount: 0, sizeBytes: 0 },
  };
  await condemnPlan(options, plan, { by: 'soak', limitPercent: 100 });
  const dayLater: Backend = {
    ...backend,
    now: async () => new Date((await backend.now()).getTime() + GRACE_MS),
  };
  await sweep({ ...options, backend: dayLater });
}
