/** The agent under the real git-lfs through a server: datamon’s own way, and the plain one where there is no other. */
import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { isFast } from '../../core/fast-paths.ts';
import { lfsPush, Standalone, wipeLocalObjects } from '../agent/support/standalone.ts';
import type { GitRepo } from '../support/git-repo.ts';
import { startRealServer } from '../support/real-server.ts';
import { seededBytes } from '../support/splitmix64.ts';

const FILES: Readonly<Record<string, Uint8Array>> = {
  'one.bin': Uint8Array.of(1),
  'with space.bin': seededBytes(1, 70_000),
  'big.bin': seededBytes(2, 2 * 1024 * 1024),
};

/** An LFS server that knows nothing of datamon but names our transfer, as a foreign or much newer server might. */
async function plainServer(): Promise<{
  readonly origin: string;
  readonly objects: Map<string, Buffer>;
  readonly paths: string[];
  close(): void;
}> {
  const objects = new Map<string, Buffer>();
  const paths: string[] = [];
  let origin = '';
  const server = http.createServer((request, response) => {
    paths.push(`${request.method} ${request.url}`);
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const oid = /\/objects\/([0-9a-f]{64})$/.exec(request.url ?? '')?.[1];
      if (request.url?.endsWith('/objects/batch')) batch(Buffer.concat(parts), response);
      else if (oid === undefined) response.writeHead(404).end();
      else if (request.headers.authorization !== 'Bearer plain') response.writeHead(401).end();
      else if (request.method === 'PUT') take(oid, Buffer.concat(parts), response);
      else give(oid, response);
    });
  });
  function take(oid: string, body: Buffer, response: http.ServerResponse): void {
    const isRight = createHash('sha256').update(body).digest('hex') === oid;
    if (isRight) objects.set(oid, body);
    response.writeHead(isRight ? 200 : 400).end();
  }
  function give(oid: string, response: http.ServerResponse): void {
    const bytes = objects.get(oid);
    response.writeHead(bytes === undefined ? 404 : 200).end(bytes);
  }
  function batch(body: Buffer, response: http.ServerResponse): void {
    const asked = JSON.parse(body.toString()) as {
      operation: string;
      objects: { oid: string; size: number }[];
    };
    const answers = asked.objects.map(({ oid, size }) => ({
      oid,
      size,
      actions: {
        [asked.operation]: {
          href: `${origin}/team/plain/objects/${oid}`,
          header: { Authorization: 'Bearer plain' },
        },
      },
    }));
    response.setHeader('Content-Type', 'application/vnd.git-lfs+json');
    response.end(JSON.stringify({ transfer: 'datamon', objects: answers }));
  }
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    origin,
    objects,
    paths,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

describe('end to end: the agent with a server', function () {
  this.timeout(60_000);
  let lab: Standalone;

  beforeEach(async () => {
    lab = await Standalone.create();
  });
  afterEach(() => lab.world.remove());

  async function project(url: string): Promise<{ repo: GitRepo; remote: GitRepo }> {
    const made = await lab.world.withRemote('work');
    await made.repo.write('.lfsconfig', `[lfs]\n\turl = ${url}\n`);
    for (const [path, bytes] of Object.entries(FILES)) await made.repo.write(path, bytes);
    await made.repo.commit('Three files');
    return made;
  }

  async function roundTrip({ repo, remote }: { repo: GitRepo; remote: GitRepo }): Promise<void> {
    const pushed = await lfsPush(repo);
    expect(pushed.status, pushed.stderr).to.equal(0);
    await repo.git('push', '-q', '--no-verify', 'origin', 'main');
    const clone = await lab.world.clone(remote, 'clone');
    for (const [path, bytes] of Object.entries(FILES)) {
      expect((await clone.read(path)).equals(bytes), path).to.equal(true);
    }
    await wipeLocalObjects(repo);
    expect((await repo.run(['lfs', 'fetch', '--all'])).status).to.equal(0);
    expect((await repo.run(['lfs', 'fsck'])).status).to.equal(0);
  }

  it('sends and fetches through datamon’s API with the token of the batch', async () => {
    const server = await startRealServer();
    await roundTrip(await project(`${server.origin}/team/work`));
    const log = await lab.log();
    expect(log).to.include('init upload').and.include('init download');
    expect(log).to.not.include('plain transfers');
  });

  it('stores a second version as what changed', async () => {
    const server = await startRealServer();
    const { repo } = await project(`${server.origin}/team/work`);
    expect((await lfsPush(repo)).status).to.equal(0);
    const before = await server.storedBytes();
    const changed = Buffer.from(FILES['big.bin'] ?? []);
    changed[1_000_000] = 255 - (changed[1_000_000] ?? 0);
    await repo.write('big.bin', changed);
    await repo.commit('One byte');
    expect((await lfsPush(repo)).status).to.equal(0);
    expect((await server.storedBytes()) - before).to.be.below(400_000);
  });

  it('packs the small files of a batch together, though git-lfs asks for one at a time', async () => {
    const server = await startRealServer();
    const { repo } = await project(`${server.origin}/team/work`);
    for (let n = 0; n < 60; n += 1) await repo.write(`many/${n}.bin`, seededBytes(100 + n, 3000));
    await repo.commit('Many small files');
    const pushed = await lfsPush(repo);
    expect(pushed.status, pushed.stderr).to.equal(0);
    let containers = 0;
    for await (const { key } of server.backend.list('')) {
      if (/\/(packs|segments)\//.test(key)) containers += 1;
    }
    if (isFast('look-ahead')) {
      expect(containers).to.be.below(15);
      expect(await lab.log()).to.include('small objects ahead');
    }
    await wipeLocalObjects(repo);
    expect((await repo.run(['lfs', 'fetch', '--all'])).status).to.equal(0);
  });

  it('speaks plain GET and PUT with a server that is no datamon', async () => {
    const server = await plainServer();
    try {
      await roundTrip(await project(`${server.origin}/team/plain`));
      expect(server.objects.size).to.equal(3);
      expect(await lab.log()).to.include('plain transfers, because');
    } finally {
      server.close();
    }
  });

  it('names the object and the reason where a server loses one, and fetches the others', async () => {
    const server = await plainServer();
    try {
      const { repo } = await project(`${server.origin}/team/plain`);
      expect((await lfsPush(repo)).status).to.equal(0);
      await wipeLocalObjects(repo);
      server.objects.delete(
        createHash('sha256')
          .update(FILES['one.bin'] ?? '')
          .digest('hex'),
      );
      const fetched = await repo.run(['lfs', 'fetch', 'origin', 'main']);
      expect(fetched.status).to.not.equal(0);
      expect(fetched.stderr).to.match(/\[404\] datamon: .*404/);
      const folder = repo.path('.git', 'lfs', 'objects');
      const kept = await readdir(folder, { recursive: true, withFileTypes: true });
      expect(kept.filter((entry) => entry.isFile())).to.have.length(2);
    } finally {
      server.close();
    }
  });
});
