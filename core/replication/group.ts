/**
 * The members of a store, as one process sees them. Promises: nobody writes but to the home of the highest epoch that can be seen;
 * what was written while another was promoted is not acknowledged.
 */
import type { Backend } from '../backend/backend.ts';
import { Copier, isLocalFailure, type Member } from '../backend/copying.ts';
import type { HealOutcome } from '../backend/healing.ts';
import { createPresentBackend } from '../backend/present.ts';
import type { ReplicaGroup, ReplicationEvent, ReplicationMode } from '../backend/replicated.ts';
import { DatamonError } from '../errors.ts';
import { logEntryOf } from '../key-kind.ts';
import { type Key, logKey, replicasLog } from '../keys.ts';
import type { Random } from '../random.ts';
import { CondemnedInMembers } from './condemned-in.ts';
import {
  type ConfigEntry,
  configNumber,
  homeOf,
  newer,
  openReplicasLog,
  type ReplicaConfig,
} from './config.ts';
import { DebtWriter } from './debts.ts';
import { heal, type Prove } from './heal.ts';

export type GroupEvent = ReplicationEvent | 'repaired' | 'fenced';

export interface GroupOptions {
  /** The URL that was opened, as its backend spells it. */
  readonly url: string;
  readonly config: ConfigEntry;
  readonly openMember: (url: string) => Promise<Backend>;
  readonly prove: Prove;
  readonly random: Random;
  readonly onEvent?: (event: GroupEvent, key: string) => void;
}

const PREFERRED_COUNT_MAX = 10_000;

export class Group implements ReplicaGroup {
  readonly url: string;
  readonly #options: GroupOptions;
  readonly #members = new Map<string, Member>();
  readonly #copiers = new Map<string, Copier>();
  readonly #preferred = new Map<Key, Member>();
  readonly #condemned: CondemnedInMembers;
  readonly #counts = new Map<GroupEvent, number>();
  #config: ConfigEntry;
  #debts: DebtWriter;
  /** A later epoch that was seen: nothing is written from here any more. */
  #fencedBy: ConfigEntry | null = null;

  constructor(options: GroupOptions) {
    this.#options = options;
    this.url = options.url;
    this.#config = options.config;
    this.#condemned = new CondemnedInMembers(options.random);
    this.#debts = new DebtWriter(this.home.backend, options.random);
  }

  get config(): ReplicaConfig {
    return this.#config.event;
  }

  get mode(): ReplicationMode {
    return this.config.mode;
  }

  get home(): Member {
    return this.#member(homeOf(this.config));
  }

