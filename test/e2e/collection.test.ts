/** Collection and prune with real git, git-lfs and a store in a folder: what goes is what nobody names, and what stays is whole. */
import { expect } from 'chai';
import type { Backend } from '../../core/backend/backend.ts';
import { DAY_MS } from '../../core/cas/touch.ts';
import { datamon } from '../cli/support/cli.ts';
import { seededBytes } from '../support/splitmix64.ts';
import { type Project, Stage } from './support/stage.ts';
import { change } from './support/store-files.ts';

const MIB = 1024 * 1024;

/** A store whose clock is days ahead of what its objects say. */
const daysAhead =
  (days: number) =>
  (backend: Backend): Backend => ({
    ...backend,
    url: backend.url,
    now: async () => new Date((await backend.now()).getTime() + days * DAY_MS),
  });

describe('end to end: collection', function () {
  this.timeout(180_000);
  let stage: Stage;
  let project: Project;
  const kept = seededBytes(31, 6 * MIB);
  const doomed = seededBytes(32, 8 * MIB);

  before(async () => {
    stage = await Stage.set({ server: 'none' });
    project = await stage.project('coll', {
      url: `${stage.storeUrl}//team/coll`,
      initArgs: ['--shared'],
    });
    const { repo } = project;
    await repo.write('kept.bin', kept);
    await repo.commit('Kept');
    const first = await repo.run(['push', '-u', 'origin', 'main']);
    expect(first.status, first.stderr).to.equal(0);
    await repo.git('checkout', '-q', '-b', 'wip');
    await repo.write('doomed.bin', doomed);
    await repo.commit('Doomed');
    const second = await repo.run(['push', 'origin', 'wip']);
    expect(second.status, second.stderr).to.equal(0);
    await repo.git('checkout', '-q', 'main');
    const gone = await repo.run(['push', 'origin', ':wip']);
    expect(gone.status, gone.stderr).to.equal(0);
  });
  after(() => stage.strike());

  const gc = (days: number, ...args: readonly string[]) =>
    datamon(['gc', ...args, '--json'], {
      cwd: stage.world.root,
      runtime: { aroundStore: daysAhead(days) },
    });

  it('without a policy there is nothing to collect, however old it is', async () => {
    const { json, status } = await gc(1000, stage.storeUrl);
    expect(status).to.equal(0);
    expect(json.filter(({ why }) => why === 'unreferenced')).to.deep.equal([]);
  });

  it('with one, a deleted branch’s files go a day after they were condemned; the rest clones whole', async () => {
    const set = await gc(
      0,
      stage.storeUrl,
      '--policy',
      'team/coll',
      '--unreferenced-days',
      '7',
      '--history-days',
      '7',
    );
    expect(set.json[0]).to.include({ type: 'policy', unreferencedDays: 7, historyDays: 7 });
    const before = await stage.storeBytes();
    const planned = await gc(20, stage.storeUrl, '--plan', 'gc.plan');
    expect(planned.json.at(-1)).to.include({ type: 'plan', pool: 'team' });
    expect(Number(planned.json.at(-1)?.['droppedBytes'])).to.equal(8 * MIB);
    expect(await stage.storeBytes(), 'a plan changes nothing').to.equal(before);
    const refused = await gc(20, '--apply', 'gc.plan');
    expect(refused.status, 'more than a tenth of the pool').to.equal(11);
    const condemned = await gc(20, '--apply', 'gc.plan', '--limit', '100%');
    expect(condemned.json[0], condemned.stderr).to.include({ type: 'condemned' });
    const deleted = await gc(22, '--apply', 'gc.plan');
    expect(deleted.json[0], deleted.stderr).to.include({ type: 'deleted', waiting: 0 });
    expect(before - (await stage.storeBytes())).to.be.greaterThan(7 * MIB);
    const clone = await stage.world.clone(project.remote, 'coll-clone');
    expect((await clone.read('kept.bin')).equals(kept)).to.equal(true);
    expect((await clone.run(['lfs', 'fsck'])).status).to.equal(0);
    const { json } = await gc(22, stage.storeUrl, '--status');
    expect(json[0]).to.include({ type: 'status', condemned: 0 });
  });

  it('prune frees what the store gives back, and keeps what it does not', async () => {
    const { repo } = project;
    await repo.git('branch', '-q', '-D', 'wip');
    for (const key of ['fetchrecentcommitsdays', 'fetchrecentrefsdays', 'pruneoffsetdays']) {
      await repo.git('config', `lfs.${key}`, '0');
    }
    const old = seededBytes(33, 2 * MIB);
    await repo.write('changing.bin', old);
    await repo.commit('Old');
    expect((await repo.run(['push'])).status).to.equal(0);
    await repo.write('changing.bin', seededBytes(34, 2 * MIB));
    await repo.commit('New');
    expect((await repo.run(['push'])).status).to.equal(0);
    const dry = await stage.run('datamon', ['prune', '--dry-run', '--json'], { cwd: repo.dir });
    expect(dry.stdout, dry.stderr).to.match(/"outcome":"would be deleted"/);
    const pruned = await stage.run('datamon', ['prune', '--json'], { cwd: repo.dir });
    const rows = pruned.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { outcome: string; bytes: number });
    // The deleted branch's file is in no store any more: this copy is the last one.
    expect(
      rows.filter(({ outcome }) => outcome === 'kept').map(({ bytes }) => bytes),
    ).to.deep.equal([8 * MIB]);
    expect(
      rows.filter(({ outcome }) => outcome === 'deleted').map(({ bytes }) => bytes),
    ).to.deep.equal([2 * MIB]);
    expect(pruned.status).to.equal(3);
    expect((await repo.read('kept.bin')).equals(kept)).to.equal(true);
    await repo.git('lfs', 'fetch', '--all').catch(() => '');
    const again = await stage.run('datamon', ['prune', '--quick'], { cwd: repo.dir });
    expect(again.stderr).to.match(/not read back/);
  });

  it('prune keeps a file whose bytes in the store are damaged', async () => {
    const { repo } = project;
    await repo.git('lfs', 'fetch', '--all').catch(() => '');
    const everywhere = (bytes: Buffer): void => {
      for (let at = 200; at < bytes.length; at += 4096) bytes[at] = (bytes[at] ?? 0) ^ 1;
    };
    for await (const { key } of stage.backend.list('pools/team/packs/')) {
      await change(stage.backend, key, everywhere);
    }
    for await (const { key, sizeBytes } of stage.backend.list('repos/team%2Fcoll/segments/')) {
      if (sizeBytes < MIB) continue;
      await change(stage.backend, key, (bytes) => {
        bytes[MIB / 2] = (bytes[MIB / 2] ?? 0) ^ 1;
      });
    }
    const pruned = await stage.run('datamon', ['prune', '--json'], { cwd: repo.dir });
    expect(pruned.status, pruned.stdout).to.equal(3);
    expect(pruned.stdout).not.to.match(/"outcome":"deleted"/);
  });
});
