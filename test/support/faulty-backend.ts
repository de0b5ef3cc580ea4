/**
 * A backend that fails as planned: which call of which verb, every so many calls, or a share of them that a seed picks. Faults are
 * planned, never random: `describe` prints the plan, `replay` the one line that brings about what happened.
 */
import type { Backend, Body, ByteRange, ObjectInfo } from '../../core/backend/backend.ts';
import { DatamonError } from '../../core/errors.ts';
import type { Key } from '../../core/keys.ts';
import { splitmix64 } from './splitmix64.ts';

export type Verb = 'putIfAbsent' | 'get' | 'stat' | 'list' | 'remove' | 'now';

type Fault =
  /** The call fails and nothing was done. */
  | { readonly kind: 'fail'; readonly error: DatamonError }
  /** It is done, then the call fails. For get and list: all is passed on, then they fail. */
  | { readonly kind: 'lose acknowledgement'; readonly error: DatamonError }
  /** It is begun once `until` resolves. */
  | { readonly kind: 'delay'; readonly until: Promise<unknown> }
  /** A read passes on so many bytes, then fails; or ends as if that were all, where there is no error. */
  | { readonly kind: 'cut'; readonly afterBytes: number; readonly error: DatamonError | null }
  /** One bit of what is read is wrong. */
  | { readonly kind: 'flip bit'; readonly bit: number }
  /** A list does not show these keys. */
  | { readonly kind: 'stale list'; readonly hides: (key: string) => boolean }
  /** A list ends after so many keys as if these were all. */
  | { readonly kind: 'partial list'; readonly count: number }
  /** A list shows each key twice. */
  | { readonly kind: 'repeating list' };

/** What befalls every so many calls, or a share of them. */
interface Rule {
  readonly text: string;
  readonly applies: (verb: Verb, nth: number) => Fault | undefined;
}

/** Which calls a rule is about: all but `now` unless told otherwise. */
const RULED_VERBS: readonly Verb[] = ['putIfAbsent', 'get', 'stat', 'list', 'remove'];

const unavailable = (what: string): DatamonError =>
  new DatamonError('UNAVAILABLE', `planned fault: ${what}`);

export class FaultPlan {
  readonly #faults = new Map<string, Fault>();
  readonly #counts = new Map<Verb, number>();
  readonly #rules: Rule[] = [];
  readonly #happened: string[] = [];

  /** Calls are counted from 1, per verb. */
  fail(verb: Verb, nth: number, error = unavailable(`${verb} ${nth} fails`)): this {
    return this.#plan(verb, nth, { kind: 'fail', error });
  }

  loseAcknowledgement(
    verb: Verb,
    nth: number,
    error = unavailable(`${verb} ${nth} is done, its acknowledgement lost`),
  ): this {
    return this.#plan(verb, nth, { kind: 'lose acknowledgement', error });
  }

  delay(verb: Verb, nth: number, until: Promise<unknown>): this {
    return this.#plan(verb, nth, { kind: 'delay', until });
  }

  cutRead(
    nth: number,
    afterBytes: number,
    error: DatamonError | null = unavailable(`get ${nth} is cut`),
  ): this {
    return this.#plan('get', nth, { kind: 'cut', afterBytes, error });
  }

  flipBit(nth: number, bit: number): this {
    return this.#plan('get', nth, { kind: 'flip bit', bit });
  }

  staleList(nth: number, hides: (key: string) => boolean): this {
    return this.#plan('list', nth, { kind: 'stale list', hides });
  }

  partialList(nth: number, count: number): this {
    return this.#plan('list', nth, { kind: 'partial list', count });
  }

  repeatingList(nth: number): this {
    return this.#plan('list', nth, { kind: 'repeating list' });
  }

