/** The process: exit statuses, pipes that close, signals. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { EXIT } from '../../core/io.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { MAIN, seed, spawnDatamon } from './support/cli.ts';

async function fileRepo(files = 1): Promise<string> {
  const url = `file://${await makeTempDir()}/store//acme/weather`;
  await seed(url, {
    files: Array.from({ length: files }, (_, index) => ({ path: `f${index}`, text: 'x' })),
  });
  return url;
}

describe('the datamon process', function () {
  this.timeout(30_000);

  it('ends with the statuses that are documented', async () => {
    const url = await fileRepo();
    const status = async (...argv: string[]) => (await spawnDatamon(argv)).status;
    expect(await status('version')).to.equal(EXIT.ok);
    expect(await status('nope')).to.equal(EXIT.usage);
    expect(await status('log', '--nope')).to.equal(EXIT.usage);
    expect(await status('show', 'nope', '-R', url)).to.equal(EXIT.notFound);
    expect(await status('log', '-R', 'http://127.0.0.1:9/a/b')).to.equal(EXIT.unavailable);
    expect(await status('diff', 'latest', 'latest', '-R', url, '--exit-code')).to.equal(EXIT.ok);
  });

  it('damaged bytes end with 13, and nothing wrong is written', async () => {
    const url = await fileRepo();
    const store = url.slice('file://'.length).split('//')[0] ?? '';
    const { readdir, readFile } = await import('node:fs/promises');
    for (const name of await readdir(store, { recursive: true })) {
      const file = join(store, name);
      if (!name.includes('/segments/')) continue;
      const bytes = await readFile(file).catch(() => null);
      if (bytes === null) continue;
      // The end of the first frames: payload, behind header and frame header.
      for (let at = 128; at < Math.min(bytes.length, 132); at += 1)
        bytes[at] = (bytes[at] ?? 0) ^ 0xff;
      const { chmod } = await import('node:fs/promises');
      await chmod(file, 0o644);
      await writeFile(file, bytes);
    }
    const { status, bytes, stderr } = await spawnDatamon(['cat', 'main:f0', '-R', url]);
    expect(bytes.toString()).to.equal('');
    expect(status, stderr).to.equal(EXIT.corrupt);
  });

  it('a reader that closes the pipe ends it quietly', async () => {
    const url = await fileRepo(3000);
    const child = spawn(process.execPath, [MAIN, 'ls', '-r', '-R', url], {
      env: { PATH: process.env['PATH'] },
    });
    let stderr = '';
    child.stderr.on('data', (part: Buffer) => {
      stderr += part.toString();
    });
    await once(child.stdout, 'data');
    child.stdout.destroy();
    const [status] = (await once(child, 'close')) as [number];
    expect([status, stderr.replace(/\(node:.*\n.*\n/g, '')]).to.deep.equal([EXIT.ok, '']);
  });

  it('Ctrl-C ends with 130 and a word, not with a trace', async () => {
    const url = 'http://127.0.0.1:';
    const { createServer } = await import('node:net');
    // A server that takes the connection and never answers.
    const silent = createServer(() => {});
    await new Promise<void>((done) => silent.listen(0, '127.0.0.1', done));
    const { port } = silent.address() as { port: number };
    const ran = await spawnDatamon(['log', '-R', `${url}${port}/a/b`], {
      onStart: (child) => silent.once('connection', () => child.kill('SIGINT')),
    });
    silent.close();
    expect([ran.status, ran.stderr.includes('stopped')]).to.deep.equal([EXIT.interrupted, true]);
    expect(ran.stderr).to.not.match(/\n\s+at /);
  });

  it('bytes go through stdout as they are', async () => {
    const url = `file://${await makeTempDir()}/store//a`;
    const text = 'é\u0000\r\n'.repeat(5000);
    await seed(url, { files: [{ path: 'f', text }] });
    const { bytes } = await spawnDatamon(['cat', 'main:f', '-R', url]);
    expect(bytes.equals(Buffer.from(text))).to.equal(true);
  });
});
