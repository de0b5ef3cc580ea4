/** Which unfinished files an opening sweeps: those of dead processes and those left untouched for long, no others. */
import { expect } from 'chai';
import { openLocalBackend } from '../../backends/local.ts';
import { claimName, SWEEP_COUNT_MAX, tempName } from '../../backends/local-temp.ts';
import { currentHost, type LocalHost } from '../../core/local-host.ts';
import { CrashFs } from '../support/crash-fs.ts';

const ROOT = '/data/store';
const HOUR_MS = 60 * 60 * 1000;
const ALIVE = 1;
const DEAD = 77;

const hostOf = (id: string, pid: number): LocalHost => ({
  id: id.repeat(12),
  pid,
  isAlive: async (other) => other === ALIVE,
});
const here = hostOf('a', ALIVE);

/** What is left of these names after an opening so much later. */
async function sweptAfter(names: readonly string[], laterMs: number): Promise<readonly string[]> {
  const fs = new CrashFs('/data', ROOT, `${ROOT}/tmp`);
  for (const name of names) await (await fs.open(`${ROOT}/tmp/${name}`, 'create')).close();
  fs.nowMs += laterMs;
  await openLocalBackend(ROOT, { fs, host: here });
  return (await fs.readFolder(`${ROOT}/tmp`)).map(({ name }) => name);
}

describe('local backend, sweep', () => {
  it('removes what a dead process of this machine left, at once', async () => {
    expect(await sweptAfter([tempName(hostOf('a', DEAD))], 0)).to.deep.equal([]);
  });

  it('keeps what a living process of this machine is busy with, for a day', async () => {
    const name = tempName(here);
    expect(await sweptAfter([name], 23 * HOUR_MS)).to.deep.equal([name]);
    expect(await sweptAfter([name], 25 * HOUR_MS)).to.deep.equal([]);
  });

  it('keeps what a stranger left for an hour, whatever process ids say here', async () => {
    for (const name of [tempName(hostOf('b', DEAD)), tempName(hostOf('b', ALIVE))]) {
      expect(await sweptAfter([name], HOUR_MS - 1000)).to.deep.equal([name]);
      expect(await sweptAfter([name], HOUR_MS + 1000)).to.deep.equal([]);
    }
  });

  it('keeps claims for an hour', async () => {
    const name = claimName('a/b');
    expect(await sweptAfter([name], HOUR_MS - 1000)).to.deep.equal([name]);
    expect(await sweptAfter([name], HOUR_MS + 1000)).to.deep.equal([]);
  });

  it('never touches what is not named like its own files', async () => {
    const names = ['notes.txt', 'claim-x', `${'a'.repeat(12)}-77-short`];
    expect(await sweptAfter(names, 1000 * HOUR_MS)).to.have.members(names);
  });

  it('removes a bounded number at one opening', async () => {
    const names = Array.from({ length: SWEEP_COUNT_MAX + 5 }, () => tempName(hostOf('a', DEAD)));
    expect(await sweptAfter(names, 0)).to.have.length(5);
  });

  it('opens a store that it cannot sweep', async () => {
    const fs = new CrashFs('/data', ROOT, `${ROOT}/tmp`);
    await fs.open(`${ROOT}/tmp/${tempName(hostOf('a', DEAD))}`, 'create');
    fs.fault = (step) => (/^(unlink|create)/.test(step) ? 'EROFS' : undefined);
    await openLocalBackend(ROOT, { fs, host: here });
  });
});

describe('local backend, host', () => {
  it('is the same for two looks from one process, which it knows to be alive', async () => {
    const [one, two] = [await currentHost(), await currentHost()];
    expect(one.id).to.match(/^[0-9a-f]{12}$/);
    expect({ id: two.id, pid: two.pid }).to.deep.equal({ id: one.id, pid: process.pid });
    expect(await one.isAlive(process.pid)).to.equal(true);
  });

  it('knows a process id that nobody has', async () => {
    expect(await (await currentHost()).isAlive(2 ** 30)).to.equal(false);
  });

  it('names every file differently', () => {
    expect(tempName(here)).not.to.equal(tempName(here));
  });
});
