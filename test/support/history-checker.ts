/**
 * Remembers what was attempted and how it ended, and holds a store to it for ever: what was acknowledged reads, byte for byte; what
 * failed or was never answered is there whole or not at all, and stays once it was seen; a log is one chain in which every
 * acknowledged entry stands exactly once, and what one look saw, every later look sees. Nothing shows that nobody attempted.
 *
 * It is kept by whoever survives: the process that starts, kills and restarts the others.
 */
import type { Digest } from '../../core/digest.ts';

/** How an attempt ended. `unknown`: nobody lives to tell. */
export type Ending = 'acknowledged' | 'failed' | 'unknown';

export interface Attempt {
  /** `object`: bytes under a name. `entry`: a text in a log. */
  readonly kind: 'object' | 'entry';
  /** The object's name, or the log's. */
  readonly name: string;
  /** The bytes' digest, or the entry's text; each text once. */
  readonly content: string;
}

/** A store as one look sees it. What cannot be read throws, with the reason. */
export interface Sight {
  /** Of the object's bytes as they read; null where there is none. */
  digest(name: string): Promise<Digest | null>;
  /** Names of all objects, where they can be told. */
  names?(): AsyncIterable<string>;
  /** The log's entries, oldest first, checked to be one chain. */
  entries(log: string): Promise<readonly string[]>;
}

interface ObjectState {
  /** More than one only where different bytes were attempted under one name: the first to be stored wins. */
  readonly contents: Set<string>;
  acknowledged: boolean;
  /** What it read as when it was first seen. */
  seen: string | null;
}

interface LogState {
  readonly attempted: Set<string>;
  readonly acknowledged: Set<string>;
  seen: readonly string[];
}

export class HistoryChecker {
  readonly #objects = new Map<string, ObjectState>();
  readonly #logs = new Map<string, LogState>();
  readonly #open = new Set<Attempt>();

  /** Noted before the attempt is made. */
  begin(attempt: Attempt): Attempt {
    if (attempt.kind === 'object') this.#object(attempt.name).contents.add(attempt.content);
    else this.#log(attempt.name).attempted.add(attempt.content);
    this.#open.add(attempt);
    return attempt;
  }

  end(attempt: Attempt, ending: Ending): void {
    this.#open.delete(attempt);
    if (ending !== 'acknowledged') return;
    if (attempt.kind === 'object') this.#object(attempt.name).acknowledged = true;
    else this.#log(attempt.name).acknowledged.add(attempt.content);
  }

  /** Whoever made the open attempts is dead. */
  endAll(ending: Ending): void {
    for (const attempt of this.#open) this.end(attempt, ending);
  }

  isAcknowledged(object: string): boolean {
    return this.#objects.get(object)?.acknowledged === true;
  }

  get counts(): { readonly objects: number; readonly acknowledged: number; readonly open: number } {
    let acknowledged = 0;
    for (const state of this.#objects.values()) acknowledged += state.acknowledged ? 1 : 0;
    for (const log of this.#logs.values()) acknowledged += log.acknowledged.size;
    return { objects: this.#objects.size, acknowledged, open: this.#open.size };
  }

  /** What is wrong, one sentence each. */
  async check(sight: Sight): Promise<string[]> {
    const wrong = await this.checkObjects(sight, [...this.#objects.keys()]);
    for (const [name, log] of this.#logs) wrong.push(...(await checkLog(sight, name, log)));
    return wrong;
  }

  /** Of these objects alone. */
  async checkObjects(sight: Sight, names: readonly string[]): Promise<string[]> {
    const wrong: string[] = [];
    for (const name of names) wrong.push(...(await this.#checkObject(sight, name)));
    return wrong;
  }

  /** Names that nobody attempted. */
  async strangers(sight: Sight): Promise<string[]> {
    const wrong: string[] = [];
    for await (const name of sight.names?.() ?? []) {
      if (!this.#objects.has(name)) wrong.push(`${name} is there, and nobody stored it`);
    }
    return wrong;
  }

  async #checkObject(sight: Sight, name: string): Promise<string[]> {
    const state = this.#object(name);
    // As of before the look: what is acknowledged or seen while it is taken need not be in it.
    const { acknowledged, seen } = state;
    const digest = await reading(() => sight.digest(name));
    if (digest instanceof Error) return [`${name} does not read: ${digest.message}`];
    if (digest === null) {
      if (acknowledged) return [`${name} was acknowledged and is gone`];
      return seen === null ? [] : [`${name} was seen and is gone`];
    }
    if (!state.contents.has(digest)) return [`${name} reads as ${digest}, which nobody stored`];
    if (state.seen !== null && state.seen !== digest) return [`${name} has changed`];
    state.seen = digest;
    return [];
  }

  #object(name: string): ObjectState {
    const state = this.#objects.get(name) ?? {
      contents: new Set(),
      acknowledged: false,
      seen: null,
    };
    this.#objects.set(name, state);
    return state;
  }

  #log(name: string): LogState {
    const log = this.#logs.get(name) ?? {
      attempted: new Set(),
      acknowledged: new Set(),
      seen: [],
    };
    this.#logs.set(name, log);
    return log;
  }
}

async function checkLog(sight: Sight, name: string, log: LogState): Promise<string[]> {
  // As of before the look: what is acknowledged or seen while it is taken need not be in it.
  const acknowledged = [...log.acknowledged];
  const { seen } = log;
  const entries = await reading(() => sight.entries(name));
  if (entries instanceof Error) return [`log ${name} does not read: ${entries.message}`];
  const wrong: string[] = [];
  const counts = new Map<string, number>();
  for (const text of entries) counts.set(text, (counts.get(text) ?? 0) + 1);
  for (const [text, count] of counts) {
    if (!log.attempted.has(text)) wrong.push(`log ${name} has ${text}, which nobody appended`);
    if (count > 1) wrong.push(`log ${name} has ${text} ${count} times`);
  }
  for (const text of acknowledged) {
    if (!counts.has(text)) wrong.push(`log ${name} has lost ${text}, which was acknowledged`);
  }
  const rewritten = seen.findIndex((text, index) => entries[index] !== text);
  if (rewritten >= 0) wrong.push(`log ${name} was rewritten at entry ${rewritten + 1}`);
  if (wrong.length === 0 && entries.length > log.seen.length) log.seen = entries;
  return wrong;
}

async function reading<T>(read: () => Promise<T>): Promise<T | Error> {
  try {
    return await read();
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}
