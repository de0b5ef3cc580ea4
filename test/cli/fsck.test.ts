/** `datamon fsck` on the command line: which store, which share, statuses, the receipt, what it says to people, and Ctrl-C. */
import { expect } from 'chai';
import { lastScrub } from '../../cli/doctor-scrub.ts';
import { type FsckRow, fsckLines } from '../../cli/fsck-view.ts';
import { styleOf } from '../../cli/output.ts';
import { openStoreBackend } from '../../client/open-store.ts';
import { bytesBody } from '../../core/backend/backend.ts';
import { digestOf } from '../../core/digest.ts';
import type { Key } from '../../core/keys.ts';
import { secureRandom } from '../../core/random.ts';
import { openScrubLog } from '../../core/scrub/receipt.ts';
import { listAll } from '../support/meta-world.ts';
import { datamon, memoryRepo, seed } from './support/cli.ts';

const FILES = [{ path: 'a.txt', text: 'alpha' }];
const USAGE = 2;
const DAMAGED = 13;

/** A store with one push; its URL without the repo. */
async function store(): Promise<string> {
  const url = memoryRepo();
  await seed(url, { files: FILES });
  return url.slice(0, url.indexOf('//'));
}

async function lose(url: string, prefix: string): Promise<Key> {
  const backend = await openStoreBackend(url);
  const [first] = await listAll(backend.list(prefix));
  await backend.remove(first?.key as Key);
  return first?.key as Key;
}

describe('datamon fsck', () => {
  it('proves a sound store and leaves a receipt in it', async () => {
    const url = await store();
    const ran = await datamon(['fsck', url]);
    expect(ran.status, ran.stderr).to.equal(0);
    expect(ran.stdout).to.match(
      /^checked memory:\S+: \d+ reads, .* \(all of it\); nothing is damaged\n$/,
    );
    const backend = await openStoreBackend(url);
    const head = await openScrubLog(backend, secureRandom).head();
    expect(head?.event).to.include({ sharePerMillion: 1_000_000, damageCount: 0, repaired: false });
    const sample = await datamon(['fsck', url, '--sample', '5%', '--json']);
    expect(sample.json.at(-1)).to.include({ type: 'summary', sharePerMillion: 50_000 });
    expect((await openScrubLog(backend, secureRandom).head())?.n).to.equal(2);
  });

  it('takes the store of a repo’s URL, and of --repo', async () => {
    const url = await store();
    expect((await datamon(['fsck', `${url}//acme/weather`])).status).to.equal(0);
    expect((await datamon(['fsck', '--repo', `${url}//acme/weather`])).status).to.equal(0);
  });

  it('refuses a server, nothing at all, a share that is none, and --from without --repair', async () => {
    const server = await datamon(['fsck', 'https://data.example.org/acme/weather']);
    expect(server.status).to.equal(USAGE);
    expect(server.stderr).to.contain('is a server').and.contain('datamon fsck file:///srv/store');
    expect((await datamon(['fsck'])).stderr).to.contain('no store was named');
    for (const share of ['0', '101%', 'some', '-5']) {
      expect((await datamon(['fsck', await store(), `--sample=${share}`])).status).to.equal(USAGE);
    }
    expect((await datamon(['fsck', await store(), '--from', '/tmp'])).status).to.equal(USAGE);
    expect((await datamon(['fsck', 'memory:nothing-here'])).status).to.equal(10);
  });

  it('ends with 13 where something is lost, names it, and -q prints its key', async () => {
    const url = await store();
    const key = await lose(url, 'repos/acme%2Fweather/bundles/');
    const ran = await datamon(['fsck', url]);
    expect(ran.status).to.equal(DAMAGED);
    expect(ran.stdout).to.contain(`✗ missing: ${key}`).and.contain('(main #1)');
    expect(ran.stdout).to.contain('1 finding of damage');
    expect((await datamon(['fsck', url, '-q'])).stdout).to.equal(`${key}\n`);
    const repaired = await datamon(['fsck', url, '--repair']);
    expect(repaired.status).to.equal(DAMAGED);
  });

  it('a store that cannot remember the check is checked all the same', async () => {
    const url = await store();
    await datamon(['fsck', url]);
    const backend = await openStoreBackend(url);
    const [entry] = await listAll(backend.list('scrubs/'));
    await backend.remove(entry?.key as Key);
    await backend.putIfAbsent(entry?.key as Key, bytesBody(Buffer.from('no entry')));
    const ran = await datamon(['fsck', url]);
    expect(ran.stderr).to.contain('the store does not remember this check');
    expect(ran.stdout).to.contain('checked memory:');
  });

  it('stops at Ctrl-C with 130, having written nothing', async () => {
    const url = await store();
    const ran = await datamon(['fsck', url], { signal: AbortSignal.abort() });
    expect(ran.status).to.equal(130);
    expect(await listAll((await openStoreBackend(url)).list('scrubs/'))).to.deep.equal([]);
  });

  it('shows few files and bundles and counts the rest; no text of others steers a terminal', () => {
    const oid = digestOf('x');
    const file = { kind: 'blob' as const, path: 'a\u001b[2Jb', oid, sizeBytes: 5, served: false };
    const row: FsckRow = {
      type: 'finding',
      when: 'left',
      severity: 'damage',
      kind: 'container',
      state: 'damaged',
      key: 'pools/p/packs/00/0' as Key,
      repo: null,
      message: 'pools/p/packs/00/0 has a damaged frame header',
      files: Array.from({ length: 7 }, () => file),
      fileCount: 40,
      lostCount: 40,
      bundles: [{ bundle: oid, commit: null, names: ['main #1'] }],
      bundleCount: 3,
      meaning: 'm',
      hint: 'h',
    };
    const lines = fsckLines(row, styleOf(false));
    expect(lines[0]).to.equal('✗ still damaged: pools/p/packs/00/0');
    expect(lines[1]).to.equal('    it has a damaged frame header');
    expect(lines.join('\n')).to.contain('and 35 more files').and.contain('and 2 more bundles');
    expect(lines.join('')).to.not.contain('\u001b');
  });

  it('doctor says how old the last check is, and repeats what it found', () => {
    const receipt = {
      at: '2026-01-01T00:00:00Z',
      by: 'ada',
      sharePerMillion: 50_000,
      objectCount: 1,
      readBytes: 1,
      damageCount: 0,
      noteCount: 0,
      repaired: false,
    };
    const nowMs = Date.parse('2026-01-04T00:00:00Z');
    const well = lastScrub(receipt, nowMs, 'datamon fsck x');
    expect(well).to.include({ ok: true, fix: null });
    expect(well.says).to.equal('5 % of the packs was read back 3 days ago: nothing is damaged');
    const bad = lastScrub(
      { ...receipt, sharePerMillion: 1e6, damageCount: 2 },
      nowMs,
      'datamon fsck x',
    );
    expect(bad).to.include({ ok: false, fix: 'datamon fsck x --repair' });
    expect(bad.says).to.contain('the whole store was').and.contain('2 findings of damage');
  });
});
