/** Clones that reach a directory store through the agent alone: git's configuration is set by hand, no hook and no `datamon` takes part. */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type GitRepo, GitWorld } from '../../support/git-repo.ts';

export const AGENT_MAIN = resolve(import.meta.dirname, '../../../agent/main.ts');

export class Standalone {
  readonly world: GitWorld;
  readonly storeDir: string;

  private constructor(world: GitWorld) {
    this.world = world;
    this.storeDir = join(world.root, 'store');
  }

  static async create(): Promise<Standalone> {
    const world = await GitWorld.create();
    const standalone = new Standalone(world);
    await mkdir(standalone.storeDir);
    await standalone.useAgent(`'${process.execPath}' '${AGENT_MAIN}'`);
    await world.setGlobal('lfs.customtransfer.datamon.concurrent', 'false');
    await world.setGlobal('lfs.datamon::.standalonetransferagent', 'datamon');
    return standalone;
  }

  /** The shell command git-lfs starts. */
  async useAgent(command: string): Promise<void> {
    await this.world.setGlobal('lfs.customtransfer.datamon.path', 'sh');
    const launcher = join(this.world.root, 'git-lfs-datamon');
    await writeFile(launcher, `#!/bin/sh\nexec ${command} "$@"\n`, { mode: 0o755 });
    await this.world.setGlobal('lfs.customtransfer.datamon.path', launcher);
  }

  lfsUrl(repo: string): string {
    return `datamon::file://${this.storeDir}//${repo}`;
  }

  /** A repo with a remote, `*.bin` in LFS, and the committed `.lfsconfig` that names the store. */
  async repo(name: string): Promise<{ readonly repo: GitRepo; readonly remote: GitRepo }> {
    const made = await this.world.withRemote(name);
    await made.repo.write('.lfsconfig', `[lfs]\n\turl = ${this.lfsUrl(`team/${name}`)}\n`);
    return made;
  }

  /** What the agents of this world logged. */
  async log(): Promise<string> {
    const path = join(this.world.root, 'home', '.state', 'datamon', 'log', 'agent.log');
    return await readFile(path, 'utf8').catch(() => '');
  }
}

/** Uploads as the stock hook of git-lfs would, and nothing else. */
export const lfsPush = (repo: GitRepo, ...args: string[]) =>
  repo.run(['lfs', 'push', ...(args.length === 0 ? ['origin', 'main'] : args)]);

export async function wipeLocalObjects(repo: GitRepo): Promise<void> {
  await rm(await lfsFolder(repo, 'objects'), { recursive: true, force: true });
}

export async function lfsFolder(repo: GitRepo, name: string): Promise<string> {
  return join(
    await repo.git('rev-parse', '--path-format=absolute', '--git-common-dir'),
    'lfs',
    name,
  );
}

/** Unfinished downloads in the LFS folder. */
export async function leftovers(repo: GitRepo): Promise<readonly string[]> {
  const names = await readdir(await lfsFolder(repo, 'datamon')).catch(() => []);
  return names.filter((name) => name.includes('-datamon-'));
}
