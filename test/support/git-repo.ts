/** Real git and git-lfs for tests: own HOME and global config, fixed identity and dates, argv arrays, nothing outside a temp folder. */
import { spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { FAST_PATHS_OFF } from '../../core/fast-paths.ts';

export interface Ran {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

const RUN_TIMEOUT_MS = 90_000;

const LFS_FILTER = `[filter "lfs"]
	clean = git-lfs clean -- %f
	smudge = git-lfs smudge -- %f
	process = git-lfs filter-process
	required = true
`;

/** Runs a program to its end and never throws for its exit status. */
export async function runProgram(
  program: string,
  args: readonly string[],
  options: RunOptions & { readonly cwd: string; readonly env: Readonly<Record<string, string>> },
): Promise<Ran> {
  const child = spawn(program, [...args], {
    cwd: options.cwd,
    env: options.env,
    timeout: RUN_TIMEOUT_MS,
    killSignal: 'SIGKILL',
  });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (part: Buffer) => stdout.push(part));
  child.stderr.on('data', (part: Buffer) => stderr.push(part));
  child.stdin.on('error', () => {});
  child.stdin.end(options.input ?? '');
  const status = await new Promise<number>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      // Else a machine that is too busy looks like a program that failed.
      const told = `\n${program} ended by ${signal}; it has ${RUN_TIMEOUT_MS} ms\n`;
      if (code === null) stderr.push(Buffer.from(told));
      resolve(code ?? 128);
    });
  });
  return {
    status,
    stdout: Buffer.concat(stdout).toString('utf8'),
    stderr: Buffer.concat(stderr).toString('utf8'),
  };
}

/** A temp folder with a HOME of its own, in which repos are made. */
export class GitWorld {
  readonly root: string;
  readonly env: Readonly<Record<string, string>>;

  private constructor(root: string) {
    this.root = root;
    this.env = {
      PATH: [dirname(process.execPath), process.env['PATH'] ?? ''].join(delimiter),
      HOME: join(root, 'home'),
      XDG_CONFIG_HOME: join(root, 'home', '.config'),
      XDG_CACHE_HOME: join(root, 'home', '.cache'),
      XDG_STATE_HOME: join(root, 'home', '.state'),
      GIT_CONFIG_GLOBAL: join(root, 'home', '.gitconfig'),
      GIT_CONFIG_NOSYSTEM: '1',
      [FAST_PATHS_OFF]: process.env[FAST_PATHS_OFF] ?? '',
      GIT_TERMINAL_PROMPT: '0',
      GIT_AUTHOR_NAME: 'Ada',
      GIT_AUTHOR_EMAIL: 'ada@example.org',
      GIT_AUTHOR_DATE: '2026-01-02T03:04:05Z',
      GIT_COMMITTER_NAME: 'Ada',
      GIT_COMMITTER_EMAIL: 'ada@example.org',
      GIT_COMMITTER_DATE: '2026-01-02T03:04:05Z',
      LC_ALL: 'C',
    };
  }

  static async create(): Promise<GitWorld> {
    const root = await mkdtemp(join(tmpdir(), 'git-world-'));
    const world = new GitWorld(root);
    await mkdir(join(root, 'home'));
    await writeFile(
      join(root, 'home', '.gitconfig'),
      `[init]\n\tdefaultBranch = main\n[user]\n\tname = Ada\n\temail = ada@example.org\n[protocol "file"]\n\tallow = always\n[gc]\n\tauto = 0\n[lfs]\n\tlocksverify = false\n${LFS_FILTER}`,
    );
    return world;
  }

  /** For all programs that are run from now on. */
  addEnv(variables: Readonly<Record<string, string>>): void {
    Object.assign(this.env, variables);
  }

  async remove(): Promise<void> {
    await rm(this.root, { recursive: true, force: true });
  }

  run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Ran> {
    return runProgram(program, args, {
      cwd: options.cwd ?? this.root,
      env: { ...this.env, ...options.env },
      ...(options.input === undefined ? {} : { input: options.input }),
    });
  }

  /** Sets a key of the global configuration. */
  async setGlobal(key: string, value: string): Promise<void> {
    await this.run('git', ['config', '--global', key, value]);
  }

  async init(name: string): Promise<GitRepo> {
    const repo = new GitRepo(this, join(this.root, name));
    await mkdir(repo.dir, { recursive: true });
    await repo.git('init', '-q');
    return repo;
  }

  async bare(name: string): Promise<GitRepo> {
    const repo = new GitRepo(this, join(this.root, name));
    await mkdir(repo.dir, { recursive: true });
    await repo.git('init', '-q', '--bare');
    return repo;
  }

  async clone(from: GitRepo, name: string, ...args: string[]): Promise<GitRepo> {
    const repo = new GitRepo(this, join(this.root, name));
    const ran = await this.run('git', ['clone', '-q', ...args, from.dir, repo.dir]);
    if (ran.status !== 0) throw new Error(`git clone: ${ran.stderr}`);
    return repo;
  }

  /** A repo with one remote `origin`, a bare repo beside it, where `*.bin` belongs to LFS. Nothing is committed yet. */
  async withRemote(name = 'work'): Promise<{ readonly repo: GitRepo; readonly remote: GitRepo }> {
    const remote = await this.bare(`${name}.git`);
    const repo = await this.init(name);
    await repo.git('remote', 'add', 'origin', remote.dir);
    await repo.write('.gitattributes', '*.bin filter=lfs diff=lfs merge=lfs -text\n');
    return { repo, remote };
  }
}

/** One repo, or work tree, of a `GitWorld`. */
export class GitRepo {
  readonly world: GitWorld;
  readonly dir: string;

  constructor(world: GitWorld, dir: string) {
    this.world = world;
    this.dir = dir;
  }

  run(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
    return this.world.run('git', args, { cwd: this.dir, ...options });
  }

  /** Standard output without its last newline; throws where git fails. */
  async git(...args: string[]): Promise<string> {
    const ran = await this.run(args);
    if (ran.status !== 0) throw new Error(`git ${args.join(' ')}: ${ran.status} ${ran.stderr}`);
    return ran.stdout.replace(/\n$/, '');
  }

  path(...parts: string[]): string {
    return join(this.dir, ...parts);
  }

  async write(path: string, content: string | Uint8Array, mode = 0o644): Promise<void> {
    await mkdir(dirname(this.path(path)), { recursive: true });
    await writeFile(this.path(path), content);
    await chmod(this.path(path), mode);
  }

  read(path: string): Promise<Buffer> {
    return readFile(this.path(path));
  }

  /** Adds everything, commits, and returns the commit's id. */
  async commit(message: string): Promise<string> {
    await this.git('add', '-A');
    await this.git('commit', '-q', '--allow-empty', '-m', message);
    return this.git('rev-parse', 'HEAD');
  }

  /** Writes a hook of this repo, in the folder git itself reads. */
  async writeHook(name: string, script: string): Promise<string> {
    const folder = await this.git('rev-parse', '--path-format=absolute', '--git-path', 'hooks');
    await mkdir(folder, { recursive: true });
    const file = join(folder, name);
    await writeFile(file, script);
    await chmod(file, 0o755);
    return file;
  }
}
