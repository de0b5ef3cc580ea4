/** The LFS batch: every object answered, nothing told to who may not know, no 422 outside. */
import { expect } from 'chai';
import fc from 'fast-check';
import { verifyActionToken } from '../../client/tokens.ts';
import { bytesBody } from '../../core/backend/backend.ts';
import { type Digest, digestOf } from '../../core/digest.ts';
import { DatamonError } from '../../core/errors.ts';
import { parseRepoName } from '../../core/keys.ts';
import { readObjectStream } from '../../core/meta/object-stream.ts';
import { ttlSeconds } from '../../lfs-server/actions.ts';
import { expectSchema } from './support/schemas.ts';
import {
  type Answer,
  LFS,
  READER,
  REPO,
  SECRET,
  type ServerWorld,
  STRANGER,
  startServer,
  WRITER,
} from './support/server-world.ts';

const BATCH = `/${REPO}/objects/batch`;
const oid = digestOf('new');
const bad = [
  'ABCDEF'.repeat(11).slice(0, 64),
  'a'.repeat(63),
  'a'.repeat(65),
  `${'a'.repeat(64)}\n`,
  '../../../../etc/passwd',
  '%2e%2e%2f',
  '٣'.repeat(64),
  '',
  '__proto__',
  'constructor',
];

async function ask(world: ServerWorld, body: unknown, token = WRITER, path = BATCH) {
  return await world.json(path, { json: body, token, headers: { Accept: LFS } });
}

