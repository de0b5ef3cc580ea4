/** Gives a finished file its final name, once and never over another. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DatamonError } from '../core/errors.ts';
import { guarded, localError, systemCode } from './local-errors.ts';
import type { LocalFs } from './local-fs.ts';
import { statOptional } from './local-list.ts';
import { claimName, STRANGER_AGE_MAX_MS, TEMP_FOLDER } from './local-temp.ts';

/** How file systems without hard links (FAT, some network and user-space ones) answer `link`. */
const NO_LINKS = new Set(['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP']);
const CLAIM_TRIES = 50;
const CLAIM_WAIT_MS = 20;

export interface Publication {
  readonly fs: LocalFs;
  readonly root: string;
  readonly key: string;
  /** The finished file, fsynced. */
  readonly temp: string;
  /** Its final path. */
  readonly path: string;
  /** Makes the folder of `path`. */
  readonly makeFolder: () => Promise<void>;
}

/** True where `temp` got the name, false where an object has it already. */
export async function publish(publication: Publication): Promise<boolean> {
  const outcome = await tryLink(publication);
  if (outcome === 'no folder') {
    await publication.makeFolder();
    const again = await tryLink(publication);
    if (again === 'no folder') throw vanished(publication);
    return finish(publication, again);
  }
  return finish(publication, outcome);
}

type LinkOutcome = 'linked' | 'exists' | 'no folder' | 'no links';

const finish = (publication: Publication, outcome: LinkOutcome): boolean | Promise<boolean> =>
  outcome === 'no links' ? renameClaimed(publication) : outcome === 'linked';

async function tryLink({ fs, temp, path }: Publication): Promise<LinkOutcome> {
  try {
    await fs.link(temp, path);
    return 'linked';
  } catch (error) {
    const code = systemCode(error);
    if (code === 'EEXIST') return (await isSameFile(fs, temp, path)) ? 'linked' : 'exists';
    if (code === 'ENOENT') return 'no folder';
    if (NO_LINKS.has(code)) return 'no links';
    throw localError('write', path, error);
  }
}

/** A network file system may repeat a link whose answer was lost, and then say that the name exists. */
async function isSameFile(fs: LocalFs, temp: string, path: string): Promise<boolean> {
  const [ours, theirs] = [await statOptional(fs, temp), await statOptional(fs, path)];
  return ours !== null && ours.identity === theirs?.identity;
}

/** Rename would overwrite, so it is done only by the one holder of the key's claim, after a look. */
async function renameClaimed(publication: Publication): Promise<boolean> {
  const { fs, temp, path } = publication;
  const claim = join(publication.root, TEMP_FOLDER, claimName(publication.key));
  await publication.makeFolder();
  await takeClaim(publication, claim);
  try {
    if ((await statOptional(fs, path)) !== null) return false;
    await guarded('write', path, fs.rename(temp, path));
    return true;
  } finally {
    await fs.unlink(claim).catch(() => {});
  }
}

async function takeClaim({ fs, key }: Publication, claim: string): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      const file = await fs.open(claim, 'create');
      return await file.close();
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw localError('write', claim, error);
      if (tries >= CLAIM_TRIES) throw claimed(key, claim);
    }
    await sleep(CLAIM_WAIT_MS);
  }
}

function claimed(key: string, claim: string): DatamonError {
  const minutes = STRANGER_AGE_MAX_MS / 60_000;
  return new DatamonError('UNAVAILABLE', `another process is storing ${key}`, {
    hint: `Try again. Where that process died, ${claim} is removed once it is ${minutes} minutes old.`,
  });
}

function vanished({ temp, path }: Publication): DatamonError {
  return new DatamonError('UNAVAILABLE', `cannot write ${path}: ${temp} was removed meanwhile`);
}
