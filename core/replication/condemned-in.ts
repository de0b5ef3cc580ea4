/** Whether a container was condemned, in any member that answers: for ever, so whatever one of them says holds for all. */
import type { Backend } from '../backend/backend.ts';
import { isLocalFailure, type Member } from '../backend/copying.ts';
import { collect } from '../bytes.ts';
import { parseCondemned } from '../cas/condemned.ts';
import { DatamonError } from '../errors.ts';
import { openSealedJson } from '../json.ts';
import { kindOfKey } from '../key-kind.ts';
import {
  type ContainerId,
  escapeName,
  type Key,
  type LogPrefix,
  repoKeyOfSegment,
} from '../keys.ts';
import { openLog } from '../log.ts';
import type { Random } from '../random.ts';

const REPO_SIZE_MAX_BYTES = 1024 * 1024;

/** What was read of one member's log. */
interface Look {
  readonly ids: Set<ContainerId>;
  seen: number;
}

export class CondemnedInMembers {
  readonly #random: Random;
  readonly #pools = new Map<string, string>();
  readonly #looks = new Map<string, Look>();

  constructor(random: Random) {
    this.#random = random;
  }

  /** False for what is no container. Throws where no member can tell. */
  async has(key: Key, members: readonly Member[]): Promise<boolean> {
    const kind = kindOfKey(key);
    if (kind.kind !== 'pack' && kind.kind !== 'segment') return false;
    let failure: unknown = null;
    let answered = 0;
    for (const member of members) {
      try {
        const pool = kind.kind === 'pack' ? kind.pool : await this.#poolOf(kind.repo, members);
        if ((await this.#look(member, pool)).has(kind.id)) return true;
        answered += 1;
      } catch (error) {
        if (!isLocalFailure(error)) throw error;
        failure ??= error;
      }
    }
    if (answered === 0) throw failure;
    return false;
  }

  /** Reads what was added since the last look. */
  async #look({ name, backend }: Member, pool: string): Promise<ReadonlySet<ContainerId>> {
    const look = this.#looks.get(`${name}/${pool}`) ?? { ids: new Set(), seen: 0 };
    const prefix = `pools/${pool}/gc/` as LogPrefix;
    const log = openLog({ backend, prefix, random: this.#random, parse: parseCondemned });
    let newest = look.seen;
    for await (const { n, event } of log.entries()) {
      if (n <= look.seen) break;
      for (const id of event.condemned) look.ids.add(id);
      newest = Math.max(newest, n);
    }
    look.seen = newest;
    this.#looks.set(`${name}/${pool}`, look);
    return look.ids;
  }

  /** The escaped pool of an escaped repo. */
  async #poolOf(repo: string, members: readonly Member[]): Promise<string> {
    const known = this.#pools.get(repo);
    if (known !== undefined) return known;
    let failure: unknown = null;
    for (const { backend } of members) {
      try {
        const pool = escapeName(await readPool(backend, repo));
        this.#pools.set(repo, pool);
        return pool;
      } catch (error) {
        if (!(error instanceof DatamonError)) throw error;
        failure ??= error;
      }
    }
    throw failure;
  }
}

async function readPool(backend: Backend, repo: string): Promise<string> {
  const key = repoKeyOfSegment(repo);
  const { pool } = openSealedJson(await collect(backend.get(key), REPO_SIZE_MAX_BYTES), key);
  if (typeof pool === 'string') return pool;
  throw new DatamonError('CORRUPT', `${key} names no pool`);
}
