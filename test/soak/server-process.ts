/** The real server as a process of its own on a folder, which can be killed and started again at the same address. */
import { type Ended, type Programs, type Started, startProgram } from './programs.ts';

export interface ServerProcess {
  readonly port: number;
  readonly started: Started;
}

/** Ready when it resolves. Port 0 takes any. */
export async function startServer(
  programs: Programs,
  root: string,
  port: number,
): Promise<ServerProcess> {
  let listening = (_line: string): void => {};
  const line = new Promise<string>((resolve) => {
    listening = resolve;
  });
  const env = { ...programs.env, DATAMON_ANONYMOUS: 'write' };
  const args = ['serve', '--store', `file://${root}`, '--listen', `127.0.0.1:${port}`];
  const started = startProgram({ ...programs, env }, 'cli/main.ts', args, (text) =>
    listening(text),
  );
  const first = await Promise.race([line, started.ended]);
  if (typeof first !== 'string') throw new Error(`the server did not start: ${first.said}`);
  return { port: Number(new URL(first.trim()).port), started };
}

export async function killServer({ started }: ServerProcess): Promise<Ended> {
  started.child.kill('SIGKILL');
  return await started.ended;
}
