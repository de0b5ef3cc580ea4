/** The real process: no arguments, junk on stdin, signals, nobody reading. Never a hang, never a stray line. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect } from 'chai';
import { makeTempDir } from '../support/temp-dir.ts';
import { INIT_UPLOAD, TERMINATE, uploadOf } from './support/conversation.ts';
import { AGENT_MAIN } from './support/standalone.ts';

const line = (message: object): string => `${JSON.stringify(message)}\n`;

describe('agent/main', function () {
  this.timeout(20_000);
  let folder: string;
  const children: ChildProcess[] = [];
  beforeEach(async () => {
    folder = await makeTempDir();
  });
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
  });

  function start(): ChildProcess & { readonly text: () => string } {
    const child = spawn(process.execPath, [AGENT_MAIN], {
      cwd: folder,
      env: { PATH: process.env['PATH'], HOME: folder, GIT_CONFIG_NOSYSTEM: '1' },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    children.push(child);
    let text = '';
    child.stdout.on('data', (bytes: Buffer) => {
      text += bytes.toString();
    });
    child.stdin.on('error', () => undefined);
    return Object.assign(child, { text: () => text });
  }

  const exit = async (child: ChildProcess): Promise<number | NodeJS.Signals | null> => {
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    return code ?? signal;
  };

  const inputs: Readonly<Record<string, string | Buffer>> = {
    nothing: '',
    'binary junk': Buffer.from([0, 1, 2, 255, 254, 10, 0, 0]),
    'a message cut in the middle': '{"event":"init","oper',
    '10 MiB without an end': Buffer.alloc(10 * 1024 * 1024, '{'),
    'blank lines': '\n\n\n',
    'an upload before init': line(uploadOf('a')),
  };
  for (const [name, input] of Object.entries(inputs)) {
    it(`ends well on ${name}, with nothing but JSON lines on stdout`, async () => {
      const child = start();
      child.stdin?.end(input);
      expect(await exit(child)).to.equal(0);
      for (const answer of child.text().split('\n').slice(0, -1)) {
        expect(JSON.parse(answer)).to.be.an('object').that.does.not.have.property('path');
      }
      expect(child.text()).to.not.include('"complete","oid":"","path"');
    });
  }

  it('answers init and ends at terminate though its input stays open', async () => {
    const child = start();
    child.stdin?.write(line(INIT_UPLOAD));
    await once(child.stdout as NodeJS.ReadableStream, 'data');
    child.stdin?.write(line(TERMINATE));
    expect(await exit(child)).to.equal(0);
    expect(child.text()).to.equal('{}\n');
  });

  it('ends at the first Ctrl-C', async () => {
    const child = start();
    child.stdin?.write(line(INIT_UPLOAD));
    await once(child.stdout as NodeJS.ReadableStream, 'data');
    child.kill('SIGINT');
    expect(await exit(child)).to.equal(130);
  });

  it('ends where nobody reads its answers any more', async () => {
    const child = start();
    child.stdin?.write(line(INIT_UPLOAD));
    await once(child.stdout as NodeJS.ReadableStream, 'data');
    child.stdout?.destroy();
    child.stdin?.write(line(uploadOf('a')).repeat(3));
    expect(await exit(child)).to.be.a('number');
  });

  it('ends, rather than wait or grow, while nobody takes its answers', async () => {
    const child = start();
    child.stdout?.removeAllListeners('data').pause();
    child.stdin?.write(line(INIT_UPLOAD));
    const flood = line({ ...uploadOf('a'), size: -1 }).repeat(20_000);
    child.stdin?.write(flood);
    child.stdin?.end();
    expect(await exit(child)).to.equal(0);
  });
});
