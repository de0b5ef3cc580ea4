/** Opening through a server, and history, locks and pages over its API. */
import { expect } from 'chai';
import { listRepositories, openRepositoryUrl } from '../../client/open.ts';
import type { TokenSource } from '../../client/session.ts';
import { type Digest, digestOf } from '../../core/digest.ts';
import { isFast } from '../../core/fast-paths.ts';
import type { GitSha, PushId } from '../../core/keys.ts';
import type {
  Announcement,
  BranchEvent,
  BundleDescriptor,
  LabelEvent,
  Lock,
  Numbered,
  RefMove,
} from '../../core/meta/model.ts';
import { createFastPace, openQuick } from '../support/api-world.ts';
import { codeOf, errorOf } from '../support/code-of.ts';
import { type FakeApi, sendJson, startFakeApi } from '../support/fake-api.ts';

const COMMIT = 'c'.repeat(40) as GitSha;
const PUSH = 'd'.repeat(32) as PushId;
const BUNDLE = digestOf('bundle');
const NOW = '2026-01-01T00:00:00.000Z';
const RECEIPT = {
  newBytes: 1,
  resumedBytes: 0,
  storedBytes: 2,
  packCount: 3,
  requestCount: 4,
  durationMs: 5,
  reusedFrom: null,
  measured: true,
};

const descriptor: BundleDescriptor = {
  tree: digestOf('tree'),
  totals: { fileCount: 1, sizeBytes: 2 },
  commit: COMMIT,
  commitObject: Buffer.from('tree …').toString('base64'),
  rules: { recorder: 1, config: null },
  pointerExtensions: [],
};

function eventOf(n: number): Numbered<BranchEvent> {
  return {
    n,
    event: {
      branch: 'feature/ü',
      bundle: BUNDLE,
      gitOld: null,
      gitNew: COMMIT,
      totals: descriptor.totals,
      extraOids: null,
      missing: [],
      pushId: PUSH,
      pushedBy: 'Ada <ada@acme.io>',
      pushedAt: NOW,
      receipt: RECEIPT,
      gap: false,
      forced: false,
      lockViolations: [],
    },
  };
}

const move: RefMove = {
  pushId: PUSH,
  remote: 'github.com/acme/weather',
  ref: 'refs/heads/main',
  gitOld: null,
  gitNew: COMMIT,
  bundle: BUNDLE,
  totals: descriptor.totals,
  extraOids: null,
  missing: [],
  forced: false,
  pushedBy: 'Ada <ada@acme.io>',
  receipt: RECEIPT,
};

const announcement: Announcement = {
  pushId: PUSH,
  remote: move.remote,
  refs: [
    {
      ref: move.ref,
      gitOld: null,
      gitNew: COMMIT,
      bundle: BUNDLE,
      totals: descriptor.totals,
      extraOids: null,
      missing: [],
      forced: false,
    },
  ],
  pushedBy: move.pushedBy,
  receipt: RECEIPT,
};

async function collectAll<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const each of stream) all.push(each);
  return all;
}

const lastBody = (api: FakeApi): unknown => api.bodies.at(-1)?.json;

