/** The agent as git-lfs starts it: a process that is spoken to in lines, whose every answer has a bound, and whose peak memory can be read. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';

const AGENT_MAIN = resolve(import.meta.dirname, '../../../agent/main.ts');
const KIB_PER_MIB = 1024;

export interface AgentAnswer {
  readonly event?: string;
  readonly oid?: string;
  readonly path?: string;
  readonly bytesSoFar?: number;
  readonly error?: { readonly code: number; readonly message: string };
}

export interface AgentProcessOptions {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** For each answer, and for the end. */
  readonly timeoutMs: number;
}

export class AgentProcess {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #timeoutMs: number;
  readonly #ended: Promise<number | NodeJS.Signals | null>;
  #stderr = '';

  constructor({ cwd, env, timeoutMs }: AgentProcessOptions) {
    const args = ['--disable-warning=ExperimentalWarning', AGENT_MAIN];
    this.#child = spawn(process.execPath, args, { cwd, env, stdio: ['pipe', 'pipe', 'pipe'] });
    this.#timeoutMs = timeoutMs;
    this.#child.stdin?.on('error', () => undefined);
    this.#child.stderr?.on('data', (bytes: Buffer) => {
      this.#stderr += bytes.toString('utf8');
    });
    this.#ended = new Promise((ended) =>
      this.#child.once('exit', (code, signal) => ended(code ?? signal)),
    );
    const stdout = this.#child.stdout as NodeJS.ReadableStream;
    this.#lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** Sends a message and waits for its answer, progress left out. */
  async ask(message: object): Promise<AgentAnswer> {
    this.write(`${JSON.stringify(message)}\n`);
    for (;;) {
      const { done, value } = await this.#bounded(this.#lines.next(), JSON.stringify(message));
      if (done === true) throw new Error(`the agent ended: ${this.#stderr}`);
      const answer = JSON.parse(value) as AgentAnswer;
      if (answer.event !== 'progress') return answer;
    }
  }

  write(bytes: string | Uint8Array): void {
    this.#child.stdin?.write(bytes);
  }

  /** Closes its input and waits for its end. */
  end(): Promise<number | NodeJS.Signals | null> {
    this.#child.stdin?.end();
    return this.#bounded(this.#ended, 'the end');
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  async #bounded<T>(what: Promise<T>, name: string): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, fail) => {
      const error = new Error(`no answer in ${this.#timeoutMs} ms to ${name}`);
      timer = setTimeout(() => fail(error), this.#timeoutMs);
    });
    try {
      return await Promise.race([what, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** The most memory a living process ever had, in MiB. Linux hands a parent's peak on in `maxRSS`; VmHWM is the process's own. */
export async function peakMibOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const [, kib] = /^VmHWM:\s+(\d+) kB/m.exec(status) ?? [];
  if (kib === undefined) throw new Error(`process ${pid} does not tell its peak`);
  return Math.ceil(Number(kib) / KIB_PER_MIB);
}
