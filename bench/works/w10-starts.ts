/** W10: how long until the agent answers git-lfs's first line, and until `datamon --version` is done, beside Node doing nothing. */
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatamonError } from '../../core/errors.ts';
import type { Bench, Work } from '../bench.ts';
import type { Rig } from '../rig.ts';

const START = 'start';
const NODE = 'node -e 0';
const AGENT = 'datamon-agent ready';
const VERSION = 'datamon --version';
const INIT = {
  event: 'init',
  operation: 'upload',
  remote: 'origin',
  concurrent: false,
  concurrenttransfers: 8,
};

export const starts: Work = {
  id: 'W10',
  title: 'cold starts',
  targets: [
    { case: START, program: AGENT, metric: 'seconds', against: [NODE], bound: { atMost: 2.5 } },
  ],
  async run(bench) {
    const { rig } = bench;
    const clone = await rig.newFolder('clone');
    await rig.run(rig.git('datamon', clone, 'init', '-q'));
    const url = `datamon::file://${await rig.newFolder('store')}//bench/data`;
    await rig.run(rig.git('datamon', clone, 'config', 'lfs.url', url));
    const starters = [
      { name: NODE, ours: false, start: () => runNode(rig) },
      { name: AGENT, ours: true, start: () => startAgent(rig, clone) },
      { name: VERSION, ours: true, start: () => runVersion(rig) },
    ];
    // Compiled code is kept between starts, as it is for users; the first start of all fills that cache.
    for (const { start } of starters) await start();
    const rounds = bench.rounds * bench.sizes.startCount;
    await bench.takeTurns(starters, ({ name, start }) => once(bench, name, start), rounds);
  },
};

async function once(bench: Bench, name: string, start: () => Promise<number>): Promise<void> {
  bench.record({ case: START, program: name, values: { seconds: await start() } });
}

const runNode = (rig: Rig): Promise<number> =>
  rig.timed([{ program: rig.nodePath, args: ['-e', '0'], cwd: rig.root, env: rig.env('plain') }]);

const runVersion = (rig: Rig): Promise<number> => rig.timed([rig.datamon(['--version'])]);

/** Seconds from its start to its answer; then it is let go. */
async function startAgent(rig: Rig, clone: string): Promise<number> {
  const program = join(rig.bin, 'git-lfs-datamon');
  const began = performance.now();
  const child = rig.startChild({ program, args: [], cwd: clone, env: rig.env('datamon') });
  // Where it ends early its output says why.
  child.stdin?.on('error', () => undefined);
  const said: string[] = [];
  child.stderr?.on('data', (bytes: Buffer) => said.push(bytes.toString('utf8')));
  const ended = new Promise((done) => child.once('close', done));
  const answer = firstLine(child);
  child.stdin?.write(`${JSON.stringify(INIT)}\n`);
  const line = await answer;
  const seconds = (performance.now() - began) / 1000;
  child.stdin?.end(`${JSON.stringify({ event: 'terminate' })}\n`);
  await ended;
  if (line.trim() === '{}') return seconds;
  throw new DatamonError('UNAVAILABLE', `the agent answered ${line} ${said.join('')}`);
}

function firstLine({ stdout }: ChildProcess): Promise<string> {
  return new Promise((done) => {
    if (stdout === null) return done('nothing');
    const lines = createInterface({ input: stdout });
    lines.once('line', done);
    lines.once('close', () => done('nothing'));
  });
}
