/** A git repo with LFS data on its way to a host and back: pushes and clones as users do them, timed. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { LfsHost } from './lfs-program.ts';
import type { Command } from './model.ts';
import type { Rig } from './rig.ts';
import { checkFiles, copyTemplate, type Template } from './template.ts';

export interface ProjectOptions {
  readonly rig: Rig;
  readonly host: LfsHost;
  readonly template: Template;
  /** Name of the repo on the host. */
  readonly repo: string;
}

export class Project {
  readonly dir: string;
  readonly remote: string;
  readonly #options: ProjectOptions;

  private constructor(options: ProjectOptions, dir: string) {
    this.#options = options;
    this.dir = dir;
    this.remote = `${dir}.git`;
  }

  /** A copy of the template with an empty bare repo as its remote, connected with the host; at its first version. */
  static async create(options: ProjectOptions): Promise<Project> {
    const { rig, host, template, repo } = options;
    const project = new Project(options, rig.newPath(`project-${repo}`));
    await copyTemplate(rig, template, project.dir);
    await project.moveTo(0);
    await project.renewRemote();
    await host.connect(project.dir, repo);
    return project;
  }

  /** An empty remote under the same name. */
  async renewRemote(): Promise<void> {
    const { rig } = this.#options;
    await rm(this.remote, { recursive: true, force: true });
    await rig.run(rig.git('plain', rig.root, 'init', '-q', '--bare', this.remote));
    await rig.run({ ...this.#git('remote', 'remove', 'origin'), alsoFine: [2] });
    await rig.run(this.#git('remote', 'add', 'origin', this.#remoteUrl()));
  }

  /** Commits that version: what a work tree would do, without one. */
  async moveTo(version: number): Promise<void> {
    const commit = this.#options.template.commits[version] ?? '';
    await this.#options.rig.run(this.#git('update-ref', 'refs/heads/main', commit));
  }

  /** Takes datamon's hooks out and puts git-lfs's own one in: its agent does the work then. */
  async leaveToGitLfs(): Promise<void> {
    await rm(join(this.dir, '.git', 'hooks'), { recursive: true, force: true });
    await this.#options.rig.run(this.#git('lfs', 'update', '--force'));
  }

  pushCommand(): Command {
    return this.#git('push', '-q', 'origin', 'main');
  }

  /** Seconds of a push of what `main` is at. */
  async push(): Promise<number> {
    return (await this.#options.rig.run(this.pushCommand())).seconds;
  }

  cloneCommand(dir: string): Command {
    const { rig, host, repo } = this.#options;
    const config = ['-c', `lfs.url=${host.lfsUrl(repo)}`, '-c', 'lfs.locksverify=false'];
    return rig.git(host.home, rig.root, 'clone', '-q', ...config, this.#remoteUrl(), dir);
  }

  /** Seconds of a clone, which is compared with what was pushed and then removed. */
  async clone(version: number): Promise<number> {
    const { rig, template } = this.#options;
    const dir = rig.newPath('clone');
    const { seconds } = await rig.run(this.cloneCommand(dir));
    await checkFiles(dir, template.versions[version] ?? []);
    await rm(dir, { recursive: true });
    return seconds;
  }

  async remove(): Promise<void> {
    for (const path of [this.dir, this.remote]) await rm(path, { recursive: true, force: true });
  }

  #remoteUrl(): string {
    return `file://${this.remote}`;
  }

  #git(...args: string[]): Command {
    const { rig, host } = this.#options;
    return rig.git(host.home, this.dir, ...args);
  }
}

/** A host on an empty store with one project, gone again when the work with them is done. */
export async function withProject<T>(
  options: Omit<ProjectOptions, 'repo'>,
  work: (project: Project) => Promise<T>,
): Promise<T> {
  const { rig, host } = options;
  try {
    const project = await Project.create({ ...options, repo: 'data' });
    try {
      return await work(project);
    } finally {
      await project.remove();
    }
  } finally {
    await host.close();
    await rm(host.storeDir, { recursive: true, force: true });
    rig.throwIfStopped();
  }
}
