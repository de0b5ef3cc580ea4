/** `datamon gc` at its edges: what it refuses, what it says, and that a plan can be taken back. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect } from 'chai';
import type { Backend } from '../../core/backend/backend.ts';
import { DAY_MS } from '../../core/cas/touch.ts';
import { digestOf } from '../../core/digest.ts';
import { blobOf } from '../support/blob-of.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { datamon, seed, withRepo } from './support/cli.ts';

const PEOPLE = ['acme/weather', 'acme/robots'];

describe('datamon gc', () => {
  let cwd: string;
  let store: string;
  let days = 0;

  beforeEach(async () => {
    cwd = await makeTempDir();
    store = pathToFileURL(join(cwd, 'store')).href;
    days = 0;
    for (const name of PEOPLE) {
      await seed(`${store}//${name}`, { files: [{ path: 'a.csv', text: `of ${name}` }] });
    }
    await withRepo(`${store}//${PEOPLE[0]}`, async ({ blobs }) => {
      await blobs.put(blobOf(Buffer.from('nobody names this')));
    });
  });

  const ahead = (backend: Backend): Backend => ({
    ...backend,
    now: async () => new Date((await backend.now()).getTime() + days * DAY_MS),
  });
  const gc = (...args: readonly string[]) =>
    datamon(['gc', ...args], { cwd, runtime: { aroundStore: ahead } });
  const rows = async (...args: readonly string[]) => (await gc(...args, '--json')).json;
  const letGo = () =>
    gc('store', '--policy', 'acme/weather', '--unreferenced-days', '2', '--history-days', 'keep');

  it('a server is refused, with what to run', async () => {
    const ran = await gc('https://data.example.org/');
    expect(ran.status).equal(2);
    expect(ran.stderr).match(/is a server[\s\S]*datamon gc file:/);
  });

  for (const [args, words] of [
    [
      ['store', '--policy', 'acme/weather', '--unreferenced-days', '1', '--history-days', 'keep'],
      '2 or more',
    ],
    [['store', '--policy', 'acme/weather', '--unreferenced-days', '9'], 'history-days'],
    [['--apply', 'p', '--restore', 'p'], 'one of'],
    [['--apply', 'p', '--limit', '400'], '--limit'],
    [['--apply', 'p', '--rate', '0'], '--rate'],
    [[], 'STORE'],
  ] as const) {
    it(`refuses: gc ${args.join(' ')}`, async () => {
      const ran = await gc(...args);
      expect(ran.status, ran.stderr).equal(2);
      expect(ran.stderr).contain(words);
    });
  }

  it('says what a policy is, and takes it back', async () => {
    expect((await letGo()).stdout).contain(
      'unreferenced files kept for 2 days, history kept for ever',
    );
    expect(await rows('store', '--status')).to.have.length(2);
    const back = await gc(
      'store',
      '--policy',
      'acme/weather',
      '--unreferenced-days',
      'keep',
      '--history-days',
      'keep',
    );
    expect(back.stdout).contain('unreferenced files kept for ever');
    days = 100;
    expect((await rows('store')).at(-1)).include({ type: 'plan', droppedFiles: 0 });
  });

  it('plans, condemns, restores, and deletes nothing that was restored', async () => {
    await letGo();
    days = 10;
    const planned = await gc('store', '--plan', 'my.plan');
    expect(planned.stdout).match(/pool acme: \d+ container/);
    expect(planned.stderr).contain('nothing was changed; go on with: datamon gc --apply my.plan');
    expect((await gc('store', '--plan', 'my.plan')).status, 'a plan is not overwritten').equal(11);
    expect((await gc('--apply', 'my.plan', '--limit', '100%')).stdout).contain('condemned');
    expect((await gc('--restore', 'my.plan')).stdout).contain('published');
    days = 12;
    expect((await rows('--apply', 'my.plan')).at(0)).include({ type: 'deleted', waiting: 0 });
    await withRepo(`${store}//acme/weather`, async ({ blobs }) => {
      const held = await blobs.has([digestOf('nobody names this')]);
      expect(held.size).equal(1);
    });
  });

  it('a plan that was changed is no plan', async () => {
    await letGo();
    days = 10;
    await gc('store', '--plan', 'my.plan');
    const text = await readFile(join(cwd, 'my.plan'), 'utf8');
    await writeFile(join(cwd, 'my.plan'), text.replace('"acme"', '"evil"'));
    expect((await gc('--apply', 'my.plan')).status).equal(13);
    expect((await gc('--apply', 'no.plan')).status).equal(10);
  });

  it('asks which pool, where there are several', async () => {
    await seed(`${store}//other/repo`, { files: [{ path: 'a.csv', text: 'x' }] });
    const ran = await gc('store');
    expect(ran.status).equal(2);
    expect(ran.stderr).match(/2 pools: acme, other[\s\S]*--pool acme/);
    expect((await gc('store', '--pool', 'other')).status).equal(0);
    expect((await gc('store', '--pool', 'nowhere')).status).not.equal(0);
  });
});
