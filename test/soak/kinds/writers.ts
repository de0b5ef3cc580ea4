/** 32 writers in four processes push to one branch of one store at once: its log is one chain in which every push stands exactly once. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { HistoryChecker } from '../../support/history-checker.ts';
import { sightOfBranches } from '../../support/sights.ts';
import type { SoakKind, SoakOptions, SoakResult } from '../kind.ts';
import { Told } from '../lines.ts';
import { preparePrograms, startProgram } from '../programs.ts';
import { openSoakStore } from '../sight-of-store.ts';

const PROCESS_COUNT = 4;
const WRITERS_EACH = 8;
const WRITER_COUNT = PROCESS_COUNT * WRITERS_EACH;

async function run({
  count,
  seed,
  folder,
  report,
  starts,
  planted,
}: SoakOptions): Promise<SoakResult> {
  const programs = await preparePrograms(starts, folder);
  const root = join(folder, 'store');
  await mkdir(root);
  const pushesEach = Math.max(1, Math.round(count / WRITER_COUNT));
  const history = new HistoryChecker();
  let done = 0;
  let failures = 0;
  const broken = (what: string): void =>
    report.broken({
      what,
      replay: `npm run soak -- --only writers --count ${count} --seed ${seed}`,
    });

  const one = async (index: number): Promise<void> => {
    const told = new Told(history);
    const args = [root, `${seed}-${index}`, `${WRITERS_EACH}`, `${pushesEach}`, planted ?? ''];
    const { ended } = startProgram(programs, 'test/soak/branch-writer.ts', args, (line) => {
      told.note(line);
      if (line.startsWith('ok ')) done += 1;
      report.progress(done);
    });
    const { status, said } = await ended;
    if (status !== 0) broken(`process ${index} ended with ${status}: ${said}`);
    told.over();
    failures += told.failures.length;
    for (const failure of told.failures) report.note(failure.slice(0, 200));
  };
  await Promise.all(Array.from({ length: PROCESS_COUNT }, (_, index) => one(index)));

  const { repository } = await openSoakStore(root);
  for (const what of await history.check(sightOfBranches(repository))) broken(what);
  const expected = pushesEach * WRITER_COUNT;
  const { length } = await sightOfBranches(repository).entries('main');
  if (length !== expected) broken(`the branch has ${length} pushes, not ${expected}`);
  await repository.close();
  return { done, facts: { writers: WRITER_COUNT, failures } };
}

export const writers: SoakKind = {
  name: 'writers',
  unit: 'pushes',
  promise:
    '32 writers that push to one branch at once make one chain, and no push is lost or there twice',
  defaultCount: 3200,
  sliceCount: 32,
  plants: ['only says that it pushed'],
  run,
};