describe('opening through a server', () => {
  it('finds the API, the repo and its page', async () => {
    const api = await startFakeApi();
    const repository = await openQuick(`${api.url}.git/info/lfs`);
    expect(repository.name).to.equal('acme/weather');
    expect(repository.webUrl).to.equal(api.url);
    expect(await repository.history.info()).to.include({ pool: 'acme', createdBy: 'ada' });
    await repository.close();
  });

  for (const [name, answer] of [
    ['a page', '<html>'],
    ['JSON of something else', '{"login":"here"}'],
  ] as const) {
    it(`says that a server answering ${name} is not datamon`, async () => {
      const api = await startFakeApi();
      api.bend = (_seen, response) => {
        response.end(answer);
        return true;
      };
      const error = await errorOf(openQuick(api.url));
      expect(error.code).to.equal('UNSUPPORTED');
      expect(error.message).to.include(`${api.origin} is not a datamon server`);
    });
  }

  it('says that a server without such a page is not datamon', async () => {
    const api = await startFakeApi();
    api.bend = (_seen, response) => {
      response.writeHead(404).end('<html>nothing here');
      return true;
    };
    const error = await errorOf(openQuick(api.url));
    expect(error.code).to.equal('UNSUPPORTED');
    expect(error.message).to.include('is not a datamon server');
  });

  it('passes on that there is no such repo', async () => {
    const api = await startFakeApi();
    api.bend = (_seen, response) => {
      sendJson(response, 404, { code: 'NOT_FOUND', message: 'there is no repo acme/weather here' });
      return true;
    };
    expect(await codeOf(openQuick(api.url))).to.equal('NOT_FOUND');
  });

  it('refuses a server of a newer version by name', async () => {
    const api = await startFakeApi();
    const { origin } = api;
    api.answers.set('GET /acme/weather', {
      datamon: { version: 2, api: `${origin}/api/v2`, repo: 'acme/weather', transfers: [] },
    });
    const error = await errorOf(openQuick(api.url));
    expect(error.code).to.equal('UNSUPPORTED');
    expect(error.message).to.include('version 2');
    expect(error.hint).to.include('Update');
  });

  it('stays with the origin it was given, whatever the server calls itself', async () => {
    const api = await startFakeApi();
    api.answers.set('GET /acme/weather', {
      datamon: {
        version: 1,
        api: 'https://evil.example/api/v1',
        repo: 'acme/weather',
        transfers: [],
      },
    });
    const repository = await openQuick(api.url);
    expect(await repository.history.info()).to.include({ pool: 'acme' });
  });

  it('says soon that nobody listens', async () => {
    const api = await startFakeApi();
    await api.close();
    const pace = createFastPace();
    const error = await errorOf(openQuick(api.url, { pace }));
    expect(error.code).to.equal('UNAVAILABLE');
    expect(error.message).to.equal(`cannot reach ${api.origin} (connection refused)`);
    expect(pace.sleeps.length).to.equal(2);
  });

  it('makes a repo only where it is told to', async () => {
    const api = await startFakeApi();
    api.exists = false;
    expect(await codeOf(openQuick(api.url))).to.equal('NOT_FOUND');
    expect(api.exists).to.equal(false);
    await openQuick(api.url, { create: { by: 'ada', remote: 'github.com/acme/weather' } });
    expect(api.exists).to.equal(true);
    expect(lastBody(api)).to.deep.equal({ remote: 'github.com/acme/weather' });
  });

  it('logs in for writing where reading is free', async () => {
    const api = await startFakeApi();
    const asked: string[] = [];
    const token: TokenSource = {
      get: async (url) => {
        asked.push(url);
        return 'writer';
      },
      reject: async () => undefined,
    };
    const info = { pool: 'acme', remote: null, createdBy: 'ada', createdAt: NOW };
    api.bend = (seen, response) => {
      if (seen.path !== '' || seen.headers.authorization !== undefined) return false;
      const answer = { repo: 'acme/weather', info, webUrl: null, verbs: ['read'], pool: null };
      sendJson(response, 200, answer);
      return true;
    };
    const { blobs } = await openQuick(api.url, { token });
    expect(asked).to.deep.equal([]);
    const bytes = Buffer.from('written');
    await blobs.put({
      oid: digestOf(bytes),
      sizeBytes: bytes.length,
      async *open() {
        yield bytes;
      },
    });
    expect(asked).to.deep.equal([api.url]);
  });

  it('says so where one may read but not write', async () => {
    const api = await startFakeApi();
    const info = { pool: 'acme', remote: null, createdBy: 'ada', createdAt: NOW };
    api.answers.set('GET ', {
      repo: 'acme/weather',
      info,
      webUrl: null,
      verbs: ['read'],
      pool: null,
    });
    const { blobs } = await openQuick(api.url, {
      token: { get: async () => 'reader', reject: async () => undefined },
    });
    const bytes = Buffer.from('x');
    const open = async function* () {
      yield bytes;
    };
    const error = await errorOf(blobs.put({ oid: digestOf(bytes), sizeBytes: 1, open }));
    expect(error.code).to.equal('FORBIDDEN');
    expect(error.message).to.include('read but not write');
  });

  it('lists the repos of a server', async () => {
    const api = await startFakeApi();
    const repos = [{ repo: 'acme/weather', pool: 'acme', createdAt: NOW }];
    api.answers.set('GET /api/v1/repos', { repos });
    expect(await listRepositories(api.url)).to.deep.equal(repos);
    expect(await listRepositories(api.origin)).to.deep.equal(repos);
  });

  it('refuses a URL that is none before anything is asked', async () => {
    expect(await codeOf(openRepositoryUrl('ssh://git@host/a/b'))).to.equal('INVALID');
  });
});

