/** Who may do what: every route of the table against every kind of caller. A route without a row here fails. */
import { expect } from 'chai';
import type { Verb } from '../../client/tokens.ts';
import { digestOf } from '../../core/digest.ts';
import { parseRepoName } from '../../core/keys.ts';
import { API_PREFIX, type Route } from '../../lfs-server/route.ts';
import { ROUTES } from '../../lfs-server/routes/table.ts';
import { expiredToken } from './support/expired-token.ts';
import {
  ADMIN,
  basicToken,
  batchToken,
  LFS,
  REPO,
  type ServerWorld,
  startServer,
  tokenFor,
} from './support/server-world.ts';

const oid = digestOf('held');
const other = parseRepoName('acme/other');
const hex32 = 'a'.repeat(32);

const PARAMETERS: Readonly<Record<string, string>> = {
  repo: 'acme%2Fweather',
  oid,
  digest: oid,
  bundle: oid,
  commit: 'b'.repeat(40),
  branch: 'main',
  label: 'v1',
  push: hex32,
  batch: 'b1',
  pack: hex32,
  id: hex32,
  ref: 'main',
  path: 'main',
  refs: 'a...b',
};

const nameOf = ({ method, area, path }: Route) => `${method.toUpperCase()} ${area}:${path}`;

function urlOf({ area, path }: Route): string {
  const prefix = { root: '', lfs: `/${REPO}`, page: `/${REPO}`, api: API_PREFIX }[area];
  return (prefix + path).replace(
    /[:*](\w+)/g,
    (_all, name: string) => PARAMETERS[name] ?? `?${name}`,
  );
}

/** A body with which an allowed call gets past parsing where parsing comes before the answer that matters. */
const bodyOf = ({ path }: Route, kind: Kind): object =>
  path === '/verify'
    ? { oid, size: 4 }
    : { operation: kind.verbs.includes('write') ? 'upload' : 'download', objects: [] };

interface Kind {
  readonly name: string;
  readonly token: string | undefined;
  /** Verbs on the repo by scope. */
  readonly verbs: readonly Verb[];
  readonly action?: {
    readonly kind: 'basic' | 'datamon';
    readonly verb: Verb;
    readonly fits: boolean;
  };
  readonly refusal: 401 | 403 | 404;
}

const KINDS: readonly Kind[] = [
  { name: 'nobody', token: undefined, verbs: [], refusal: 401 },
  { name: 'a reader', token: tokenFor('bob', `read:${REPO}`), verbs: ['read'], refusal: 403 },
  {
    name: 'a writer who may not read',
    token: tokenFor('wes', `write:${REPO}`),
    verbs: ['write'],
    refusal: 403,
  },
  {
    name: 'an admin without more',
    token: tokenFor('adi', `admin:${REPO}`),
    verbs: ['admin'],
    refusal: 403,
  },
  {
    name: 'an owner of another repo',
    token: tokenFor('oli', `read:${other}`, `write:${other}`),
    verbs: [],
    refusal: 404,
  },
  {
    name: 'an expired reader',
    token: expiredToken('read:* write:* admin:*'),
    verbs: [],
    refusal: 401,
  },
  { name: 'a token of nonsense', token: 'a.b.c', verbs: [], refusal: 401 },
  {
    name: 'a basic upload of this object',
    token: basicToken({ oid, sizeBytes: 4 }),
    verbs: [],
    action: { kind: 'basic', verb: 'write', fits: true },
    refusal: 403,
  },
  {
    name: 'a basic download of this object',
    token: basicToken({ oid, sizeBytes: 4, operation: 'download' }),
    verbs: [],
    action: { kind: 'basic', verb: 'read', fits: true },
    refusal: 403,
  },
  {
    name: 'a basic upload of another object',
    token: basicToken({ oid: digestOf('else'), sizeBytes: 4 }),
    verbs: [],
    action: { kind: 'basic', verb: 'write', fits: false },
    refusal: 403,
  },
  {
    name: 'a basic download of another object',
    token: basicToken({ oid: digestOf('else'), sizeBytes: 4, operation: 'download' }),
    verbs: [],
    action: { kind: 'basic', verb: 'read', fits: false },
    refusal: 403,
  },
  {
    name: 'a basic upload into another repo',
    token: basicToken({ repo: other, oid, sizeBytes: 4 }),
    verbs: [],
    action: { kind: 'basic', verb: 'write', fits: false },
    refusal: 403,
  },
  {
    name: 'a datamon upload',
    token: batchToken(),
    verbs: [],
    action: { kind: 'datamon', verb: 'write', fits: true },
    refusal: 403,
  },
  {
    name: 'a datamon download',
    token: batchToken({ operation: 'download' }),
    verbs: [],
    action: { kind: 'datamon', verb: 'read', fits: true },
    refusal: 403,
  },
  {
    name: 'a datamon upload into another repo',
    token: batchToken({ repo: other }),
    verbs: [],
    action: { kind: 'datamon', verb: 'write', fits: false },
    refusal: 403,
  },
];

