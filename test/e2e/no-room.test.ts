/** A disk that is full, a store nobody may write to, a file that changes under the push: it fails in words, records nothing, and works once the cause is gone. */
import { execFile } from 'node:child_process';
import { appendFile, chmod, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { digestOf } from '../../core/digest.ts';
import { seededBytes } from '../support/splitmix64.ts';
import { openProxy, type Project, Stage, type StageOptions } from './support/stage.ts';
import { objectsOf } from './support/store-files.ts';
import { describeOnFolder } from './support/store-place.ts';

const run = promisify(execFile);
const MIB = 1024 * 1024;
const DISK_SIZE_BYTES = 8 * MIB;
/** Questions about the first 16 MiB of a file; reading is at most 12 MiB ahead of them. */
const ASKED_SIZE_BYTES = 16 * 1024;
const BALLAST_SIZE_BYTES = 5 * MIB;

/** A small disk at this folder; why not, where none can be mounted. */
async function mountSmallDisk(folder: string): Promise<string | null> {
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${DISK_SIZE_BYTES}`, 'tmpfs', folder]);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

async function logOf(stage: Stage, project: Project): Promise<readonly string[]> {
  return (await stage.log(project)).map(({ commit }) => commit);
}

for (const server of ['running', 'none'] as const satisfies readonly StageOptions['server'][]) {
  const through = server === 'running' ? 'through a server' : 'straight on a directory';
  describeOnFolder(`end to end: no room, ${through}`, 'its disk is made small', function () {
    this.timeout(60_000);
    let stage: Stage;
    let project: Project;
    let first: string;

    before(async () => {
      stage = await Stage.set({ server: 'none' });
      await mkdir(stage.store);
      const problem = await mountSmallDisk(stage.store);
      if (problem !== null) throw new Error(`this test needs root and tmpfs: ${problem}`);
      if (server === 'running') await stage.startServer();
      const standalone = { url: `${stage.storeUrl}//team/tight`, initArgs: ['--shared'] };
      project = await stage.project('tight', server === 'none' ? standalone : {});
      await project.repo.write('small.bin', seededBytes(1, 100_000));
      first = await project.repo.commit('Small');
      await project.repo.git('push', '-q', '-u', 'origin', 'main');
    });
    after(async () => {
      await stage.killServer('SIGKILL');
      await run('umount', [stage.store]);
      await stage.strike();
    });

    it('a full disk fails the push by name; what was there stays; freed, the same push succeeds', async () => {
      const ballast = join(stage.store, 'tmp', 'ballast');
      await mkdir(join(stage.store, 'tmp'), { recursive: true });
      await writeFile(ballast, Buffer.alloc(BALLAST_SIZE_BYTES));
      const bytes = seededBytes(2, 5 * MIB);
      await project.repo.write('large.bin', bytes);
      const second = await project.repo.commit('Too large');
      const pushed = await project.repo.run(['push', 'origin', 'main']);
      expect(pushed.status, pushed.stderr).to.not.equal(0);
      expect(pushed.stderr).to.match(/disk is full|no space|store is full/i);
      expect(pushed.stderr).to.not.match(/\n\s+at /);
      expect(await project.remote.git('rev-parse', 'main')).to.equal(first);
      expect(await logOf(stage, project)).to.deep.equal([first]);
      const out = join(stage.world.root, 'while-full');
      await stage.mustRun('datamon', ['get', 'main', out, '--repo', project.url]);
      await rm(ballast);
      const again = await project.repo.run(['push', 'origin', 'main']);
      expect(again.status, again.stderr).to.equal(0);
      expect(await logOf(stage, project)).to.deep.equal([second, first]);
      const clone = await stage.world.clone(project.remote, 'after-full');
      expect((await clone.read('large.bin')).equals(bytes)).to.equal(true);
    });

    it('a store that became read-only fails the push by name and can still be read', async () => {
      await project.repo.write('third.bin', seededBytes(3, 50_000));
      const third = await project.repo.commit('Third');
      const before = await logOf(stage, project);
      const files = await objectsOf(stage.backend);
      await run('mount', ['-o', 'remount,ro', stage.store]);
      try {
        const pushed = await project.repo.run(['push', 'origin', 'main']);
        expect(pushed.status, pushed.stderr).to.not.equal(0);
        expect(pushed.stderr).to.match(/read-only|EROFS|may not|not allowed|permission/i);
        expect(pushed.stderr).to.not.match(/\n\s+at /);
        expect(await logOf(stage, project)).to.deep.equal(before);
        expect(await objectsOf(stage.backend)).to.deep.equal(files);
      } finally {
        await run('mount', ['-o', 'remount,rw', stage.store]);
      }
      const again = await project.repo.run(['push', 'origin', 'main']);
      expect(again.status, again.stderr).to.equal(0);
      expect((await logOf(stage, project))[0]).to.equal(third);
    });
  });
}

