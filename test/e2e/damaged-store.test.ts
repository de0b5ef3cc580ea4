/** A store that lost a file or a bit: no wrong byte is handed out, the file it concerns is named, and all others come through. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Backend } from '../../core/backend/backend.ts';
import { digestOf } from '../../core/digest.ts';
import type { Key } from '../../core/keys.ts';
import { seededBytes } from '../support/splitmix64.ts';
import { type Project, Stage, type StageOptions } from './support/stage.ts';
import { flipBit, largestPack, takeAway } from './support/store-files.ts';

const MIB = 1024 * 1024;
/** In a pack. */
const BIG = seededBytes(1, 6 * MIB);
/** In the same pack, behind it. */
const NEAR = seededBytes(3, MIB);
const SMALL = seededBytes(2, 300_000);
const EXIT_PARTIAL = 3;
const EXIT_DAMAGED = 13;

async function twoPushes(stage: Stage, options: { readonly url?: string }): Promise<Project> {
  const initArgs = options.url === undefined ? [] : ['--shared'];
  const project = await stage.project('damaged', { ...options, initArgs });
  const { repo } = project;
  await repo.write('near.bin', NEAR);
  for (const [name, bytes] of [
    ['big.bin', BIG],
    ['small.bin', SMALL],
  ] as const) {
    await repo.write(name, bytes);
    await repo.commit(name);
    const pushed = await repo.run(['push', '-q', 'origin', 'main']);
    expect(pushed.status, pushed.stderr).to.equal(0);
  }
  return project;
}

const DAMAGES = {
  'a pack that is missing': (store: Backend, key: Key) => takeAway(store, key),
  'a bit that flipped in a pack': (store: Backend, key: Key) => flipBit(store, key, 3 * MIB),
} as const;

for (const server of ['running', 'none'] as const satisfies readonly StageOptions['server'][]) {
  const through = server === 'running' ? 'through a server' : 'straight on a store';
  describe(`end to end: a damaged store, ${through}`, function () {
    this.timeout(60_000);
    let stage: Stage;
    let project: Project;
    let pack: Key;
    let count = 0;
    before(async () => {
      stage = await Stage.set({ server });
      const url = `${stage.storeUrl}//team/damaged`;
      project = await twoPushes(stage, server === 'none' ? { url } : {});
      pack = await largestPack(stage.backend);
    });
    after(() => stage.strike());

    const freshFolder = (): string => join(stage.world.root, `out-${++count}`);

    for (const [name, damage] of Object.entries(DAMAGES)) {
      describe(name, () => {
        let undo: () => Promise<void>;
        before(async () => {
          undo = await damage(stage.backend, pack);
        });
        after(() => undo());

        it('get names file and pack, brings the others, and ends with 3', async () => {
          const out = freshFolder();
          const got = await stage.run('datamon', ['get', 'main', out, '--repo', project.url]);
          expect(got.status, got.stderr).to.equal(EXIT_PARTIAL);
          expect(got.stdout).to.contain('failed big.bin').and.contain(digestOf(BIG));
          expect(got.stdout).to.contain('Push the file again');
          expect(existsSync(join(out, 'big.bin'))).to.equal(false);
          expect((await readFile(join(out, 'small.bin'))).equals(SMALL)).to.equal(true);
        });

        it('get of that file alone ends with 13', async () => {
          const args = ['get', 'main', freshFolder(), '--repo', project.url];
          const got = await stage.run('datamon', [...args, '--include', 'big.bin']);
          expect(got.status, got.stderr).to.equal(EXIT_DAMAGED);
        });

        it('cat never hands out a wrong byte', async () => {
          const got = await stage.run('datamon', ['cat', 'main:big.bin', '--repo', project.url]);
          expect(got.status, got.stderr).to.equal(EXIT_DAMAGED);
        });

        it('a clone says which file; the others can be fetched', async () => {
          const folder = freshFolder();
          const cloned = await stage.run('git', ['clone', '-q', project.remote.dir, folder]);
          expect(cloned.status).to.not.equal(0);
          expect(cloned.stderr).to.contain('big.bin').and.contain(digestOf(BIG));
          const fetched = await stage.run('git', ['lfs', 'fetch'], { cwd: folder });
          expect(fetched.status).to.not.equal(0);
          expect(existsSync(join(folder, '.git/lfs/objects', pathOf(BIG)))).to.equal(false);
          const kept = await readFile(join(folder, '.git/lfs/objects', pathOf(SMALL)));
          expect(kept.equals(SMALL)).to.equal(true);
        });

        if (server === 'running') {
          it('the server answers 500, or cuts the connection where bytes flowed', async () => {
            const whole = await fetchObject(project);
            expect(whole).to.be.oneOf([500, 'cut']);
          });

          it('the server goes on serving what else is in that pack, where it is there', async () => {
            const near = await fetch(`${project.url}/objects/${digestOf(NEAR)}`);
            const isThere = (await stage.backend.stat(pack)) !== null;
            expect(near.status).to.equal(isThere ? 200 : 500);
            const bytes = Buffer.from(await near.arrayBuffer());
            expect(bytes.equals(NEAR)).to.equal(isThere);
          });
        }
      });
    }

    // Last, because afterwards no damage to this pack matters any more.
    describe('sent again', () => {
      it('files of a missing pack heal where somebody who has them sends them again', async () => {
        await takeAway(stage.backend, pack);
        const { repo, remote } = project;
        for (const bytes of [BIG, NEAR]) {
          const args = ['lfs', 'push', '--object-id', 'origin', digestOf(bytes)];
          const pushed = await repo.run(args);
          expect(pushed.status, pushed.stderr).to.equal(0);
        }
        const clone = await stage.world.clone(remote, 'healed');
        expect((await clone.read('big.bin')).equals(BIG)).to.equal(true);
        expect((await clone.read('near.bin')).equals(NEAR)).to.equal(true);
      });
    });
  });
}

const pathOf = (bytes: Buffer): string => {
  const oid = digestOf(bytes);
  return `${oid.slice(0, 2)}/${oid.slice(2, 4)}/${oid}`;
};

/** The status; or `cut` where the body ended before its end, every byte of it a right one. */
async function fetchObject(project: Project): Promise<number | 'cut'> {
  const response = await fetch(`${project.url}/objects/${digestOf(BIG)}`);
  if (response.body === null || response.status !== 200) return response.status;
  let received = 0;
  try {
    for await (const bytes of response.body) {
      const right = BIG.subarray(received, received + bytes.length);
      if (!right.equals(bytes)) throw new Error('a wrong byte');
      received += bytes.length;
    }
  } catch (error) {
    if ((error as Error).message === 'a wrong byte') throw error;
    return 'cut';
  }
  return response.status;
}
