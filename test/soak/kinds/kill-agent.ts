/**
 * kill -9 of the real transfer agent in the middle of uploads, straight on a store: what it called complete reads, and the next agent
 * takes the file that was under way to its end, as git-lfs has it do.
 */
import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { digestOf } from '../../../core/digest.ts';
import { type Attempt, HistoryChecker } from '../../support/history-checker.ts';
import { seededBytes, splitmix64 } from '../../support/splitmix64.ts';
import type { SoakKind, SoakOptions, SoakResult } from '../kind.ts';
import { type Programs, preparePrograms, type Started, startProgram } from '../programs.ts';
import { openSoakStore } from '../sight-of-store.ts';

/** How many lines an agent may say, progress too, and how much longer it lives then. */
const LINES_MAX = 8;
const MOMENT_MAX_MS = 60;
const KILLS_PER_LOOK = 20;
const INIT = {
  event: 'init',
  operation: 'upload',
  remote: 'origin',
  concurrent: false,
  concurrenttransfers: 1,
};

interface Upload {
  readonly oid: string;
  readonly size: number;
  readonly path: string;
}

interface Answer {
  readonly event?: string;
  readonly oid?: string;
  readonly error?: { readonly message: string };
}

/** Uploads file after file, with one agent after another. */
class Uploads {
  readonly history = new HistoryChecker();
  complete = 0;
  refused = 0;
  readonly #options: SoakOptions;
  readonly #programs: Programs;
  readonly #clone: string;
  #next = 0;
  /** The file that no agent has brought to its end. */
  #current: Upload | null = null;
  #attempt: Attempt | null = null;

  constructor(options: SoakOptions, programs: Programs, clone: string) {
    this.#options = options;
    this.#programs = { ...programs, env: { ...programs.env, ...gitEnv(clone) } };
    this.#clone = clone;
  }

  /** One agent's life. */
  async spend(random: () => number): Promise<void> {
    let linesLeft = 1 + Math.floor(random() * LINES_MAX);
    let saidEnough = (): void => {};
    const isDue = new Promise<void>((resolve) => {
      saidEnough = resolve;
    });
    const agent = this.#start(() => {
      linesLeft -= 1;
      if (linesLeft === 0) saidEnough();
    });
    agent.child.stdin?.on('error', () => {});
    this.#send(agent, INIT);
    await Promise.race([isDue, agent.ended]);
    await sleep(random() * MOMENT_MAX_MS);
    agent.child.kill('SIGKILL');
    const { signal, said } = await agent.ended;
    if (signal !== 'SIGKILL') this.#broken(`the agent ended by itself: ${said}`);
    if (this.#attempt !== null) this.history.end(this.#attempt, 'unknown');
  }

  #start(onLine: () => void): Started {
    const agent: Started = startProgram(
      this.#programs,
      'agent/main.ts',
      [],
      (line) => {
        onLine();
        void this.#answer(agent, JSON.parse(line) as Answer);
      },
      this.#clone,
    );
    return agent;
  }

  async #answer(agent: Started, answer: Answer): Promise<void> {
    if (answer.event === 'progress') return;
    if (answer.event === 'complete') this.#note(answer);
    else if (answer.error) return this.#broken(`init: ${answer.error.message}`);
    this.#current ??= await this.#make();
    const { oid: name } = this.#current;
    this.#attempt = this.history.begin({ kind: 'object', name, content: name });
    const lies = this.#options.planted === 'promises what was only sent';
    if (lies) this.history.end(this.#attempt, 'acknowledged');
    this.#send(agent, { event: 'upload', ...this.#current, action: null });
    // Before it can have stored anything: the lie must show.
    if (lies) agent.child.kill('SIGKILL');
  }

  #note({ oid, error }: Answer): void {
    if (oid !== this.#current?.oid) this.#broken(`${oid} is complete, and nobody sent it`);
    if (this.#attempt) this.history.end(this.#attempt, error ? 'failed' : 'acknowledged');
    if (error) {
      this.#options.report.note(error.message);
      this.refused += 1;
    } else {
      this.complete += 1;
      this.#current = null;
    }
  }

  async #make(): Promise<Upload> {
    this.#next += 1;
    const { seed } = this.#options;
    const size = 1000 + (this.#next % 4) * 400_000;
    const bytes = seededBytes(seed * 1000 + this.#next, size);
    const path = join(this.#clone, `file-${this.#next % 8}`);
    await writeFile(path, bytes);
    return { oid: digestOf(bytes), size, path };
  }

  #send({ child }: Started, message: object): void {
    child.stdin?.write(`${JSON.stringify(message)}\n`);
  }

  #broken(what: string): void {
    const { count, seed, report } = this.#options;
    report.broken({
      what,
      replay: `npm run soak -- --only kill-agent --count ${count} --seed ${seed}`,
    });
  }

  async look(root: string): Promise<void> {
    const { repository, sight } = await openSoakStore(root);
    for (const what of await this.history.check(sight)) this.#broken(what);
    await repository.close();
  }
}

const gitEnv = (clone: string): Record<string, string> => ({
  HOME: clone,
  XDG_STATE_HOME: join(clone, 'state'),
  GIT_CONFIG_NOSYSTEM: '1',
});

async function run(options: SoakOptions): Promise<SoakResult> {
  const { count, seed, folder, report, starts } = options;
  const programs = await preparePrograms(starts, folder);
  const root = join(folder, 'store');
  const clone = join(folder, 'clone');
  await mkdir(root);
  await mkdir(clone);
  await promisify(execFile)('git', ['init', '-q', clone]);
  await writeFile(join(clone, '.lfsconfig'), `[lfs]\n\turl = datamon::file://${root}//acme/soak\n`);
  await openSoakStore(root);
  const uploads = new Uploads(options, programs, clone);
  const random = splitmix64(seed);
  let done = 0;
  for (; done < count && !report.enough; done += 1) {
    await uploads.spend(random);
    if (done % KILLS_PER_LOOK === KILLS_PER_LOOK - 1) await uploads.look(root);
    report.progress(done);
  }
  await uploads.look(root);
  const { complete, refused } = uploads;
  return { done, facts: { complete, refused } };
}

export const killTheAgent: SoakKind = {
  name: 'kill-agent',
  unit: 'kills',
  promise:
    'kill -9 of the transfer agent loses no file that it called complete, and the next one uploads what was under way',
  defaultCount: 300,
  sliceCount: 4,
  plants: ['promises what was only sent'],
  run,
};
