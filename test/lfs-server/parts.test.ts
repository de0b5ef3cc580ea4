/** The small parts of the server: statuses, paths to repos, caches, memory of batches and of a full store. */
import { expect } from 'chai';
import fc from 'fast-check';
import { digestOf } from '../../core/digest.ts';
import { DatamonError, ERROR_CODES } from '../../core/errors.ts';
import { parseRepoName, type RepoName } from '../../core/keys.ts';
import { createBatchMemory } from '../../lfs-server/batch-memory.ts';
import { HTTP_STATUS } from '../../lfs-server/http-status.ts';
import { locateRepo } from '../../lfs-server/locate.ts';
import { failureOf, wantsHtml } from '../../lfs-server/reply.ts';
import { createRepos, type RepoSource, type ServedRepo } from '../../lfs-server/repos.ts';
import { createLog } from '../../lfs-server/request-log.ts';
import { createSpaceWatch, FULL_REMEMBERED_MS } from '../../lfs-server/space-watch.ts';

const REPO = parseRepoName('acme/weather');

describe('statuses', () => {
  it('are given to every code, and 422 to none', () => {
    expect(Object.keys(HTTP_STATUS)).to.have.members([...ERROR_CODES]);
    for (const code of ERROR_CODES) {
      const { status } = failureOf(new DatamonError(code, 'x'), 'id');
      expect(status, code).to.be.within(400, 599).and.not.equal(422);
    }
  });

  it('of what nobody foresaw are 500, without what it was', () => {
    const failure = failureOf(new Error('secret'), 'id-7');
    expect(failure.status).to.equal(500);
    expect(JSON.stringify(failure)).to.contain('id-7').and.not.contain('secret');
  });
});

describe('locateRepo', () => {
  for (const [path, repo, rest] of [
    ['/weather', 'weather', '/'],
    ['/acme/weather', 'acme/weather', '/'],
    ['/acme/weather/', 'acme/weather', '/'],
    ['/acme/weather.git/info/lfs/objects/batch', 'acme/weather', '/objects/batch'],
    ['/weather.git/info/lfs/objects/batch', 'weather', '/objects/batch'],
    ['/weather/objects/batch', 'weather', '/objects/batch'],
    ['/weather/locks/verify', 'weather', '/locks/verify'],
    ['/weather/verify', 'weather', '/verify'],
    ['/weather/tree/main/a%2Fb', 'weather', '/tree/main/a%2Fb'],
    ['/acme/weather/info/lfs/verify', 'acme/weather', '/verify'],
    ['/acme/weather/tree/main/x.git/y', 'acme/weather', '/tree/main/x.git/y'],
  ] as const) {
    it(`finds ${repo} in ${path}`, () => {
      expect(locateRepo(path)).to.deep.equal({ repo, rest });
    });
  }

  for (const path of [
    '/',
    '/api/v1',
    '/.git/x',
    '/%2e%2e/x',
    '/%ff',
    '/assets/x.css',
    '/healthz',
    '//x',
    '/a%00b',
  ]) {
    it(`finds none in ${path}`, () => {
      expect(locateRepo(path)).to.equal(null);
    });
  }

  it('finds a legal repo or none, never anything else (property)', () => {
    fc.assert(
      fc.property(fc.webPath(), (path) => {
        const located = locateRepo(path);
        if (located !== null) expect(parseRepoName(located.repo)).to.equal(located.repo);
      }),
    );
  });
});

describe('memory of batches', () => {
  it('forgets the oldest first, and is bounded', () => {
    const memory = createBatchMemory(10);
    const objects = Array.from({ length: 4 }, (_, n) => ({ oid: digestOf(String(n)), size: n }));
    for (const id of ['a', 'b', 'c'])
      memory.remember(id, { repo: REPO, operation: 'upload', objects });
    expect(memory.recall('a')).to.equal(undefined);
    expect(memory.recall('c')?.objects).to.have.length(4);
  });
});

describe('memory of a full store', () => {
  it('lasts a while, and other failures do not count', () => {
    let now = 0;
    const watch = createSpaceWatch(() => now);
    watch.noticed(new DatamonError('UNAVAILABLE', 'x'));
    expect(watch.isFull()).to.equal(false);
    watch.noticed(new DatamonError('NO_SPACE', 'x'));
    expect(watch.isFull()).to.equal(true);
    now = FULL_REMEMBERED_MS;
    expect(watch.isFull()).to.equal(false);
  });
});

describe('repos', () => {
  function source(existing: Set<string>) {
    const opened: RepoName[] = [];
    const made: RepoSource = {
      open: async (repo) => {
        opened.push(repo);
        if (!existing.has(repo)) throw new DatamonError('NOT_FOUND', repo);
        return { info: null, repository: { close: async () => {} } } as unknown as ServedRepo;
      },
      create: async (repo) => void existing.add(repo),
      async *list() {},
      probe: async () => {},
    };
    return { opened, repos: createRepos(made, 2) };
  }
  const by = { createdBy: 'ada', remote: null };

  it('are opened once, however many ask at the same time', async () => {
    const { opened, repos } = source(new Set(['acme/weather']));
    await Promise.all(Array.from({ length: 10 }, () => repos.find(REPO)));
    expect(opened).to.have.length(1);
  });

  it('that are absent are asked for again, and made when written to', async () => {
    const { opened, repos } = source(new Set());
    expect(await repos.find(REPO)).to.equal(null);
    expect(await repos.find(REPO)).to.equal(null);
    expect(opened).to.have.length(2);
    expect(await repos.ensure(REPO, by)).not.to.equal(null);
    expect(await repos.find(REPO)).not.to.equal(null);
  });

  it('that were not used for longest are forgotten', async () => {
    const { opened, repos } = source(new Set(['a', 'b', 'c']));
    for (const name of ['a', 'b', 'c', 'a']) await repos.find(parseRepoName(name));
    expect(opened).to.deep.equal(['a', 'b', 'c', 'a']);
  });
});

describe('the log', () => {
  const line = {
    requestId: 'i',
    method: 'GET',
    path: '/x',
    status: 200,
    subject: 'ada',
    durationMs: 1,
  };

  it('has a line per change, refusal and failure, and none per read', () => {
    const lines: string[] = [];
    const log = createLog((text) => lines.push(text));
    log(line);
    log({ ...line, method: 'PUT' });
    log({ ...line, status: 404 });
    expect(lines).to.have.length(2);
  });

  it('keeps to one line whatever stands in it', () => {
    const lines: string[] = [];
    createLog((text) => lines.push(text))({
      ...line,
      method: 'PUT',
      path: '/a\n\u001b[31mb\r',
      subject: 'x\u0000y',
    });
    expect(lines.join('').slice(0, -1)).not.to.match(/\p{Cc}/u);
  });
});

describe('wantsHtml', () => {
  it('tells people from programs', () => {
    expect(wantsHtml('text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8')).to.equal(
      true,
    );
    expect(wantsHtml('*/*')).to.equal(true);
    expect(wantsHtml(undefined)).to.equal(true);
    expect(wantsHtml('application/json')).to.equal(false);
    expect(wantsHtml('application/vnd.git-lfs+json')).to.equal(false);
  });
});