  /** The kth, 2kth, … call of each of these verbs fails. */
  failEvery(k: number, verbs: readonly Verb[] = RULED_VERBS): this {
    return this.#rule(`fail every ${k} of ${verbs}`, (verb, nth) =>
      verbs.includes(verb) && nth % k === 0
        ? { kind: 'fail', error: unavailable(`${verb} ${nth} fails, as every ${k} does`) }
        : undefined,
    );
  }

  /** This share of calls fails, as the seed decides: one half before anything was done, the other half after. */
  failShare(share: number, seed: number, verbs: readonly Verb[] = RULED_VERBS): this {
    const random = splitmix64(seed);
    return this.#rule(`fail ${share * 100} % of ${verbs} by seed ${seed}`, (verb, nth) => {
      if (!verbs.includes(verb) || random() >= share) return undefined;
      const error = unavailable(`${verb} ${nth} fails by seed ${seed}`);
      return { kind: random() < 0.5 ? 'fail' : 'lose acknowledgement', error };
    });
  }

  /** One line per fault that has not happened yet. */
  describe(): string {
    const planned = [...this.#faults].map(([call, { kind }]) => `${call}: ${kind}`);
    return [...planned, ...this.#rules.map(({ text }) => text)].join('\n');
  }

  /** What happened so far, on one line: the same faults planned by their numbers bring it about again. */
  replay(): string {
    return this.#happened.join('; ');
  }

  /** Counts a call and takes out the fault planned for it. */
  next(verb: Verb): Fault | undefined {
    const nth = (this.#counts.get(verb) ?? 0) + 1;
    this.#counts.set(verb, nth);
    const planned = this.#faults.get(`${verb} ${nth}`);
    this.#faults.delete(`${verb} ${nth}`);
    // Each rule is asked, so that what one of them decides does not hang on the others.
    const ruled = this.#rules.map(({ applies }) => applies(verb, nth)).find(Boolean);
    const fault = planned ?? ruled;
    if (fault !== undefined) this.#happened.push(`${verb} ${nth}: ${fault.kind}`);
    return fault;
  }

  #rule(text: string, applies: Rule['applies']): this {
    this.#rules.push({ text, applies });
    return this;
  }

  #plan(verb: Verb, nth: number, fault: Fault): this {
    this.#faults.set(`${verb} ${nth}`, fault);
    return this;
  }
}

export function createFaultyBackend(backend: Backend, plan: FaultPlan): Backend {
  const call = async <T>(verb: Verb, work: () => Promise<T>): Promise<T> => {
    const fault = plan.next(verb);
    if (fault?.kind === 'fail') throw fault.error;
    if (fault?.kind === 'delay') await fault.until;
    const outcome = await work();
    if (fault?.kind === 'lose acknowledgement') throw fault.error;
    return outcome;
  };
  return {
    url: backend.url,
    putIfAbsent: (key: Key, body: Body) =>
      call('putIfAbsent', () => backend.putIfAbsent(key, body)),
    get: (key, range) => faultyRead(backend, plan, key, range),
    stat: (key) => call('stat', () => backend.stat(key)),
    list: (prefix, after) => faultyList(backend, plan, prefix, after),
    remove: (key) => call('remove', () => backend.remove(key)),
    now: () => call('now', () => backend.now()),
  };
}

async function* faultyList(
  backend: Backend,
  plan: FaultPlan,
  prefix: string,
  after: string | undefined,
): AsyncIterable<ObjectInfo> {
  const fault = plan.next('list');
  if (fault?.kind === 'fail') throw fault.error;
  if (fault?.kind === 'delay') await fault.until;
  let count = 0;
  for await (const found of backend.list(prefix, after)) {
    if (fault?.kind === 'partial list' && count >= fault.count) return;
    if (fault?.kind === 'stale list' && fault.hides(found.key)) continue;
    count += 1;
    yield found;
    if (fault?.kind === 'repeating list') yield found;
  }
  if (fault?.kind === 'lose acknowledgement') throw fault.error;
}

async function* faultyRead(
  backend: Backend,
  plan: FaultPlan,
  key: Key,
  range: ByteRange | undefined,
): AsyncIterable<Uint8Array> {
  const fault = plan.next('get');
  if (fault?.kind === 'fail') throw fault.error;
  if (fault?.kind === 'delay') await fault.until;
  let passedBytes = 0;
  for await (const bytes of backend.get(key, range)) {
    const part = damaged(fault, bytes, passedBytes);
    if (part.length > 0) yield part;
    passedBytes += bytes.length;
    if (part.length < bytes.length) break;
  }
  if (fault?.kind === 'cut' && fault.error !== null) throw fault.error;
  if (fault?.kind === 'lose acknowledgement') throw fault.error;
}

function damaged(fault: Fault | undefined, bytes: Uint8Array, startOffset: number): Uint8Array {
  if (fault?.kind === 'cut') return bytes.subarray(0, Math.max(0, fault.afterBytes - startOffset));
  if (fault?.kind !== 'flip bit') return bytes;
  const copy = Uint8Array.from(bytes);
  const at = Math.floor(fault.bit / 8) - startOffset;
  const byte = copy[at];
  if (byte !== undefined) copy[at] = byte ^ (1 << (fault.bit % 8));
  return copy;
}