describe('batch', () => {
  it('offers an upload and its verify for an object that is not here', async () => {
    const world = await startServer();
    const answer = await ask(world, { operation: 'upload', objects: [{ oid, size: 3 }] });
    expect(answer.status).to.equal(200);
    expect(answer.headers.get('content-type')).to.equal(LFS);
    expectSchema(answer.body, 'lfs-batch-response');
    expect(answer.body.transfer).to.equal('basic');
    const [{ actions }] = answer.body.objects;
    expect(actions.upload.href).to.equal(`${world.origin}/${REPO}/objects/${oid}`);
    expect(actions.upload.header['Content-Type']).to.equal('application/octet-stream');
    expect(actions.verify.href).to.equal(`${world.origin}/${REPO}/verify`);
  });

  it('offers nothing for an object that is here, and a download of it', async () => {
    const world = await startServer();
    const held = await world.put('held');
    const up = await ask(world, { operation: 'upload', objects: [{ oid: held, size: 4 }] });
    expect(up.body.objects).to.deep.equal([{ oid: held, size: 4, authenticated: true }]);
    const down = await ask(world, { operation: 'download', objects: [{ oid: held, size: 4 }] });
    expectSchema(down.body, 'lfs-batch-response');
    expect(down.body.objects[0].actions).to.have.all.keys('download');
  });

  it('answers an unknown download with 404 of its own and the rest as usual', async () => {
    const world = await startServer();
    const held = await world.put('held');
    const objects = [
      { oid, size: 3 },
      { oid: held, size: 4 },
    ];
    const { status, body } = await ask(world, { operation: 'download', objects });
    expect(status).to.equal(200);
    expectSchema(body, 'lfs-batch-response');
    expect(body.objects[0].error.code).to.equal(404);
    expect(body.objects[1].actions.download).to.be.an('object');
  });

  it('picks datamon where it is offered, and needs no verify then', async () => {
    const world = await startServer();
    const transfers = ['lfs-standalone-file', 'ssh', 'datamon', 'basic'];
    const { body } = await ask(world, {
      operation: 'upload',
      transfers,
      objects: [{ oid, size: 3 }],
    });
    expectSchema(body, 'lfs-batch-response');
    expect(body.transfer).to.equal('datamon');
    expect(body.objects[0].actions).to.have.all.keys('upload');
    expect(body.objects[0].actions.upload.href).to.equal(`${world.origin}/${REPO}/objects/${oid}`);
  });

  it('binds a basic token to the object, a datamon token to the batch', async () => {
    const world = await startServer();
    const claimsFor = async (transfers: readonly string[]) => {
      const { body } = await ask(world, {
        operation: 'upload',
        transfers,
        objects: [{ oid, size: 3 }],
      });
      const header: string = body.objects[0].actions.upload.header.Authorization;
      return verifyActionToken(header.replace('Bearer ', ''), {
        secrets: [SECRET],
        issuer: 'datamon',
      });
    };
    const common = { subject: 'ada', repo: REPO, operation: 'upload' };
    expect(await claimsFor(['basic'])).to.deep.equal({
      kind: 'basic',
      ...common,
      oid,
      sizeBytes: 3,
    });
    expect(await claimsFor(['datamon'])).to.deep.include({ kind: 'datamon', ...common });
  });

  it('remembers the members of a datamon batch for its own token', async () => {
    const world = await startServer();
    const asked = { operation: 'upload', transfers: ['datamon'], objects: [{ oid, size: 3 }] };
    const { body } = await ask(world, asked);
    const token = body.objects[0].actions.upload.header.Authorization.replace('Bearer ', '');
    const { batch } = verifyActionToken(token, { secrets: [SECRET], issuer: 'datamon' }) as {
      batch: string;
    };
    const path = `/api/v1/repos/acme%2Fweather/batches/${batch}`;
    const members = await world.json(path, { token });
    expect(members.body).to.deep.equal({ objects: [{ oid, size: 3 }] });
    expect((await world.call(path, { token: WRITER })).status).to.equal(403);
    expect((await world.call(path.replace(/.$/, '_'), { token })).status).to.equal(404);
  });

  it('sends the small objects of a download batch in one answer, to its own token', async () => {
    const world = await startServer();
    const contents = ['small', 'smaller', '', 'x'.repeat(1024 * 1024 + 1)];
    const members: { oid: Digest; size: number }[] = [];
    for (const content of contents) {
      members.push({ oid: await world.put(content), size: content.length });
    }
    members.push({ oid: digestOf('absent'), size: 6 });
    const asked = { operation: 'download', transfers: ['datamon'], objects: members };
    const { body } = await ask(world, asked);
    const token = body.objects[0].actions.download.header.Authorization.replace('Bearer ', '');
    const { batch } = verifyActionToken(token, { secrets: [SECRET], issuer: 'datamon' }) as {
      batch: string;
    };
    const path = `/api/v1/repos/acme%2Fweather/batches/${batch}/objects`;
    const answer = await world.call(path, { token });
    expect(answer.status).to.equal(200);
    const bytes = Buffer.from(await answer.arrayBuffer());
    const stream = await readObjectStream(bytesBody(bytes).open());
    expect(stream.members).to.deep.equal(members);
    const sent: string[] = [];
    for await (const object of stream.objects) sent.push(Buffer.from(object.bytes).toString());
    expect(sent).to.have.members(contents.slice(0, 3));
    expect((await world.call(path, { token: WRITER })).status).to.equal(403);
    const head = await world.call(path, { token, method: 'HEAD' });
    expect([head.status, await head.text()]).to.deep.equal([200, '']);
  });

  for (const operation of ['upload', 'download']) {
    it(`answers every kind of bad oid with an error of its own (${operation})`, async () => {
      const world = await startServer();
      const held = await world.put('held');
      const objects = [...bad.map((each) => ({ oid: each, size: 1 })), { oid: held, size: 4 }];
      const { status, body } = await ask(world, { operation, objects });
      expect(status).to.equal(200);
      expectSchema(body, 'lfs-batch-response');
      const answers = new Map(body.objects.map((object: Answer) => [object.oid, object]));
      for (const each of bad)
        expect((answers.get(each) as Answer)?.error?.code, each).to.equal(422);
      expect((answers.get(held) as Answer).error).to.equal(undefined);
    });
  }

  it('answers every kind of bad size with an error of its own', async () => {
    const world = await startServer();
    const sizes = ['-1', '1.5', '9007199254740993', '1e308', '"5"', 'null', '[]', '{}', 'true'];
    const objects = sizes.map(
      (size, index) => `{"oid":"${digestOf(String(index))}","size":${size}}`,
    );
    const text = `{"operation":"upload","objects":[${objects.join()},{"oid":"${digestOf('none')}"}]}`;
    const answer = await world.json(BATCH, {
      method: 'POST',
      body: text,
      token: WRITER,
      headers: { 'Content-Type': LFS },
    });
    expect(answer.status).to.equal(200);
    expectSchema(answer.body, 'lfs-batch-response');
    expect(answer.body.objects.map((object: Answer) => object.error?.code)).to.deep.equal(
      Array(10).fill(422),
    );
  });

  it('answers objects that are no objects at all', async () => {
    const world = await startServer();
    const { status, body } = await ask(world, {
      operation: 'upload',
      objects: [null, 7, 'x', [], { oid: 7 }, { oid, size: 3 }],
    });
    expect(status).to.equal(200);
    expectSchema(body, 'lfs-batch-response');
    expect(body.objects.at(-1).actions).to.be.an('object');
  });

  it('answers every oid exactly once, whatever is asked (property)', async () => {
    const world = await startServer();
    const oids = fc.oneof(
      fc.constantFrom(...bad),
      fc.nat(20).map((n) => digestOf(String(n))),
      fc.string(),
    );
    const objects = fc.array(
      fc.record({ oid: oids, size: fc.oneof(fc.nat(), fc.double(), fc.string()) }),
      { maxLength: 30 },
    );
    await fc.assert(
      fc.asyncProperty(objects, fc.constantFrom('upload', 'download'), async (list, operation) => {
        await world.repository();
        const { status, body } = await ask(world, { operation, objects: list });
        expect(status).to.equal(200);
        expectSchema(body, 'lfs-batch-response');
        const asked = new Set(list.map((each) => each.oid.slice(0, 256)));
        expect(body.objects.map((each: Answer) => each.oid)).to.have.members([...asked]);
      }),
      { numRuns: 40 },
    );
  });

  it('answers a duplicate oid once', async () => {
    const world = await startServer();
    const { body } = await ask(world, {
      operation: 'upload',
      objects: Array(5).fill({ oid, size: 3 }),
    });
    expect(body.objects).to.have.length(1);
  });

  it('takes 1000 objects and refuses 1001', async () => {
    const world = await startServer();
    const many = (count: number) =>
      Array.from({ length: count }, (_, n) => ({ oid: digestOf(String(n)), size: n }));
    const full = await ask(world, { operation: 'upload', objects: many(1000) });
    expect(full.body.objects).to.have.length(1000);
    const over = await ask(world, { operation: 'upload', objects: many(1001) });
    expect(over.status).to.equal(413);
    expectSchema(over.body, 'errors#/$defs/lfs');
  });

  it('refuses more than 2 MiB before it reads them', async () => {
    const world = await startServer();
    const body = `{"operation":"upload","objects":[],"pad":"${'x'.repeat(2 * 1024 * 1024)}"}`;
    const answer = await world.json(BATCH, {
      method: 'POST',
      body,
      token: WRITER,
      headers: { 'Content-Type': LFS },
    });
    expect(answer.status).to.equal(413);
  });

  it('answers 409 to another hash than sha256', async () => {
    const world = await startServer();
    const { status, body } = await ask(world, {
      operation: 'upload',
      hash_algo: 'sha512',
      objects: [],
    });
    expect(status).to.equal(409);
    expect(body.message).to.contain('sha512');
  });

  it('takes the media type with and without charset, and not a web form’s', async () => {
    const world = await startServer();
    const body = '{"operation":"upload","objects":[]}';
    const statusOf = async (type: string) =>
      (
        await world.call(BATCH, {
          method: 'POST',
          body,
          token: WRITER,
          headers: { 'Content-Type': type },
        })
      ).status;
    expect(await statusOf(LFS)).to.equal(200);
    expect(await statusOf(`${LFS}; charset=utf-8`)).to.equal(200);
    expect(await statusOf('application/json')).to.equal(200);
    expect(await statusOf('text/plain')).to.equal(400);
    expect(await statusOf('application/x-www-form-urlencoded')).to.equal(400);
  });

  it('takes a batch as git-lfs sends it, with and without info/lfs', async () => {
    const world = await startServer();
    const request = {
      operation: 'upload',
      objects: [{ oid, size: 3 }],
      transfers: ['ssh', 'basic'],
      ref: { name: 'refs/heads/main' },
      hash_algo: 'sha256',
    };
    expectSchema(request, 'lfs-batch-request');
    for (const path of [
      BATCH,
      `/${REPO}.git/info/lfs/objects/batch`,
      `/${REPO}/info/lfs/objects/batch`,
      `/${REPO}.git/objects/batch`,
    ]) {
      expect((await ask(world, request, WRITER, path)).status, path).to.equal(200);
    }
    const nullRef = await ask(world, { ...request, ref: null });
    expect(nullRef.status).to.equal(200);
  });

  it('says nothing of objects of other repos: held elsewhere looks like never seen', async () => {
    const world = await startServer();
    const elsewhere = await world.put('foreign', parseRepoName('acme/other'));
    await world.repository();
    const shape = async (each: string) => {
      const { body } = await ask(world, { operation: 'upload', objects: [{ oid: each, size: 7 }] });
      return JSON.stringify(body)
        .replaceAll(each, 'OID')
        .replace(/eyJ[\w.-]+/g, 'TOKEN');
    };
    expect(await shape(elsewhere)).to.equal(await shape(digestOf('never')));
    const down = await ask(world, {
      operation: 'download',
      objects: [{ oid: elsewhere, size: 7 }],
    });
    expect(down.body.objects[0].error.code).to.equal(404);
  });

  it('refuses a size that differs from that of the stored object', async () => {
    const world = await startServer();
    const held = await world.put('held');
    const { body } = await ask(world, { operation: 'upload', objects: [{ oid: held, size: 5 }] });
    expect(body.objects[0].error.code).to.equal(422);
  });

  it('refuses what is too large in the batch, not when it is sent', async () => {
    const world = await startServer({ limits: { objectSizeMaxBytes: 10 } });
    const { status, body } = await ask(world, {
      operation: 'upload',
      objects: [
        { oid, size: 11 },
        { oid: digestOf('b'), size: 10 },
      ],
    });
    expect(status).to.equal(200);
    expectSchema(body, 'lfs-batch-response');
    expect(body.objects[0].error.code).to.equal(413);
    expect(body.objects[1].actions).to.be.an('object');
  });

  it('says in the batch that the store is full, once an upload found that out', async () => {
    const world = await startServer({
      repos: (repos) => ({
        ...repos,
        ensure: async () => {
          throw new DatamonError('NO_SPACE', 'the disk is full');
        },
      }),
    });
    const full = await world.call(`/${REPO}/objects/${oid}`, {
      method: 'PUT',
      body: 'new',
      token: WRITER,
    });
    expect(full.status).to.equal(507);
    const { status, body } = await ask(world, { operation: 'upload', objects: [{ oid, size: 3 }] });
    expect(status).to.equal(200);
    expectSchema(body, 'lfs-batch-response');
    expect(body.objects[0].error.code).to.equal(507);
  });

  it('lets a reader download and not upload', async () => {
    const world = await startServer();
    const held = await world.put('held');
    const down = await ask(
      world,
      { operation: 'download', objects: [{ oid: held, size: 4 }] },
      READER,
    );
    expect(down.status).to.equal(200);
    const up = await ask(world, { operation: 'upload', objects: [{ oid, size: 3 }] }, READER);
    expect(up.status).to.equal(403);
  });

  it('answers a stranger the same for a repo that is there and one that is not', async () => {
    const world = await startServer();
    await world.put('held');
    const answer = async (path: string) => {
      const { status, body } = await ask(
        world,
        { operation: 'download', objects: [] },
        STRANGER,
        path,
      );
      return JSON.stringify([status, body.message]).replaceAll(/acme\/\w+/g, 'REPO');
    };
    const there = await answer(BATCH);
    expect(there).to.equal(await answer('/acme/absent/objects/batch'));
    expect(there).to.contain('404');
  });

  it('asks a caller without a token to log in, the way git understands', async () => {
    const world = await startServer();
    const response = await world.call(BATCH, { json: { operation: 'upload', objects: [] } });
    expect(response.status).to.equal(401);
    expect(response.headers.get('lfs-authenticate')).to.match(/^Basic realm=/);
    expect(response.headers.get('www-authenticate')).to.match(/^Basic realm=/);
    expectSchema(await response.json(), 'errors#/$defs/lfs');
  });

  it('uses the public URL in hrefs, else the host that was asked', async () => {
    const world = await startServer({ publicUrl: 'https://datamon.acme.io' });
    const { body } = await ask(world, { operation: 'upload', objects: [{ oid, size: 3 }] });
    expect(body.objects[0].actions.upload.href).to.match(/^https:\/\/datamon\.acme\.io\//);
  });

  it('lets actions live an hour, longer for what takes longer, a day at most', () => {
    expect(ttlSeconds(0)).to.equal(3600);
    expect(ttlSeconds(2 * 1024 ** 3)).to.equal(8192);
    expect(ttlSeconds(1024 ** 4)).to.equal(86_400);
  });

  it('makes no repo by being asked', async () => {
    const world = await startServer();
    await ask(world, { operation: 'upload', objects: [{ oid, size: 3 }] });
    expect(await world.repos.find(REPO)).to.equal(null);
  });
});
