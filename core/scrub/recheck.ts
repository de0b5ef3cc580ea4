/** Asks the store once more before damage is reported: what a collector condemned or another copy healed meanwhile is no damage. */
import { parseCondemned } from '../cas/condemned.ts';
import { condemnedLog } from '../keys.ts';
import type { Survey } from './survey.ts';
import type { ContainersOptions } from './survey-containers.ts';
import { walkLogs } from './survey-logs.ts';
import { noteServed } from './survey-records.ts';

export async function recheck(options: ContainersOptions): Promise<void> {
  const { survey } = options;
  if (survey.bad.size === 0) return;
  await lookAgain(survey, options.onRead);
  for (const bad of [...survey.bad.values()]) {
    // A replica may have given it back, or a mount that was gone.
    const isBack = bad.state === 'missing' && (await survey.backend.stat(bad.key)) !== null;
    if (isBack || isCondemned(survey, bad.id)) survey.bad.delete(bad.id);
  }
  for (const repo of survey.repos.values()) {
    await repo.index.refresh();
    await noteServed(options, repo);
  }
}

async function lookAgain(survey: Survey, onRead: (sizeBytes: number) => void): Promise<void> {
  const { backend } = survey;
  for (const { name, condemned } of survey.pools.values()) {
    const prefix = condemnedLog(name);
    const onFact = ({ event }: { readonly event: unknown }): void => {
      for (const id of parseCondemned(event).condemned) condemned.add(id);
    };
    for await (const _ of walkLogs({ backend, prefix, repo: null, onFact, onRead })) {
      // What is wrong with this log was told when it was read first.
    }
  }
}

const isCondemned = ({ pools }: Survey, id: Parameters<Survey['bad']['get']>[0]): boolean =>
  [...pools.values()].some(({ condemned }) => condemned.has(id));
