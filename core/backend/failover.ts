/** One read asked of the members of a store: whom to ask, in which order, and when an answer is final. */
import { DatamonError, hasCode } from '../errors.ts';
import { hasOneContent, logEntryOf } from '../key-kind.ts';
import { DEBTS_PREFIX, type Key, PROBE_PREFIX, replicasLog } from '../keys.ts';
import { isLocalFailure, type Member } from './copying.ts';
import type { ReplicaGroup } from './replicated.ts';

/** What concerns the members themselves stands in each for itself. */
export const isOwn = (key: string): boolean =>
  [DEBTS_PREFIX, PROBE_PREFIX, replicasLog].some((prefix) => key.startsWith(prefix));

export class Failover {
  readonly members: readonly Member[];
  readonly #group: ReplicaGroup;
  readonly #key: Key;
  readonly #home: Member;
  #failure: unknown = null;
  #answered = false;

  constructor(group: ReplicaGroup, key: Key) {
    const { home, others } = group;
    const preferred = isOwn(key) ? null : group.preferred(key);
    const order = isOwn(key) ? [home] : [home, ...others];
    // Home first, unless another copy was proved where home's was not.
    this.members =
      preferred === null
        ? order
        : [preferred, ...order.filter(({ name }) => name !== preferred.name)];
    this.#group = group;
    this.#key = key;
    this.#home = home;
  }

  /** What the first member said, which is what counts where no other knows better. */
  get failure(): unknown {
    return this.#failure;
  }

  /** Before `member` is asked: what home lacks and it has is copied back first, or somebody might lean on one copy. */
  async turnTo(member: Member): Promise<void> {
    if (this.#failure === null) return;
    if (hasCode(this.#failure, 'NOT_FOUND') && member !== this.#home) await this.#restore(member);
    this.#group.on('failed over', this.#key);
  }

  /** Before the first bytes of `member` are passed on. */
  async answered(member: Member): Promise<void> {
    if (this.#answered) return;
    await this.#help(member);
    this.#answered = true;
  }

  /** Returns where the next member may know better; throws where the answer is final. */
  failed(member: Member, error: unknown): void {
    const isAbsence = hasCode(error, 'NOT_FOUND');
    // Of a log home alone knows where it ends.
    if (isAbsence && member === this.#home && logEntryOf(this.#key) !== null) throw error;
    if (!isAbsence && !isLocalFailure(error)) throw error;
    this.#failure ??= error;
  }

  /** Where it fails, what `from` has is read all the same. */
  async #restore(from: Member): Promise<void> {
    try {
      if (await this.#group.restore(this.#key, from)) this.#group.on('restored', this.#key);
    } catch (error) {
      if (!(error instanceof DatamonError)) throw error;
    }
  }

  /**
   * Whoever sees what home decided makes sure that another member has it, so that it cannot be seen and then be gone with home.
   * While no other answers, reading goes on without.
   */
  async #help(member: Member): Promise<void> {
    const { mode, others } = this.#group;
    const key = this.#key;
    if (mode !== 'sync' || member !== this.#home || isOwn(key) || hasOneContent(key)) return;
    const helping = others.map((other) => this.#group.copierTo(other).help(key));
    for (const outcome of await Promise.allSettled(helping)) {
      if (outcome.status === 'rejected' && !isLocalFailure(outcome.reason)) throw outcome.reason;
    }
  }
}
