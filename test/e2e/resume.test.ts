/** Killed in the middle, and gone on with: what was sent in whole packs is not sent again, what was fetched is not fetched again. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'chai';
import { seededBytes } from '../support/splitmix64.ts';
import { openProxy, type Project, type ServerProxy, Stage } from './support/stage.ts';

const MIB = 1024 * 1024;
const WAIT_MS = 25_000;
const BYTES = seededBytes(65, 96 * MIB);
/** Of BYTES, what the link lets through before the kill: the first pack, which is small, and some of those sent beside each other. */
const LET_THROUGH_BYTES = 64 * MIB;

async function until<T>(what: string, look: () => Promise<T | null>): Promise<T> {
  const deadline = performance.now() + WAIT_MS;
  for (;;) {
    const found = await look();
    if (found !== null) return found;
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await pause(2);
  }
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries.filter((e) => e.isFile()).map((e) => join(e.parentPath, e.name));
}

const notesIn = async (folder: string): Promise<string[]> =>
  (await filesBelow(folder)).filter((path) => path.endsWith('.json'));

const noteCount = async (folder: string): Promise<number> => (await notesIn(folder)).length;

/** Sizes in sum of the packs noted. */
async function notedBytes(folder: string): Promise<number> {
  let sizeBytes = 0;
  for (const path of await notesIn(folder)) {
    const [text = ''] = (await readFile(path, 'utf8')).split('\n');
    sizeBytes += JSON.parse(text).sizeBytes;
  }
  return sizeBytes;
}

interface Ended {
  readonly status: number | null;
  readonly said: string;
}