describe('remote history', () => {
  it('puts, gets and finds bundles', async () => {
    const api = await startFakeApi();
    api.answers.set('PUT /bundles', { bundle: BUNDLE });
    api.answers.set(`GET /bundles/${BUNDLE}`, { ...descriptor, laterField: 1 });
    api.answers.set('GET /bundles?prefix=abcd&limit=2', { bundles: [BUNDLE] });
    const { history } = await openQuick(api.url);
    expect(await history.putBundle(descriptor)).to.equal(BUNDLE);
    expect(lastBody(api)).to.deep.equal(descriptor);
    expect(await history.getBundle(BUNDLE)).to.deep.equal(descriptor);
    expect(await history.findBundles('abcd', 2)).to.deep.equal([BUNDLE]);
  });

  it('finds commits, and null where a commit has no bundle', async () => {
    const api = await startFakeApi();
    api.answers.set(`GET /commits/${COMMIT}`, { bundle: BUNDLE });
    api.answers.set('GET /commits?prefix=cccc&limit=5', { commits: [COMMIT] });
    const { history } = await openQuick(api.url);
    expect(await history.bundleOfCommit(COMMIT)).to.equal(BUNDLE);
    expect(await history.bundleOfCommit('e'.repeat(40) as GitSha)).to.equal(null);
    expect(await history.findCommits('cccc', 5)).to.deep.equal([COMMIT]);
  });

  it('reads a long branch log page by page, newest first', async () => {
    const api = await startFakeApi();
    const path = '/branches/feature%2F%C3%BC/log';
    api.bend = (seen, response) => {
      if (seen.path !== path) return false;
      const query = new URLSearchParams(seen.query);
      const before = Number(query.get('before') ?? 451);
      const size = Math.min(before - 1, Number(query.get('limit')));
      const events = Array.from({ length: size }, (_, index) => eventOf(before - 1 - index));
      sendJson(response, 200, { events });
      return true;
    };
    const { history } = await openQuick(api.url);
    const events = await collectAll(history.branchLog('feature/ü'));
    expect(events.map(({ n }) => n)).to.deep.equal(Array.from({ length: 450 }, (_, i) => 450 - i));
    expect(events[0]).to.deep.equal(eventOf(450));
    expect(api.count(path)).to.equal(3);
    const older = await collectAll(history.branchLog('feature/ü', 3));
    expect(older.map(({ n }) => n)).to.deep.equal([2, 1]);
  });

  it('leaves a server that repeats the same page', async () => {
    const api = await startFakeApi();
    const path = '/branches/main/log';
    api.answers.set(`GET ${path}`, { events: [eventOf(9), eventOf(8)] });
    const { history } = await openQuick(api.url);
    await collectAll(history.branchLog('main'));
    expect(api.count(path)).to.equal(2);
  });

  it('reads branches, labels and a label log', async () => {
    const api = await startFakeApi();
    const label: Numbered<LabelEvent> = {
      n: 1,
      event: { label: 'v1', bundle: BUNDLE, by: 'ada', at: NOW },
    };
    api.answers.set('GET /branches', { branches: [eventOf(3)] });
    api.answers.set('GET /labels', { labels: [label] });
    api.answers.set('GET /labels/v1/log', { events: [label] });
    const { history } = await openQuick(api.url);
    expect(await collectAll(history.branches())).to.deep.equal([eventOf(3)]);
    expect(await collectAll(history.labels())).to.deep.equal([label]);
    expect(await collectAll(history.labelLog('v1'))).to.deep.equal([label]);
  });

  it('announces, records and settles a push', async () => {
    const api = await startFakeApi();
    api.answers.set('POST /pushes', { pushId: PUSH });
    api.answers.set('GET /pushes', { pushes: [announcement] });
    api.answers.set(`POST /pushes/${PUSH}/moves`, { outcome: 'gap' });
    const { history } = await openQuick(api.url);
    await history.announce(announcement);
    expect(lastBody(api)).to.deep.equal(announcement);
    expect(await collectAll(history.pending())).to.deep.equal([announcement]);
    expect(await history.recordMove(move)).to.equal('gap');
    expect(lastBody(api)).to.deep.equal(move);
  });

  it('takes an answer without a body where nothing is to be said', async () => {
    const api = await startFakeApi();
    api.bend = (seen, response, request) => {
      if (!seen.path.endsWith('/done')) return false;
      request.resume();
      response.writeHead(204).end();
      return true;
    };
    const { history } = await openQuick(api.url);
    await history.settle(PUSH, 'confirmed');
    expect(api.count(`/pushes/${PUSH}/done`)).to.equal(1);
  });

  it('sets and removes labels', async () => {
    const api = await startFakeApi();
    api.answers.set('PUT /labels/v1%2F0', {});
    const { history } = await openQuick(api.url);
    await history.setLabel('v1/0', BUNDLE, 'ada');
    expect(lastBody(api)).to.deep.include({ bundle: BUNDLE });
    await history.setLabel('v1/0', null, 'ada');
    expect(lastBody(api)).to.deep.include({ bundle: null });
  });

  it('says which field of an answer is wrong', async () => {
    const api = await startFakeApi();
    api.answers.set('GET /branches', { branches: [{ n: 1, event: { branch: 'main' } }] });
    const { history } = await openQuick(api.url);
    const error = await errorOf(collectAll(history.branches()));
    expect(error.code).to.equal('UNSUPPORTED');
    expect(error.message).to.include('answer.branches[0].event.bundle');
  });
});

