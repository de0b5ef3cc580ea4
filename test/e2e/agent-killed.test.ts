/** The agent, or git-lfs above it, killed in the middle: nothing half-done is ever taken for whole, and the next run heals. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'chai';
import { digestOf } from '../../core/digest.ts';
import {
  leftovers,
  lfsFolder,
  lfsPush,
  Standalone,
  wipeLocalObjects,
} from '../agent/support/standalone.ts';
import type { GitRepo } from '../support/git-repo.ts';
import { seededBytes } from '../support/splitmix64.ts';

const MIB = 1024 * 1024;
const BIG = seededBytes(77, 48 * MIB);
const WAIT_MS = 15_000;
const POLL_MS = 5;

/** The first value that is not null. Files of another process tell of no event. */
async function until<T>(what: string, look: () => Promise<T | null>): Promise<T> {
  const deadline = performance.now() + WAIT_MS;
  for (;;) {
    const found = await look();
    if (found !== null) return found;
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await pause(POLL_MS);
  }
}

/** The pid of the agent that answers the `count`-th init of this world. */
const agentPid = (lab: Standalone, count: number): Promise<number> =>
  until('the agent', async () => {
    const inits = [...(await lab.log()).matchAll(/Z (\d+) init /g)];
    return inits.length < count ? null : Number(inits[count - 1]?.[1]);
  });

const initCount = async (lab: Standalone): Promise<number> =>
  (await lab.log()).match(/ init /g)?.length ?? 0;

async function leftoverBytes(repo: GitRepo): Promise<number> {
  const own = await lfsFolder(repo, 'datamon');
  return existsSync(own) ? folderBytes(own) : 0;
}

/** Where the last download that went on did so, by the agents' log. */
async function goneOn(lab: Standalone): Promise<number> {
  const found = [...(await lab.log()).matchAll(/: goes on at byte (\d+)/g)];
  return Number(found.at(-1)?.[1] ?? 0);
}

async function folderBytes(folder: string): Promise<number> {
  let sizeBytes = 0;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const found = await stat(join(entry.parentPath, entry.name)).catch(() => null);
    if (found?.isFile()) sizeBytes += found.size;
  }
  return sizeBytes;
}

function start(lab: Standalone, repo: GitRepo, args: readonly string[]): ChildProcess {
  return spawn('git-lfs', [...args], { cwd: repo.dir, env: lab.world.env, stdio: 'ignore' });
}

const ended = (child: ChildProcess): Promise<number | null> =>
  child.exitCode !== null || child.signalCode !== null
    ? Promise.resolve(child.exitCode)
    : new Promise((resolve) => child.once('exit', resolve));

describe('end to end: killed in the middle', function () {
  this.timeout(60_000);
  let lab: Standalone;
  let repo: GitRepo;

  beforeEach(async () => {
    lab = await Standalone.create();
    ({ repo } = await lab.repo('victim'));
    await repo.write('big.bin', BIG);
    await repo.commit('A large file');
  });
  afterEach(() => lab.world.remove());

  it('kill -9 of the agent during an upload: the push fails, pushing again heals', async () => {
    const push = start(lab, repo, ['push', 'origin', 'main']);
    const pid = await agentPid(lab, 1);
    await until('first bytes in the store', async () =>
      (await folderBytes(lab.storeDir)) > 4096 ? true : null,
    );
    process.kill(pid, 'SIGKILL');
    expect(await ended(push)).to.not.equal(0);
    const again = await lfsPush(repo);
    expect(again.status, again.stderr).to.equal(0);
    await wipeLocalObjects(repo);
    const fetched = await repo.run(['lfs', 'fetch', 'origin', 'main']);
    expect(fetched.status, fetched.stderr).to.equal(0);
    expect((await repo.run(['lfs', 'fsck', '--objects'])).status).to.equal(0);
  });

  it('kill -9 of the agent after its first pack: pushing again stores the rest alone, and one object', async () => {
    const larger = seededBytes(78, 150 * MIB);
    await repo.write('big.bin', larger);
    await repo.commit('A larger file');
    const notes = join(await repo.git('rev-parse', '--absolute-git-dir'), 'datamon', 'uploads');
    const push = start(lab, repo, ['push', 'origin', 'main']);
    const pid = await agentPid(lab, 1);
    await until('the note of a pack', async () =>
      (existsSync(notes) ? await readdir(notes, { recursive: true }) : []).some((name) =>
        name.endsWith('.json'),
      )
        ? true
        : null,
    );
    process.kill(pid, 'SIGKILL');
    expect(await ended(push)).to.not.equal(0);
    const packs = join(lab.storeDir, 'pools');
    const before = await folderBytes(packs);
    const again = await lfsPush(repo);
    expect(again.status, again.stderr).to.equal(0);
    const wanted = larger.length + BIG.length;
    expect((await folderBytes(packs)) - before).to.be.below(wanted - 60 * MIB);
    await wipeLocalObjects(repo);
    const fetched = await repo.run(['lfs', 'fetch', 'origin', 'main']);
    expect(fetched.status, fetched.stderr).to.equal(0);
    expect((await repo.run(['lfs', 'fsck', '--objects'])).status).to.equal(0);
  });

  it('kill -9 of the agent during a download: no file at its place, the next fetch goes on', async () => {
    expect((await lfsPush(repo)).status).to.equal(0);
    await wipeLocalObjects(repo);
    const count = await initCount(lab);
    const fetch = start(lab, repo, ['fetch', 'origin', 'main']);
    const pid = await agentPid(lab, count + 1);
    await until('a part of the file', async () =>
      (await leftoverBytes(repo)) > 2 * MIB ? true : null,
    );
    process.kill(pid, 'SIGKILL');
    expect(await ended(fetch)).to.not.equal(0);
    expect(await leftovers(repo)).to.have.length(1);
    // Not asked of git: it may run the clean filter, which puts the object back.
    const oid = digestOf(BIG);
    const objects = await lfsFolder(repo, 'objects');
    expect(existsSync(join(objects, oid.slice(0, 2), oid.slice(2, 4), oid))).to.equal(false);
    const again = await repo.run(['lfs', 'fetch', 'origin', 'main']);
    expect(again.status, again.stderr).to.equal(0);
    expect(await goneOn(lab)).to.be.at.least(2 * MIB);
    expect(await leftovers(repo)).to.deep.equal([]);
    expect((await repo.run(['lfs', 'fsck', '--objects'])).status).to.equal(0);
  });

  for (const signal of ['SIGKILL', 'SIGINT'] as const) {
    it(`${signal} of git-lfs: the agent lets go and is gone, and the next fetch goes on`, async () => {
      expect((await lfsPush(repo)).status).to.equal(0);
      await wipeLocalObjects(repo);
      const count = await initCount(lab);
      const fetch = start(lab, repo, ['fetch', 'origin', 'main']);
      const pid = await agentPid(lab, count + 1);
      await until('a part of the file', async () =>
        (await leftoverBytes(repo)) > 2 * MIB ? true : null,
      );
      fetch.kill(signal);
      await ended(fetch);
      await until('the end of the agent', async () => (existsSync(`/proc/${pid}`) ? null : true));
      expect(await leftovers(repo)).to.have.length(1);
      const again = await repo.run(['lfs', 'fetch', 'origin', 'main']);
      expect(again.status, again.stderr).to.equal(0);
      expect(await goneOn(lab)).to.be.at.least(2 * MIB);
      expect(await leftovers(repo)).to.deep.equal([]);
      expect((await repo.run(['lfs', 'fsck', '--objects'])).status).to.equal(0);
    });
  }
});
