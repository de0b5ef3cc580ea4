/** The agent as a whole, over streams with a made-up clone: what init refuses, what it opens, what it leaves. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { expect } from 'chai';
import type { Clone } from '../../agent/clone.ts';
import { type AgentDependencies, runAgent } from '../../agent/program.ts';
import { digestOf } from '../../core/digest.ts';
import { DatamonError } from '../../core/errors.ts';
import { EXIT } from '../../core/io.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { type PlannedBlobs, plannedBlobs, repositoryOf } from './support/blobs.ts';
import {
  type Answer,
  downloadOf,
  INIT_DOWNLOAD,
  INIT_UPLOAD,
  TERMINATE,
  uploadOf,
} from './support/conversation.ts';

interface Run {
  readonly status: number;
  readonly replies: readonly Answer[];
}

const above =
  (...commands: readonly (readonly string[])[]) =>
  async () =>
    commands.map((argv, index) => ({ pid: 9 - index, argv }));

describe('agent/program', () => {
  let folder: string;
  let blobs: PlannedBlobs;
  let opened: string[];
  let closed: number;

  beforeEach(async () => {
    folder = await makeTempDir();
    blobs = plannedBlobs();
    opened = [];
    closed = 0;
  });

  const clone = (overrides: Partial<Clone> = {}): Clone => ({
    endpoint: async () => ({ url: 'datamon::file:///s//r', isStore: true }),
    lfsDirectory: async () => folder,
    sharedRepository: async () => null,
    prunesAfterCheck: async () => false,
    hooksPolicy: async () => null,
    repo: {} as Clone['repo'],
    ...overrides,
  });

  async function run(
    messages: readonly object[],
    deps: Partial<AgentDependencies> = {},
  ): Promise<Run> {
    const stdin = new PassThrough();
    const stdout = new PassThrough();
    const lines: Answer[] = [];
    let rest = '';
    const wanted = messages.length;
    stdout.on('data', (bytes: Buffer) => {
      rest += bytes.toString();
      const parts = rest.split('\n');
      rest = parts.pop() ?? '';
      for (const line of parts) lines.push(JSON.parse(line) as Answer);
      const replies = lines.filter(({ event }) => event !== 'progress').length;
      // As git-lfs does: one message, then its answer.
      if (replies > sent - 1) next();
    });
    let sent = 0;
    const next = (): void => {
      const message = messages[sent] ?? (sent === wanted ? TERMINATE : null);
      sent += 1;
      if (message !== null) stdin.write(`${JSON.stringify(message)}\n`);
    };
    const ended = runAgent(
      {
        stdin,
        stdout,
        stderr: new PassThrough(),
        env: {},
        cwd: folder,
        signal: new AbortController().signal,
        isTerminal: false,
      },
      {
        pid: 1,
        openClone: async () => clone(),
        ancestors: async () => [],
        connect: async (url) => {
          opened.push(url);
          return repositoryOf(blobs, () => {
            closed += 1;
          });
        },
        ...deps,
      },
    );
    next();
    const status = await ended;
    return { status, replies: lines.filter(({ event }) => event !== 'progress') };
  }

  it('opens the store at init, serves, closes, and ends well', async () => {
    const path = join(folder, 'file');
    await writeFile(path, 'abc');
    const { status, replies } = await run([INIT_UPLOAD, uploadOf('abc', path)]);
    expect(status).to.equal(EXIT.ok);
    expect(replies).to.deep.equal([{}, { event: 'complete', oid: digestOf('abc') }]);
    expect(opened).to.deep.equal(['datamon::file:///s//r']);
    expect(closed).to.equal(1);
  });

  it('passes on at init, in one sentence, why a store cannot be opened', async () => {
    const connect = async () => {
      throw new DatamonError('NOT_FOUND', 'no such bucket: b', { hint: 'Run: datamon doctor' });
    };
    const { replies } = await run([INIT_UPLOAD], { connect });
    expect(replies[0]?.error?.message).to.equal('datamon: no such bucket: b. Run: datamon doctor');
  });

  it('refuses to start under git lfs prune, before it opens anything', async () => {
    const ancestors = above(['sh', '-c', 'x'], ['git-lfs', 'prune', '--verify-remote']);
    const { replies } = await run([INIT_DOWNLOAD], { ancestors });
    expect(replies[0]?.error?.message).to.include('git lfs prune --no-verify-remote');
    expect(opened).to.deep.equal([]);
  });

  it('refuses fetch --prune where every prune asks the remote first, and only there', async () => {
    const ancestors = above(['git-lfs', 'fetch', '--prune']);
    const openClone = async () => clone({ prunesAfterCheck: async () => true });
    const refused = await run([INIT_DOWNLOAD], { ancestors, openClone });
    expect(refused.replies[0]?.error?.message).to.include('without --prune');
    const allowed = await run([INIT_DOWNLOAD], { ancestors });
    expect(allowed.replies[0]).to.deep.equal({});
  });

  it('starts under prune where a server is asked', async () => {
    const ancestors = above(['git-lfs', 'prune', '--verify-remote']);
    const openClone = async () =>
      clone({ endpoint: async () => ({ url: 'https://d.example/r', isStore: false }) });
    const { replies } = await run([INIT_DOWNLOAD], { ancestors, openClone });
    expect(replies[0]).to.deep.equal({});
    expect(opened).to.deep.equal([]);
  });

  it('serves a server’s actions outside of any clone', async () => {
    const openClone = async () => {
      throw new DatamonError('NOT_FOUND', 'no git repository here');
    };
    const path = join(folder, 'file');
    await writeFile(path, 'abc');
    const href = `https://d.example/a/w/objects/${digestOf('abc')}`;
    const request = { ...uploadOf('abc', path), action: { href, header: {} } };
    const { replies } = await run([INIT_UPLOAD, request], { openClone });
    expect(replies).to.deep.equal([{}, { event: 'complete', oid: digestOf('abc') }]);
    expect(opened).to.deep.equal(['https://d.example/a/w']);
  });

  it('names what to do where there is neither action nor address', async () => {
    const openClone = async () => clone({ endpoint: async () => ({ url: '', isStore: false }) });
    const { replies } = await run([INIT_DOWNLOAD, downloadOf('abc')], { openClone });
    expect(replies[1]?.error?.message).to.include('no LFS URL is set for the remote origin');
    expect(replies[1]?.error?.message).to.include('datamon init');
  });

  it('installs hooks only with consent, and a failure of it fails nothing', async () => {
    let installed = 0;
    const onFirstContact = async () => {
      installed += 1;
      throw new Error('no');
    };
    const path = join(folder, 'file');
    await writeFile(path, 'abc');
    const upload = [INIT_UPLOAD, uploadOf('abc', path)];
    await run(upload, { onFirstContact });
    expect(installed).to.equal(0);
    const openClone = async () => clone({ hooksPolicy: async () => 'auto' });
    const { status, replies } = await run(upload, { onFirstContact, openClone });
    expect(installed).to.equal(1);
    expect([status, replies[1]?.error]).to.deep.equal([EXIT.ok, undefined]);
  });

  it('installs no hooks where it was only started', async () => {
    let installed = 0;
    const onFirstContact = async () => {
      installed += 1;
    };
    await run([INIT_UPLOAD], {
      onFirstContact,
      openClone: async () => clone({ hooksPolicy: async () => 'auto' }),
    });
    expect(installed).to.equal(0);
  });
});
