/** Clones with our hooks on a store in a folder: real git and git-lfs, the hooks started as git starts them. */
import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { openRepositoryUrl } from '../../client/open.ts';
import { hasCode } from '../../core/errors.ts';
import type { BranchEvent, LabelEvent } from '../../core/meta/model.ts';
import type { Repository } from '../../core/meta/repository.ts';
import { resolveCommit } from '../../git/commit.ts';
import { type HookReport, installHooks } from '../../git/hook-shims.ts';
import { type RecordedRef, recordRef } from '../../git/record-commit.ts';
import { remoteId } from '../../git/remote-id.ts';
import { openGitRepo } from '../../git/repository.ts';
import { type GitRepo, GitWorld } from './git-repo.ts';

const root = resolve(import.meta.dirname, '../..');
const WATCH_TIMEOUT_MS = 15_000;
const WATCH_POLL_MS = 25;

export interface HookedProject {
  readonly repo: GitRepo;
  readonly remote: GitRepo;
  /** `file:///…//team/name`. */
  readonly url: string;
}

export class HookStage {
  readonly world: GitWorld;
  readonly launcher: string;

  private constructor(world: GitWorld) {
    this.world = world;
    this.launcher = join(world.root, 'bin', 'datamon');
  }

  static async create(): Promise<HookStage> {
    const stage = new HookStage(await GitWorld.create());
    await mkdir(join(stage.world.root, 'bin'));
    await stage.writeProgram(
      'datamon',
      `shift\nexec '${process.execPath}' '${join(root, 'hooks/main.ts')}' "$@"`,
    );
    const agent = await stage.writeProgram(
      'git-lfs-datamon',
      `exec '${process.execPath}' '${join(root, 'agent/main.ts')}'`,
    );
    await stage.world.setGlobal('lfs.customtransfer.datamon.path', agent);
    await stage.world.setGlobal('lfs.customtransfer.datamon.concurrent', 'false');
    await stage.world.setGlobal('lfs.datamon::.standalonetransferagent', 'datamon');
    return stage;
  }

  remove(): Promise<void> {
    return this.world.remove();
  }

  async writeProgram(name: string, body: string): Promise<string> {
    const file = join(this.world.root, 'bin', name);
    await writeFile(file, `#!/bin/sh\n${body}\n`);
    await chmod(file, 0o755);
    return file;
  }

  get storeFolder(): string {
    return join(this.world.root, 'store');
  }

  urlOf(name: string): string {
    return `file://${this.storeFolder}//team/${name}`;
  }

  async install(repo: GitRepo, options: { readonly chain?: boolean } = {}): Promise<HookReport> {
    const opened = await openGitRepo(repo.dir, this.world.env);
    return installHooks(opened, { launcher: this.launcher, ...options });
  }

  /** A clone with hooks and an empty bare remote; `*.bin` belongs to LFS. Nothing is committed yet. */
  async project(name: string): Promise<HookedProject> {
    const { repo, remote } = await this.world.withRemote(name);
    const url = this.urlOf(name);
    await repo.git('config', 'lfs.url', `datamon::${url}`);
    await this.install(repo);
    return { repo, remote, url };
  }

  /** Pushes `main` and records it as a hook would have, but without starting one: what a test begins with, not what it tests. */
  async pushAndRecord(project: HookedProject): Promise<RecordedRef> {
    const { repo, remote, url } = project;
    await repo.git('-c', 'core.hooksPath=/dev/null', 'push', '-q', 'origin', 'main');
    const id = await remoteId(remote.dir, '/');
    const opened = await openGitRepo(repo.dir, this.world.env);
    const by = 'Ada <ada@example.org>';
    const repository = await openRepositoryUrl(url, { create: { by, remote: id } });
    try {
      const commit = await resolveCommit(opened.git, 'main');
      const ref = { remote: id, ref: 'refs/heads/main', commit, pushedBy: by } as const;
      return await recordRef({ repository, repo: opened, ...ref, upload: 'missing' });
    } finally {
      await repository.close();
    }
  }

  /** Work with the project's repo; null where the store does not know it. */
  async visit<T>(
    { url }: { readonly url: string },
    work: (repository: Repository) => Promise<T>,
  ): Promise<T | null> {
    let repository: Repository;
    try {
      repository = await openRepositoryUrl(url);
    } catch (error) {
      if (hasCode(error, 'NOT_FOUND')) return null;
      throw error;
    }
    try {
      return await work(repository);
    } finally {
      await repository.close();
    }
  }

  /** Events of a branch, oldest first. */
  async events(
    project: { readonly url: string },
    branch = 'main',
  ): Promise<readonly BranchEvent[]> {
    const events = await this.visit(project, async ({ history }) => {
      const found: BranchEvent[] = [];
      for await (const { event } of history.branchLog(branch)) found.push(event);
      return found.reverse();
    });
    return events ?? [];
  }

  async branches(project: { readonly url: string }): Promise<readonly string[]> {
    const names = await this.visit(project, async ({ history }) => {
      const found: string[] = [];
      for await (const { event } of history.branches()) found.push(event.branch);
      return found;
    });
    return names ?? [];
  }

  async labels(project: { readonly url: string }): Promise<readonly LabelEvent[]> {
    const labels = await this.visit(project, async ({ history }) => {
      const found: LabelEvent[] = [];
      for await (const { event } of history.labels()) found.push(event);
      return found;
    });
    return labels ?? [];
  }

  /** Pushes the store knows of and nobody confirmed. */
  async announced(project: { readonly url: string }): Promise<number> {
    const count = await this.visit(project, async ({ history }) => {
      let found = 0;
      for await (const _ of history.pending()) found += 1;
      return found;
    });
    return count ?? 0;
  }

  /** Unconfirmed pushes this clone remembers. */
  async pendings(repo: GitRepo): Promise<readonly string[]> {
    const folder = await repo.git('rev-parse', '--path-format=absolute', '--git-common-dir');
    const names = await readdir(join(folder, 'datamon', 'pending')).catch(() => []);
    return names.filter((name) => name.endsWith('.json'));
  }

  /** Waits until the watcher has settled every push of the clone. */
  async settled(repo: GitRepo): Promise<void> {
    const endsAt = Date.now() + WATCH_TIMEOUT_MS;
    while ((await this.pendings(repo)).length > 0) {
      if (Date.now() > endsAt) throw new Error('a push stayed unconfirmed');
      await new Promise((done) => setTimeout(done, WATCH_POLL_MS));
    }
  }
}