/** Written down apart from the table: verbs that open the route, and which action tokens do. Changing either is changing this. */
const EXPECTED: Readonly<Record<string, string>> = {
  'GET root:/healthz': 'open',
  'GET root:/readyz': 'open',
  'GET root:/openapi.json': 'open',
  'GET root:/assets/style-*.css': 'open',
  'GET root:/assets/icon.svg': 'open',
  'GET root:/': 'listed',
  'GET root:/api/v1/repos': 'listed',
  'GET api:': 'read write +batch',
  'PUT api:': 'write +batch',
  'POST api:/objects/has': 'read write +batch',
  'GET api:/objects/:oid': 'read +batch',
  'GET api:/objects/:oid/recipe': 'read +batch',
  'POST api:/chunks/has': 'write +batch',
  'PUT api:/packs/:pack': 'write +batch',
  'POST api:/objects': 'write +batch',
  'POST api:/pages/has': 'read write +batch',
  'GET api:/pages/:digest': 'read +batch',
  'PUT api:/bundles': 'write',
  'GET api:/bundles': 'read',
  'GET api:/bundles/:bundle': 'read',
  'GET api:/bundles/:bundle/entries': 'read',
  'GET api:/commits': 'read',
  'GET api:/commits/:commit': 'read',
  'GET api:/branches': 'read',
  'GET api:/branches/:branch/log': 'read',
  'GET api:/labels': 'read',
  'GET api:/labels/:label/log': 'read',
  'PUT api:/labels/:label': 'write',
  'POST api:/pushes': 'write',
  'GET api:/pushes': 'read',
  'POST api:/pushes/:push/moves': 'write',
  'POST api:/pushes/:push/done': 'write',
  'GET api:/batches/:batch': 'own read write',
  'GET api:/batches/:batch/objects': 'own read',
  'GET api:/locks': 'read',
  'POST api:/locks': 'write',
  'POST api:/locks/:id/unlock': 'write',
  'POST lfs:/objects/batch': 'read write',
  'PUT lfs:/objects/:oid': 'write +object',
  'GET lfs:/objects/:oid': 'read +object',
  'POST lfs:/verify': 'write +object',
  'GET lfs:/locks': 'read',
  'POST lfs:/locks': 'write',
  'POST lfs:/locks/verify': 'write never404',
  'POST lfs:/locks/:id/unlock': 'write',
  'GET page:/': 'read',
  'GET page:/commits/*ref': 'read',
  'GET page:/bundle/:bundle': 'read',
  'GET page:/commit/:commit': 'read',
  'GET page:/tree/*path': 'read',
  'GET page:/blob/*path': 'read',
  'GET page:/raw/*path': 'read',
  'GET page:/compare/*refs': 'read',
};

const key = (route: Route) => nameOf(route).replace(/style-\w+/, 'style-*');