describeOnFolder(
  'end to end: a store that cannot be made',
  'a file is put in its way',
  function () {
    this.timeout(60_000);

    it('a file where its folder should be is named', async () => {
      const stage = await Stage.set({ server: 'none' });
      try {
        await writeFile(stage.store, 'in the way');
        const { repo } = await stage.world.withRemote('blocked');
        const ran = await stage.run('datamon', ['init', `${stage.storeUrl}//team/blocked`], {
          cwd: repo.dir,
        });
        expect(ran.status, ran.stderr).to.not.equal(0);
        expect(ran.stderr).to.contain(stage.store);
        expect(ran.stderr).to.not.match(/\n\s+at /);
      } finally {
        await stage.strike();
      }
    });
  },
);

describe('end to end: a file that changes during its push', function () {
  this.timeout(120_000);
  let stage: Stage;
  before(async () => {
    stage = await Stage.set({ server: 'running' });
  });
  after(() => stage.strike());

  const bytes = seededBytes(4, 64 * MIB);
  const objectOf = (project: Project): string => {
    const oid = digestOf(bytes);
    return project.repo.path('.git/lfs/objects', oid.slice(0, 2), oid.slice(2, 4), oid);
  };
  const CHANGES = {
    'becomes another one': async (path: string) => {
      // In place, behind what was read: another byte at the very end.
      const { size } = { size: bytes.length };
      await run('sh', [
        '-c',
        'printf X | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null',
        'sh',
        path,
        String(size - 1),
      ]);
    },
    'becomes shorter': (path: string) => run('truncate', ['-s', String(24 * MIB), path]),
  } as const;

  for (const [name, change] of Object.entries(CHANGES)) {
    it(`${name}: the push fails and names it, nothing is recorded, the next one is whole`, async () => {
      const project = await stage.project(`changing-${name.replaceAll(' ', '-')}`);
      await project.repo.write('big.bin', bytes);
      const commit = await project.repo.commit('Big');
      const object = objectOf(project);
      await chmod(object, 0o644);
      const changed: Promise<unknown>[] = [];
      const proxy = await openProxy({
        to: () => stage.serverPort,
        afterBytes: ASKED_SIZE_BYTES,
        onBytes: () => changed.push(change(object)),
      });
      await project.repo.git('config', 'lfs.url', project.url.replace(/:\d+\//, `:${proxy.port}/`));
      const pushed = await project.repo.run(['push', 'origin', 'main']);
      proxy.close();
      await project.repo.git('config', '--unset', 'lfs.url');
      await Promise.all(changed);
      expect(changed.length).to.equal(1);
      expect(pushed.status, pushed.stderr).to.not.equal(0);
      expect(pushed.stderr)
        .to.contain('big.bin')
        .and.match(/changed|not what was announced/);
      expect(pushed.stderr).to.not.match(/\n\s+at /);
      expect(await stage.log(project)).to.deep.equal([]);
      expect((await fetch(`${project.url}/objects/${digestOf(bytes)}`)).status).to.equal(404);
      await writeFile(`${object}.whole`, bytes);
      await rename(`${object}.whole`, object);
      const again = await project.repo.run(['push', 'origin', 'main']);
      expect(again.status, again.stderr).to.equal(0);
      expect((await stage.log(project)).map((bundle) => bundle.commit)).to.deep.equal([commit]);
      const clone = await stage.world.clone(project.remote, `changing-${name}-clone`);
      expect((await clone.read('big.bin')).equals(bytes)).to.equal(true);
    });
  }

  it('a file that grew behind what its name says is refused before it is sent', async () => {
    const project = await stage.project('grown');
    await project.repo.write('big.bin', bytes);
    await project.repo.commit('Big');
    const object = objectOf(project);
    await chmod(object, 0o644);
    await appendFile(object, 'more');
    const pushed = await project.repo.run(['push', 'origin', 'main']);
    expect(pushed.status, pushed.stderr).to.not.equal(0);
    expect(pushed.stderr).to.contain('big.bin');
    expect(await stage.log(project)).to.deep.equal([]);
  });
});
