/**
 * Settings of a repo: a log whose newest entry holds them all. A repo made without a canonical remote gets it here, from the
 * first ref seen to move; `repo.json` is written once and cannot learn it.
 */
import type { Backend } from '../backend/backend.ts';
import { type RepoName, settingsLog } from '../keys.ts';
import { type Log, openLog } from '../log.ts';
import type { Random } from '../random.ts';
import { nullable, record, text, time } from '../shape.ts';

export interface RepoSettings {
  readonly canonicalRemote: string | null;
  readonly by: string;
  readonly at: string;
}

export const parseSettings = record<RepoSettings>({
  canonicalRemote: nullable(text),
  by: text,
  at: time,
});

export interface SettingsOptions {
  readonly backend: Backend;
  readonly repo: RepoName;
  readonly random: Random;
}

export const openSettings = ({ backend, repo, random }: SettingsOptions): Log<RepoSettings> =>
  openLog({
    backend,
    prefix: settingsLog(repo),
    random,
    parse: (event) => parseSettings(event, 'settings'),
  });

/** The canonical remote the settings name, decided to be `remote` where they name none yet. */
export async function decideCanonical(
  options: SettingsOptions,
  remote: string,
  by: string,
): Promise<string> {
  let decided = remote;
  await openSettings(options).update(async (head) => {
    decided = head?.event.canonicalRemote ?? remote;
    if (head !== null && head.event.canonicalRemote !== null) return null;
    return { canonicalRemote: remote, by, at: (await options.backend.now()).toISOString() };
  });
  return decided;
}