function mayEnter(words: readonly string[], kind: Kind): boolean {
  if (words.includes('open') || kind.verbs.some((verb) => words.includes(verb))) return true;
  const { action } = kind;
  if (action === undefined || !action.fits || !words.includes(action.verb)) return false;
  return words.includes('+object') || (words.includes('+batch') && action.kind === 'datamon');
}

/** What the refused get: known callers learn that they lack a verb, strangers nothing. */
function refusalOf(words: readonly string[], kind: Kind): number {
  if (kind.refusal === 404 && words.includes('never404')) return 403;
  return kind.refusal;
}

interface Answered {
  readonly status: number;
  readonly body: string;
}

async function statusFor(world: ServerWorld, route: Route, kind: Kind): Promise<Answered> {
  const isJson = route.body?.endsWith('json') === true;
  const response = await world.call(urlOf(route), {
    method: route.method.toUpperCase(),
    token: kind.token,
    headers: { Accept: route.area === 'lfs' ? LFS : 'text/html' },
    ...(isJson ? { json: bodyOf(route, kind) } : {}),
    ...(route.method === 'put' && !isJson ? { body: 'held' } : {}),
  });
  return { status: response.status, body: await response.text() };
}

/** The caller got in: whatever came then was about the request, or about the absence of what it named. */
const IN = [200, 201, 204, 400, 404, 409, 413];

