/** fsck as an operator runs it: real pushes, damage by hand, a check, a repair in the clone, and a new clone with every byte. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { firstKey } from '../../core/backend/segments.ts';
import { digestOf } from '../../core/digest.ts';
import type { Key } from '../../core/keys.ts';
import { seededBytes } from '../support/splitmix64.ts';
import { type Project, Stage } from './support/stage.ts';
import { flipBit, largestPack, objectsOf, takeAway } from './support/store-files.ts';

const MIB = 1024 * 1024;
const BIG = seededBytes(1, 6 * MIB);
const SMALL = seededBytes(2, 300_000);
const README = 'What this is about.\n';
const EXIT_DAMAGED = 13;
const EXIT_PARTIAL = 3;

describe('end to end: datamon fsck', function () {
  this.timeout(120_000);
  let stage: Stage;
  let project: Project;
  let cloneCount = 0;

  beforeEach(async () => {
    stage = await Stage.set({ server: 'none' });
    const url = `${stage.storeUrl}//team/damaged`;
    project = await stage.project('damaged', { url, initArgs: ['--shared'] });
    const { repo } = project;
    await repo.write('README.md', README);
    for (const [name, bytes] of [
      ['big.bin', BIG],
      ['small.bin', SMALL],
    ] as const) {
      await repo.write(name, bytes);
      await repo.commit(name);
      const pushed = await repo.run(['push', '-q', 'origin', 'main']);
      expect(pushed.status, pushed.stderr).to.equal(0);
    }
  });
  afterEach(() => stage.strike());

  const fsck = (...args: readonly string[]) =>
    stage.run('datamon', ['fsck', ...args], { cwd: project.repo.dir });

  async function expectClone(): Promise<void> {
    cloneCount += 1;
    const clone = await stage.world.clone(project.remote, `clone-${cloneCount}`);
    expect((await clone.read('big.bin')).equals(BIG)).to.equal(true);
    expect((await clone.read('small.bin')).equals(SMALL)).to.equal(true);
    const out = join(stage.world.root, `out-${cloneCount}`);
    await stage.mustRun('datamon', ['get', 'main', out, '--repo', project.url]);
    expect(await readFile(join(out, 'README.md'), 'utf8')).to.equal(README);
  }

  it('a sound store: status 0, and doctor knows when it was', async () => {
    const ran = await fsck();
    expect(ran.status, ran.stdout + ran.stderr).to.equal(0);
    expect(ran.stdout).to.contain('nothing is damaged');
    const doctor = await stage.run('datamon', ['doctor'], { cwd: project.repo.dir });
    expect(doctor.stdout).to.match(/the whole store was read back \S+ s ago: nothing is damaged/);
  });

  it('a flipped bit is told by key, file, bundle, commit and command; --repair in the clone heals it', async () => {
    const pack = await largestPack(stage.backend);
    await flipBit(stage.backend, pack, 3 * MIB);
    const ran = await fsck();
    expect(ran.status, ran.stdout + ran.stderr).to.equal(EXIT_DAMAGED);
    expect(ran.stdout)
      .to.contain(`damaged: ${pack}`)
      .and.match(/lost +big\.bin \(6\.3 MB\)/);
    const head = (await project.repo.git('rev-parse', 'HEAD')).trim();
    expect(ran.stdout).to.contain(`of commit ${head.slice(0, 12)} (main #`);
    expect(ran.stdout).to.contain(`datamon fsck ${stage.storeUrl} --repair`);
    const repaired = await fsck('--repair');
    expect(repaired.status, repaired.stdout + repaired.stderr).to.equal(0);
    expect(repaired.stdout).to.contain('sent again').and.contain('condemned');
    await takeAway(stage.backend, pack);
    expect((await fsck()).status).to.equal(0);
    await expectClone();
  });

  it('the store’s packs and segments all gone: the clone that pushed gives back files, pages and bundles', async () => {
    for (const key of Object.keys(await objectsOf(stage.backend))) {
      if (/\/(?:packs|segments|bundles)\//.test(key)) await stage.backend.remove(key as Key);
    }
    expect((await fsck()).status).to.equal(EXIT_DAMAGED);
    const repaired = await fsck('--repair');
    expect(repaired.stdout).to.contain('made from git').and.contain('sent again');
    expect(repaired.status, repaired.stdout + repaired.stderr).to.equal(0);
    await expectClone();
  });

  it('a folder of LFS objects serves where the clone has none', async () => {
    const objects = join(project.repo.dir, '.git/lfs/objects');
    const folder = join(stage.world.root, 'backup');
    await stage.world.run('mv', [objects, folder]);
    const pack = await largestPack(stage.backend);
    await takeAway(stage.backend, pack);
    const without = await fsck('--repair');
    expect(without.status).to.be.oneOf([EXIT_DAMAGED, EXIT_PARTIAL]);
    expect(without.stdout).to.contain(`missing: ${pack}`);
    const repaired = await fsck('--repair', '--from', folder);
    expect(repaired.status, repaired.stdout + repaired.stderr).to.equal(0);
    await expectClone();
  });

  it('a damaged log entry is left, and the words say what still works', async () => {
    const head = await firstKey(stage.backend, 'repos/team%2Fdamaged/branches/main/');
    await flipBit(stage.backend, head as Key, 40);
    const ran = await fsck('--repair');
    expect(ran.status).to.equal(EXIT_DAMAGED);
    expect(ran.stdout)
      .to.contain('branch main cannot be read or written until this entry is back')
      .and.contain('all files are as they were');
  });

  it('--json has one object for each finding, action and the sum', async () => {
    await flipBit(stage.backend, await largestPack(stage.backend), 3 * MIB);
    const ran = await fsck('--repair', '--json');
    const rows = ran.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string; files?: { oid: string }[] });
    expect(rows.map(({ type }) => type)).to.deep.equal([
      'finding',
      ...rows.slice(1, -1).map(() => 'action'),
      'summary',
    ]);
    expect(rows[0]).to.deep.include({ kind: 'container', state: 'damaged', lostCount: 1 });
    expect(rows[0]?.files?.map(({ oid }) => oid)).to.deep.equal([digestOf(BIG)]);
    expect(rows.at(-1)).to.deep.include({ damageCount: 0, repaired: true });
  });
});