  get others(): readonly Member[] {
    const { members, home } = this.config;
    return members
      .filter(({ name, state }) => state === 'in' && name !== home)
      .map((member) => this.#member(member));
  }

  get memberCount(): number {
    return this.config.members.length;
  }

  /** Of the newest entry known. */
  get number(): number {
    return this.#config.n;
  }

  /** A member that may be out, and is then no part of `others`. */
  memberAt(name: string, url: string): Member {
    return this.#member({ name, url });
  }

  /** How often each event happened. */
  get counts(): ReadonlyMap<GroupEvent, number> {
    return this.#counts;
  }

  copierTo(member: Member): Copier {
    const id = `${this.home.backend.url} ${member.backend.url}`;
    const copier = this.#copiers.get(id) ?? new Copier(this.home, member);
    this.#copiers.set(id, copier);
    return copier;
  }

  checkWritable(): void {
    if (this.#fencedBy !== null) throw fenced(this.url, this.#fencedBy.event);
    const home = homeOf(this.config);
    if (home.url === this.url) return;
    throw isMember(this.config, this.url)
      ? notHome(this.url, this.config)
      : fenced(this.url, this.config);
  }

  async look(copied: readonly Member[]): Promise<void> {
    const looked = [this.home, ...(copied.length > 0 ? copied : [])];
    const numbers = await Promise.all(looked.map(({ backend }) => configNumber(backend)));
    const changed = looked.filter((_, index) => (numbers[index] ?? 0) > this.#config.n);
    for (const { backend } of changed) await this.#learn(backend);
  }

  /** Looks at every member that answers. For those who need not be sure. */
  async lookAround(): Promise<void> {
    for (const { backend } of [this.home, ...this.others]) {
      try {
        if ((await configNumber(backend)) > this.#config.n) await this.#learn(backend);
      } catch (error) {
        if (!isLocalFailure(error)) throw error;
      }
    }
  }

  owe(key: Key, members: readonly Member[]): Promise<void> {
    return this.#debts.owe(
      key,
      members.map(({ name }) => name),
    );
  }

  async restore(key: Key, from: Member): Promise<boolean> {
    const { home } = this;
    const isHome = homeOf(this.config).url === this.url;
    if (!isHome || (await this.#isCondemned(key))) return false;
    const copier = new Copier(from, home);
    return await copier.copyStored(key);
  }

  async heal(key: Key): Promise<HealOutcome> {
    const { mode } = this;
    const members = [this.home, ...this.others];
    const prefer = (healed: Key, member: Member | null): void => {
      if (this.#preferred.size >= PREFERRED_COUNT_MAX) this.#preferred.clear();
      if (member === null) this.#preferred.delete(healed);
      else this.#preferred.set(healed, member);
    };
    return await heal(key, {
      prove: this.#options.prove,
      mode,
      members,
      isCondemned: () => this.#isCondemned(key),
      prefer,
      onRepaired: (repaired, { name }) => {
        for (const copier of this.#copiers.values()) copier.forget(repaired);
        this.on('repaired', `${repaired} in ${name}`);
      },
    });
  }

  preferred(key: Key): Member | null {
    return this.#preferred.get(key) ?? null;
  }

  on(event: GroupEvent, key: string): void {
    this.#counts.set(event, (this.#counts.get(event) ?? 0) + 1);
    this.#options.onEvent?.(event, key);
  }

  #isCondemned(key: Key): Promise<boolean> {
    if (logEntryOf(key) !== null) return Promise.resolve(false);
    return this.#condemned.has(key, [this.home, ...this.others]);
  }

  /** A member has a newer entry: either this process is fenced, or members have come or gone. */
  async #learn(backend: Backend): Promise<never> {
    const found = await openReplicasLog(backend, this.#options.random).head();
    const newest = newer(found, this.#config) as ConfigEntry;
    if (homeOf(newest.event).url !== homeOf(this.config).url) {
      this.#fencedBy = newest;
      this.on('fenced', newest.event.home);
      throw fenced(this.url, newest.event);
    }
    this.#config = newest;
    this.#debts = new DebtWriter(this.home.backend, this.#options.random);
    throw new DatamonError('UNAVAILABLE', `the members of ${this.url} have just changed`, {
      hint: 'Run the same command again.',
    });
  }

  #member({ name, url }: { readonly name: string; readonly url: string }): Member {
    const id = `${name} ${url}`;
    const known = this.#members.get(id);
    if (known !== undefined) return known;
    const open = (): Promise<Backend> => this.#options.openMember(url);
    const backend = createPresentBackend({ url, open, mark: logKey(replicasLog, 1) });
    const member = { name, backend };
    this.#members.set(id, member);
    return member;
  }
}

const isMember = ({ members }: ReplicaConfig, url: string): boolean =>
  members.some((member) => member.url === url && member.state === 'in');

function notHome(url: string, config: ReplicaConfig): DatamonError {
  const home = homeOf(config);
  return new DatamonError(
    'FORBIDDEN',
    `${url} is a replica; writes go to ${home.name} (${home.url})`,
    {
      hint: `Use ${home.url}. If it is lost: datamon replicate --promote ${url}`,
    },
  );
}

function fenced(url: string, config: ReplicaConfig): DatamonError {
  const home = homeOf(config);
  return new DatamonError(
    'FORBIDDEN',
    `${url} is not written to any more: ${home.name} (${home.url}) was promoted (epoch ${config.epoch})`,
    {
      hint: `Write to ${home.url}. To make this place a replica again: datamon replicate ${home.url} --resync`,
    },
  );
}