describe('access', () => {
  it('is written down for every route there is', () => {
    expect(ROUTES.map(key)).to.have.members(Object.keys(EXPECTED));
  });

  for (const route of ROUTES) {
    const words = (EXPECTED[key(route)] ?? '').split(' ');
    it(`${key(route)} opens to ${words.join(' ')} and to nobody else`, async () => {
      const world = await startServer();
      await world.put('held');
      for (const kind of KINDS) expectRight(words, kind, await statusFor(world, route, kind));
    }).timeout(10_000);
  }

  function expectRight(words: readonly string[], kind: Kind, answer: Answered): void {
    const { status, body } = answer;
    const what = `${kind.name}: ${status} ${body.slice(0, 200)}`;
    expect(status, what).not.to.equal(422);
    if (words[0] === 'listed') {
      expect(status, what).to.equal(kind.refusal === 401 ? 401 : 200);
      expect(body).not.to.contain(kind.verbs.includes('read') ? 'acme/other' : 'acme/weather');
    } else if (words[0] === 'own') expect(status, what).to.equal(ownBatchStatus(words, kind));
    else if (!mayEnter(words, kind)) expect(status, what).to.equal(refusalOf(words, kind));
    else {
      expect(status, what).to.be.oneOf(IN);
      expect(body, what).not.to.match(/"message":"[^"]*does not reach/);
    }
  }

  const ownBatchStatus = (words: readonly string[], kind: Kind): number => {
    const { action, refusal } = kind;
    const isRight = action?.kind === 'datamon' && action.fits && words.includes(action.verb);
    return isRight ? 404 : refusal;
  };

  it('tells no stranger whether a repo is there, on any route', async () => {
    const world = await startServer();
    await world.put('held');
    const stranger = KINDS.find(({ refusal }) => refusal === 404) as Kind;
    for (const route of ROUTES.filter(({ access }) => access.kind === 'verbs')) {
      const there = await statusFor(world, route, stranger);
      const absent = route.area === 'api' ? 'acme%2Fabsentt' : 'acme/absentt';
      const response = await world.call(urlOf(route).replace(/acme(%2F|\/)weather/, absent), {
        method: route.method.toUpperCase(),
        token: stranger.token,
        headers: { Accept: route.area === 'lfs' ? LFS : 'text/html' },
        ...(route.body?.endsWith('json') === true ? { json: bodyOf(route, stranger) } : {}),
        ...(route.method === 'put' && route.body?.endsWith('json') !== true
          ? { body: 'held' }
          : {}),
      });
      const clean = (text: string) =>
        text.replaceAll(/acme\/\w+/g, 'REPO').replaceAll(/[0-9a-f]{16}/g, 'ID');
      expect(response.status, nameOf(route)).to.equal(there.status);
      expect(clean(await response.text()), nameOf(route)).to.equal(clean(there.body));
    }
  }).timeout(10_000);

  it('answers 404 and not 401 at addresses that are nothing', async () => {
    const world = await startServer();
    for (const path of [
      '/a/b/c/d',
      '/acme/weather/nothing',
      '/api/v2',
      '/api/v1/nothing',
      '/.git/config',
      '/acme/weather/info/refs?service=git-upload-pack',
      '/acme/weather.git/git-receive-pack',
      '/%00',
      '/acme/weather/objects',
    ]) {
      expect((await world.call(path)).status, path).to.be.oneOf([404]);
    }
    expect((await world.call(`/${REPO}/objects/batch`, { method: 'DELETE' })).status).to.equal(404);
  });

  it('takes the token as Basic password, under any user name', async () => {
    const world = await startServer();
    await world.repository();
    const basic = (user: string, password: string) =>
      world.call(`/${REPO}`, {
        headers: {
          Authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
        },
      });
    expect((await basic('_jwt', ADMIN)).status).to.equal(200);
    expect((await basic('ada', ADMIN)).status).to.equal(200);
    expect((await basic(ADMIN, '')).status).to.equal(401);
    expect((await basic('ada', 'password')).status).to.equal(401);
  });

  for (const header of [
    'Bearer',
    'Basic',
    'Basic !!!',
    'Negotiate abc',
    `Bearer ${'x'.repeat(9000)}`,
    'Bearer null',
    `Basic ${Buffer.from('nocolon').toString('base64')}`,
  ]) {
    it(`answers 401 to ${JSON.stringify(header.slice(0, 30))}`, async () => {
      const world = await startServer({ anonymous: 'none' });
      expect(
        (await world.call(`/${REPO}`, { headers: { Authorization: header } })).status,
      ).to.equal(401);
    });
  }

  it('lets anonymous callers read and not write where that is said, and never be admin', async () => {
    const world = await startServer({ anonymous: 'read' });
    await world.put('held');
    expect((await world.call(`/${REPO}`)).status).to.equal(200);
    expect(
      (await world.call(`/${REPO}/objects/${oid}`, { method: 'PUT', body: 'held' })).status,
    ).to.equal(401);
    expect((await world.call(`/${REPO}/locks`, { json: { path: 'a' } })).status).to.equal(401);
  });

  it('lets anonymous callers write where that is said', async () => {
    const world = await startServer({ anonymous: 'write' });
    expect(
      (await world.call(`/${REPO}/objects/${oid}`, { method: 'PUT', body: 'held' })).status,
    ).to.equal(200);
    expect((await world.call(`/${REPO}/objects/${oid}`)).status).to.equal(200);
  });

  it('refuses a bad token even where nobody needs one', async () => {
    const world = await startServer({ anonymous: 'write' });
    const Authorization = `Bearer ${expiredToken('read:*')}`;
    expect((await world.call('/', { headers: { Authorization } })).status).to.equal(401);
  });

  it('answers to its own names only, where strangers are let in', async () => {
    const world = await startServer({
      anonymous: 'write',
      hosts: new Set(['127.0.0.1', 'localhost']),
    });
    const { rawClient, statusOf } = await import('./support/raw-socket.ts');
    for (const [host, status] of [
      ['evil.example', 403],
      [`localhost:${world.port}`, 200],
      ['127.0.0.1', 200],
    ] as const) {
      const client = await rawClient(world.port);
      client.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
      expect(statusOf(await client.untilClosed()), host).to.equal(status);
    }
  });

  it('keeps tokens out of answers and logs', async () => {
    const world = await startServer();
    const canary = tokenFor('canary', 'read:nothing/*');
    await world.call(`/${REPO}?token=${canary}`, { token: canary });
    await world.call(`/${REPO}/objects/${oid}`, { method: 'PUT', body: 'x', token: canary });
    expect(JSON.stringify(world.log)).not.to.contain(canary.slice(20));
  });
});
