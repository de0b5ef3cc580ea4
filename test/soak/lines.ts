/**
 * How a process that may be killed tells what it does: `try <id> <object|entry> <name> <content>` before a step, `ok <id>` or
 * `failed <id> <why>` after it; and how whoever outlives it takes that down.
 */
import { writeSync } from 'node:fs';
import type { Attempt, HistoryChecker } from '../support/history-checker.ts';
import type { Step } from './steps.ts';

const STDOUT = 1;

/** Written when it returns: a line that was said is known, whatever happens next. */
export const say = (line: string): void => void writeSync(STDOUT, `${line}\n`);

/** Takes a step and tells of it; false where it failed. */
export async function tell(id: string, { kind, name, content, run }: Step): Promise<boolean> {
  say(`try ${id} ${kind} ${name} ${content}`);
  try {
    await run();
    say(`ok ${id}`);
    return true;
  } catch (error) {
    say(`failed ${id} ${String(error).split('\n')[0]}`);
    return false;
  }
}

/** What one process told. */
export class Told {
  readonly #history: HistoryChecker;
  readonly #attempts = new Map<string, Attempt>();
  readonly failures: string[] = [];

  constructor(history: HistoryChecker) {
    this.#history = history;
  }

  readonly note = (line: string): void => {
    const [word, id = '', kind, name = '', content = ''] = line.split(' ');
    if (word === 'try') {
      const attempt: Attempt = { kind: kind === 'entry' ? 'entry' : 'object', name, content };
      this.#attempts.set(id, this.#history.begin(attempt));
      return;
    }
    const attempt = this.#attempts.get(id);
    if (attempt === undefined) return;
    this.#history.end(attempt, word === 'ok' ? 'acknowledged' : 'failed');
    if (word === 'failed') this.failures.push(line);
  };

  /** It is dead: what it did not tell the end of is unknown. */
  over(): void {
    for (const attempt of this.#attempts.values()) this.#history.end(attempt, 'unknown');
  }

  objects(): readonly string[] {
    const attempts = [...this.#attempts.values()];
    return attempts.filter(({ kind }) => kind === 'object').map(({ name }) => name);
  }
}
