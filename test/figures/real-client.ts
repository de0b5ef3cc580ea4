/**
 * Real git and git-lfs with a file of 2 GiB + 1 byte, through a server with hooks and straight on a directory, then a MiB put into the
 * middle of 256 MiB: `node test/figures/real-client.ts`. One JSON line each. Needs 12 GiB in the temp folder; removes all of it.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { promisify } from 'node:util';
import { createHasher, type Digest } from '../../core/digest.ts';
import { type Project, Stage } from '../e2e/support/stage.ts';

const MIB = 1024 * 1024;
const TIMEOUT_MS = 20 * 60_000;

async function writeRandom(path: string, sizeBytes: number): Promise<void> {
  const file = await open(path, 'w');
  try {
    for (let done = 0; done < sizeBytes; done += MIB) {
      await file.write(randomBytes(Math.min(MIB, sizeBytes - done)));
    }
  } finally {
    await file.close();
  }
}

async function digestOfFile(path: string): Promise<Digest> {
  const hasher = createHasher();
  for await (const bytes of createReadStream(path)) hasher.update(bytes as Buffer);
  return hasher.digest();
}

/** Runs git to its end, however long it takes; its standard error and the seconds it took. */
async function git(
  stage: Stage,
  cwd: string,
  ...args: string[]
): Promise<{ readonly seconds: number; readonly said: string }> {
  const began = performance.now();
  const { stderr } = await promisify(execFile)('git', args, {
    cwd,
    env: stage.world.env,
    timeout: TIMEOUT_MS,
    maxBuffer: 64 * MIB,
  });
  return { seconds: Math.round((performance.now() - began) / 100) / 10, said: stderr };
}

const receiptOf = (said: string): string[] =>
  said
    .split(/[\r\n]/)
    .filter((line) => /^datamon: (100%|bundle)/.test(line))
    .map((line) => line.trim());

async function project(stage: Stage, name: string, way: 'server' | 'directory'): Promise<Project> {
  if (way === 'server') return stage.project(name);
  return stage.project(name, {
    url: `${stage.storeUrl}-${name}//alone/${name}`,
    initArgs: ['--shared'],
  });
}

async function pushAndClone(stage: Stage, way: 'server' | 'directory'): Promise<object> {
  const sizeBytes = 2 * 1024 * MIB + 1;
  const { repo, remote } = await project(stage, `large-${way}`, way);
  const before = await stage.storeBytes();
  await writeRandom(repo.path('large.bin'), sizeBytes);
  const added = await git(stage, repo.dir, 'add', '-A');
  await git(stage, repo.dir, 'commit', '-qm', 'Large');
  const pushed = await git(stage, repo.dir, 'push', 'origin', 'main');
  const copy = `${repo.dir}-clone`;
  const cloned = await git(stage, stage.world.root, 'clone', '-q', remote.dir, copy);
  const same =
    (await digestOfFile(repo.path('large.bin'))) === (await digestOfFile(`${copy}/large.bin`));
  const grownBytes = way === 'server' ? (await stage.storeBytes()) - before : null;
  await rm(repo.dir, { recursive: true });
  await rm(copy, { recursive: true });
  return {
    way,
    sizeBytes,
    same,
    addSeconds: added.seconds,
    pushSeconds: pushed.seconds,
    cloneSeconds: cloned.seconds,
    storeGrownBytes: grownBytes,
    receipt: receiptOf(pushed.said),
  };
}

async function insertOneMib(stage: Stage): Promise<object> {
  const { repo } = await project(stage, 'inserted', 'server');
  const path = repo.path('large.bin');
  await writeRandom(path, 256 * MIB);
  await git(stage, repo.dir, 'add', '-A');
  await git(stage, repo.dir, 'commit', '-qm', 'First');
  const first = await git(stage, repo.dir, 'push', 'origin', 'main');
  const before = await stage.storeBytes();
  const old = `${path}.old`;
  const script = 'head -c "$3" "$1"; head -c "$4" /dev/urandom; tail -c "+$(($3 + 1))" "$1"';
  await promisify(execFile)('sh', [
    '-c',
    `mv "$2" "$1" && { ${script}; } > "$2" && rm "$1"`,
    'sh',
    old,
    path,
    String(128 * MIB),
    String(MIB),
  ]);
  await git(stage, repo.dir, 'add', '-A');
  await git(stage, repo.dir, 'commit', '-qm', 'A MiB in the middle');
  const second = await git(stage, repo.dir, 'push', 'origin', 'main');
  const storeGrownBytes = (await stage.storeBytes()) - before;
  return {
    insertedBytes: MIB,
    firstPushSeconds: first.seconds,
    pushSeconds: second.seconds,
    storeGrownBytes,
    storeGrownMib: Math.round((storeGrownBytes / MIB) * 1000) / 1000,
    receipt: receiptOf(second.said),
  };
}

const stage = await Stage.set({ server: 'running' });
const print = (result: object): boolean => process.stdout.write(`${JSON.stringify(result)}\n`);
try {
  print(await insertOneMib(stage));
  print(await pushAndClone(stage, 'server'));
  print(await pushAndClone(stage, 'directory'));
} finally {
  await stage.strike();
}