describe('end to end: killed and gone on with', function () {
  this.timeout(180_000);
  let stage: Stage;
  let proxy: ServerProxy;
  before(async () => {
    stage = await Stage.set({ server: 'running', secret: 'kept' });
    proxy = await openProxy({
      to: () => stage.serverPort,
      afterBytes: Number.POSITIVE_INFINITY,
      onBytes: () => {},
    });
  });
  after(async () => {
    proxy.close();
    await stage.strike();
  });

  /** A clone that reaches the server through the counting proxy, with a large file committed. */
  async function begun(name: string, initArgs: readonly string[] = []): Promise<Project> {
    const project = await stage.project(name, { initArgs });
    const { repo, url } = project;
    await repo.git('config', 'lfs.url', url.replace(/:\d+\//, `:${proxy.port}/`));
    await repo.write('big.bin', BYTES);
    await repo.commit('Big');
    return project;
  }

  function start(program: string, args: readonly string[], cwd: string) {
    const child: ChildProcess = spawn(program, [...args], {
      cwd,
      env: stage.world.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (bytes: Buffer) => {
        said += bytes.toString('utf8');
      });
    }
    return new Promise<Ended>((done) => child.once('close', (status) => done({ status, said })));
  }

  const uploads = ({ repo }: Project) => join(repo.dir, '.git', 'datamon', 'uploads');

  async function kill(word: string): Promise<void> {
    const pids = (await stage.processes(word)).filter((pid) => pid !== stage.serverPid);
    expect(pids, `processes of ${word}`).to.not.deep.equal([]);
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    proxy.cut();
  }

  /** Waits for packs to be noted, and for the link to hold: nobody comes to an end now. */
  const noted = (folder: string) =>
    until('the notes of packs', async () =>
      proxy.isHolding() && (await noteCount(folder)) > 0 ? true : null,
    );

  async function readsBack(project: Project, clone: string): Promise<void> {
    const cloned = await stage.world.clone(project.remote, clone);
    expect((await cloned.read('big.bin')).equals(BYTES)).to.equal(true);
    await rm(cloned.dir, { recursive: true });
  }

  it('kill -9 of the hook during the upload: the next push sends the rest, and says so', async () => {
    const project = await begun('hook-killed');
    proxy.holdAfter(LET_THROUGH_BYTES);
    const pushing = start('git', ['push', 'origin', 'main'], project.repo.dir);
    await noted(uploads(project));
    await kill('cli/main.ts');
    expect((await pushing).status).to.not.equal(0);
    const spared = await notedBytes(uploads(project));
    const before = proxy.upBytes();
    const again = await start('git', ['push', 'origin', 'main'], project.repo.dir);
    expect(again.status, again.said).to.equal(0);
    expect(again.said).to.match(/[0-9.]+ MB were there from the interrupted push/);
    expect(proxy.upBytes() - before).to.be.below(BYTES.length - spared + MIB);
    expect(await noteCount(uploads(project))).to.equal(0);
    await readsBack(project, 'hook-killed-clone');
  });

  it('kill -9 of the agent during the upload: the next push sends the rest', async () => {
    const project = await begun('agent-killed', ['--no-hooks']);
    await project.repo.git('config', 'datamon.hooks', 'off');
    await project.repo.git('lfs', 'install', '--local', '--force');
    proxy.holdAfter(LET_THROUGH_BYTES);
    const pushing = start('git-lfs', ['push', 'origin', 'main'], project.repo.dir);
    await noted(uploads(project));
    await kill('agent/main.ts');
    expect((await pushing).status).to.not.equal(0);
    const spared = await notedBytes(uploads(project));
    const before = proxy.upBytes();
    const again = await start('git-lfs', ['push', 'origin', 'main'], project.repo.dir);
    expect(again.status, again.said).to.equal(0);
    expect(proxy.upBytes() - before).to.be.below(BYTES.length - spared + MIB);
    expect(await noteCount(uploads(project))).to.equal(0);
  });

  it('kill -9 of the server during the upload, and back: the push itself goes on', async () => {
    const project = await begun('server-killed');
    const before = proxy.upBytes();
    proxy.holdAfter(LET_THROUGH_BYTES);
    const pushing = start('git', ['push', 'origin', 'main'], project.repo.dir);
    await noted(uploads(project));
    const spared = await notedBytes(uploads(project));
    await stage.killServer('SIGKILL');
    proxy.cut();
    await pause(300);
    await stage.startServer();
    const { status, said } = await pushing;
    expect(status, said).to.equal(0);
    // What was on its way is sent twice, nothing else.
    expect(proxy.upBytes() - before).to.be.below(2 * BYTES.length - spared + MIB);
    await readsBack(project, 'server-killed-clone');
  });

  it('kill -9 of the server during a clone, and back: the clone itself goes on', async () => {
    const project = await begun('clone-cut');
    await project.repo.git('push', '-q', 'origin', 'main');
    const dir = join(stage.world.root, 'clone-cut-clone');
    const cloning = start('git', ['clone', '-q', project.remote.dir, dir], stage.world.root);
    await until('a part of the file', async () => {
      const [part = ''] = await filesBelow(join(dir, '.git', 'lfs', 'datamon'));
      const found = part === '' ? null : await stat(part).catch(() => null);
      return (found?.size ?? 0) > 4 * MIB ? true : null;
    });
    await stage.killServer('SIGKILL');
    await pause(300);
    await stage.startServer();
    const { status, said } = await cloning;
    expect(status, said).to.equal(0);
    const cloned = await stage.world.run('git', ['-C', dir, 'status', '--porcelain']);
    expect(cloned.stdout).to.equal('');
    expect(existsSync(join(dir, 'big.bin'))).to.equal(true);
    expect((await stat(join(dir, 'big.bin'))).size).to.equal(BYTES.length);
  });

  it('kill -9 of datamon put: the next one sends the rest, and says so', async () => {
    const project = await begun('put-killed');
    const folder = join(stage.world.root, 'put-folder');
    await stage.world.run('mkdir', ['-p', folder]);
    await stage.world.run('cp', [join(project.repo.dir, 'big.bin'), folder]);
    const notes = join(stage.world.root, 'home', '.state', 'datamon', 'uploads');
    const url = `http://127.0.0.1:${proxy.port}/team/put`;
    const datamon = join(stage.world.root, 'bin', 'datamon');
    proxy.holdAfter(LET_THROUGH_BYTES);
    const putting = start(datamon, ['put', folder, url], stage.world.root);
    await noted(notes);
    await kill('cli/main.ts');
    await putting;
    const spared = await notedBytes(notes);
    const before = proxy.upBytes();
    const again = await start(datamon, ['put', folder, url], stage.world.root);
    expect(again.status, again.said).to.equal(0);
    expect(again.said).to.match(/[0-9.]+ MB were there from the interrupted push/);
    expect(proxy.upBytes() - before).to.be.below(BYTES.length - spared + MIB);
    expect(await noteCount(notes)).to.equal(0);
  });
});