describe('remote locks', () => {
  const lock: Lock = { id: 'a'.repeat(32), path: 'a.bin', owner: 'ada', lockedAt: NOW, ref: null };

  it('lists, locks and unlocks', async () => {
    const api = await startFakeApi();
    api.answers.set('GET /locks', { locks: [lock] });
    api.answers.set('POST /locks', { lock });
    api.answers.set(`POST /locks/${lock.id}/unlock`, { lock });
    const { locks } = await openQuick(api.url);
    expect(await locks.list()).to.deep.equal([lock]);
    expect(await locks.lock({ path: 'a.bin', owner: 'ada', ref: null })).to.deep.equal(lock);
    const unlock = { id: lock.id, owner: 'ada', force: true };
    expect(await locks.unlock(unlock)).to.deep.equal(lock);
    expect(lastBody(api)).to.deep.include({ force: true });
  });

  it('passes on who holds a lock', async () => {
    const api = await startFakeApi();
    api.bend = (seen, response, request) => {
      if (seen.path !== '/locks') return false;
      request.resume();
      sendJson(response, 409, { code: 'LOCKED', message: 'a.bin is locked by bob' });
      return true;
    };
    const { locks } = await openQuick(api.url);
    const error = await errorOf(locks.lock({ path: 'a.bin', owner: 'ada', ref: null }));
    expect([error.code, error.message]).to.deep.equal(['LOCKED', 'a.bin is locked by bob']);
  });
});

describe('remote page store', () => {
  const pages = [1, 2, 3].map((n) => Buffer.from(`page ${n} `.repeat(50)));

  it('puts pages in one pack and reads them back', async () => {
    const api = await startFakeApi();
    const repository = await openQuick(api.url);
    const receipt = await repository.pages.putPages(pages);
    expect(receipt.packCount).to.equal(1);
    expect(receipt.newBytes).to.equal(pages.reduce((sum, page) => sum + page.length, 0));
    const other = await openQuick(api.url);
    for (const { pages: store } of [repository, other]) {
      for (const page of pages) {
        const back = await store.getPage(digestOf(page));
        expect(Buffer.from(back).equals(page)).to.equal(true);
      }
    }
    // Whoever sent them has them.
    const asked = api.seen.filter(({ path }) => /^\/pages\/[0-9a-f]/.test(path)).length;
    expect(asked).to.equal(isFast('kept-pages') ? pages.length : 2 * pages.length);
  });

  it('sends no page that is there', async () => {
    const api = await startFakeApi();
    const { pages: store } = await openQuick(api.url);
    await store.putPages(pages);
    const receipt = await store.putPages([...pages, ...pages]);
    expect([receipt.newBytes, receipt.packCount, receipt.requestCount]).to.deep.equal([0, 0, 1]);
    expect(api.packSizes.length).to.equal(1);
  });

  it('knows which pages are there', async () => {
    const api = await startFakeApi();
    const { pages: store } = await openQuick(api.url);
    await store.putPages(pages.slice(0, 1));
    const have = await store.hasPages(pages.map((page) => digestOf(page)));
    expect([...have]).to.deep.equal([digestOf(pages[0] as Buffer)]);
  });

  it('finds out a page with other bytes', async () => {
    const api = await startFakeApi();
    const { pages: store } = await openQuick(api.url);
    const digest = digestOf('true page') as Digest;
    api.pages.set(digest, Buffer.from('other page'));
    expect(await codeOf(store.getPage(digest))).to.equal('CORRUPT');
  });

  it('says that a page is not there', async () => {
    const api = await startFakeApi();
    const { pages: store } = await openQuick(api.url);
    expect(await codeOf(store.getPage(digestOf('none')))).to.equal('NOT_FOUND');
  });

  it('fails where the server misses pages it was sent', async () => {
    const api = await startFakeApi();
    const { pages: store } = await openQuick(api.url);
    api.answers.set('POST /objects', { recorded: [], missing: [digestOf('x')], failed: [] });
    expect(await codeOf(store.putPages(pages))).to.equal('INCOMPLETE');
  });
});
