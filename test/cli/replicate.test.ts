/** `datamon replicate`: what it says, what it answers to scripts, and with which status. */
import { writeFile } from 'node:fs/promises';

import { join } from 'node:path';
import { expect } from 'chai';
import { makeTempDir } from '../support/temp-dir.ts';
import { datamon } from './support/cli.ts';

let stores = 0;

/** A store with one push, and the URL of an empty place. */
async function stage(): Promise<{ readonly store: string; readonly other: string }> {
  stores += 1;
  const [store, other] = [`memory:replicate-a${stores}`, `memory:replicate-b${stores}`];
  const dir = await makeTempDir();
  await writeFile(join(dir, 'a.bin'), 'some bytes');
  const put = await datamon(['put', dir, `${store}//team/data`, '-m', 'one']);
  expect(put.status, put.stderr).to.equal(0);
  return { store, other };
}

describe('datamon replicate', () => {
  it('adds a replica, says that both are equal, and shows who is who', async () => {
    const { store, other } = await stage();
    const added = await datamon(['replicate', store, '--add', other, '--name', 'eu', '--json']);
    expect(added.status, added.stderr).to.equal(0);
    expect(added.json).to.have.length(1);
    expect(added.json[0]).to.include({ name: 'eu', done: 'resynced', equal: true });
    expect(added.json[0]?.['homeDigest']).to.equal(added.json[0]?.['memberDigest']);
    const status = await datamon(['replicate', store]);
    expect(status.status).to.equal(0);
    expect(status.stdout).to.match(/^home {2}memory:.*\n {2}home, epoch 1, sync · answers\n/);
    expect(status.stdout).to.match(
      /eu {2}memory:.*\n {2}replica · answers · nothing owed · equal on /,
    );
    const again = await datamon(['replicate', store, '--resync', '--json']);
    expect(again.json[0]).to.include({ equal: true, copied: 0 });
  });

  it('tells of a bundle how many places have it, also what a replica is owed', async () => {
    const { store, other } = await stage();
    const show = async () =>
      (await datamon(['show', '-R', `${store}//team/data`, '--json'])).json[0]?.['copies'];
    expect(await show()).to.equal(null);
    await datamon(['replicate', store, '--add', other, '--mode', 'async']);
    expect(await show()).to.deep.equal({ have: 2, of: 2 });
    const dir = await makeTempDir();
    await writeFile(join(dir, 'b.bin'), 'other bytes');
    await datamon(['put', dir, `${store}//team/data`, '-m', 'two']);
    expect(await show()).to.deep.equal({ have: 1, of: 2 });
    const words = await datamon(['show', '-R', `${store}//team/data`]);
    expect(words.stdout).to.include('copies   1 of 2 (the rest is owed)');
    expect((await datamon(['replicate', store])).stdout).to.match(/\d+ objects owed since /);
    await datamon(['replicate', store, '--resync']);
    expect(await show()).to.deep.equal({ have: 2, of: 2 });
  });

  it('promotes, and refuses writes to what is no home with the place to go', async () => {
    const { store, other } = await stage();
    await datamon(['replicate', store, '--add', other, '--name', 'eu']);
    const dir = await makeTempDir();
    await writeFile(join(dir, 'c.bin'), 'more bytes');
    const put = (url: string) => datamon(['put', dir, `${url}//team/data`, '-m', 'two']);
    const refused = await put(other);
    expect(refused.status).to.equal(12);
    expect(refused.stderr).to.include(`writes go to home (${store})`);
    const promoted = await datamon(['replicate', '--promote', other]);
    expect(promoted.stdout).to.include('eu is home now, epoch 2');
    expect(promoted.stdout).to.include('the old home answered and gave all it had');
    expect((await put(store)).status).to.equal(12);
    expect((await put(other)).status).to.equal(0);
  });

  it('is told what it cannot do', async () => {
    const { store, other } = await stage();
    const fails = async (status: number, ...argv: readonly string[]): Promise<void> => {
      const ran = await datamon(['replicate', ...argv]);
      expect(ran.status, argv.join(' ')).to.equal(status);
    };
    await fails(2);
    await fails(2, store, '--status');
    await fails(2, 'https://example.org/team/data', '--status');
    await fails(2, store, '--add', other, '--mode', 'some');
    await fails(2, store, '--resync', '--remove', 'eu');
    await fails(2, store, '--add', 's3://key:secret@bucket/x');
    await fails(10, 'memory:replicate-none', '--add', other);
    await datamon(['replicate', store, '--add', other, '--name', 'eu']);
    await fails(10, store, '--remove', 'us');
    await fails(11, store, '--remove', 'home');
    await fails(11, store, '--add', other, '--name', 'us');
    await fails(0, store, '--remove', 'eu');
  });
});
