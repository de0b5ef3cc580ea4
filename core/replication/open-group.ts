/** Finds out whether a backend is a member of a replicated store, and who is home: by what it and the others can be seen to say. */
import type { Backend } from '../backend/backend.ts';
import { isLocalFailure } from '../backend/copying.ts';
import type { Random } from '../random.ts';
import { type ConfigEntry, configNumber, newer, openReplicasLog } from './config.ts';
import { Group, type GroupEvent } from './group.ts';
import type { Prove } from './heal.ts';

export interface OpenGroupOptions {
  readonly openMember: (url: string) => Promise<Backend>;
  readonly prove: Prove;
  readonly random: Random;
  /** URLs of replicas to ask where the opened place says nothing: it may be lost. */
  readonly replicas?: readonly string[];
  readonly onEvent?: (event: GroupEvent, key: string) => void;
}

/** Null for a store with one place. One list call of one key, where it is one. */
export async function openGroup(opened: Backend, options: OpenGroupOptions): Promise<Group | null> {
  const { openMember, random, replicas = [] } = options;
  let failure: unknown = null;
  const onFailure = (error: unknown): void => {
    failure ??= error;
  };
  let found = await readEntry(async () => opened, random, onFailure);
  const asked = new Set([opened.url]);
  const ask = async (url: string): Promise<void> => {
    if (asked.has(url)) return;
    asked.add(url);
    found = newer(await readEntry(() => openMember(url), random, onFailure), found);
  };
  for (const url of replicas) await ask(url);
  // Where replicas are expected and one does not answer, an empty place may be a lost store: nothing is made there.
  if (found === null && replicas.length > 0 && failure !== null) throw failure;
  if (found === null) return null;
  // Members may name others: a promotion that the opened place missed is known to those it left.
  for (let before = 0; before !== asked.size; ) {
    before = asked.size;
    for (const { url } of (found as ConfigEntry).event.members) await ask(url);
  }
  return new Group({ ...options, url: opened.url, config: found });
}

/** The newest entry of a place; null where it has none, or does not answer. */
async function readEntry(
  open: () => Promise<Backend>,
  random: Random,
  onFailure: (error: unknown) => void,
): Promise<ConfigEntry | null> {
  try {
    const backend = await open();
    return (await configNumber(backend)) === 0
      ? null
      : await openReplicasLog(backend, random).head();
  } catch (error) {
    if (!isLocalFailure(error)) throw error;
    onFailure(error);
    return null;
  }
}
