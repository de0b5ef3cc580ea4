/** Runs `git lfs pre-push` as git would have run it: same arguments, same folder, same standard input, its exit status ours. */
import { spawn } from 'node:child_process';
import { safePath } from '../git/binary.ts';
import type { GitRepository } from '../git/repository.ts';
import type { HookWorld } from './world.ts';

export interface HandOn {
  readonly world: HookWorld;
  readonly repo: GitRepository;
  readonly args: readonly string[];
  readonly input: Buffer;
  readonly env?: Readonly<Record<string, string>>;
}

const STATUS_KILLED = 130;

export async function runGitLfs({ world, repo, args, input, env }: HandOn): Promise<number> {
  const { io } = world;
  const child = spawn(repo.git.binary, ['lfs', 'pre-push', ...args], {
    cwd: io.cwd,
    env: { ...io.env, PATH: safePath(io.env['PATH']), ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  child.stdout.on('data', (bytes: Buffer) => io.stdout.write(bytes));
  child.stderr.on('data', (bytes: Buffer) => io.stderr.write(bytes));
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const stop = () => child.kill('SIGINT');
  io.signal.addEventListener('abort', stop, { once: true });
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (status) => resolve(status ?? STATUS_KILLED));
    });
  } finally {
    io.signal.removeEventListener('abort', stop);
  }
}
