/** The room of the benchmark: runs programs, sees their memory, and leaves nothing behind. */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { bigFile, bigFileWithInsertion } from '../../bench/data.ts';
import { storedBytes } from '../../bench/files-size.ts';
import { watchMemory } from '../../bench/memory-watch.ts';
import { Rig } from '../../bench/rig.ts';
import { checkFiles, copyTemplate, linkFiles, makeTemplate } from '../../bench/template.ts';
import { codeOf, errorOf } from '../support/code-of.ts';

describe('bench: rig', function () {
  this.timeout(60_000);
  let parent: string;
  let rig: Rig;
  let stop: AbortController;

  before(async () => {
    parent = await mkdtemp(join(tmpdir(), 'datamon-bench-test-'));
    stop = new AbortController();
    rig = await Rig.open({
      parent,
      nodePath: process.execPath,
      path: process.env['PATH'] ?? '',
      programs: 'sources',
      toolsDir: join(parent, 'tools'),
      signal: stop.signal,
    });
  });
  after(() => rm(parent, { recursive: true, force: true }));

  const node = (script: string, ...args: string[]) => ({
    program: process.execPath,
    args: ['-e', script, ...args],
    cwd: parent,
    env: rig.env('plain'),
  });

  it('has datamon installed in one home and git-lfs alone in the other', async () => {
    const agent = (home: 'datamon' | 'plain') =>
      rig.run({
        ...rig.git(home, rig.root, 'config', '--global', 'lfs.customtransfer.datamon.path'),
        alsoFine: [1],
      });
    expect((await agent('datamon')).stdout.trim()).to.equal(join(rig.bin, 'git-lfs-datamon'));
    expect((await agent('plain')).stdout).to.equal('');
    expect(Object.keys(rig.env('plain'))).to.not.include('DATAMON_URL');
  });

  it('tells how long a program took and what it said; a bad end is an error that says it too', async () => {
    const ran = await rig.run(node('setTimeout(() => console.log("done"), 200)'));
    expect(ran.stdout).to.equal('done\n');
    expect(ran.seconds).to.be.within(0.2, 30);
    const error = await errorOf(rig.run(node('console.error("why"); process.exit(7)')));
    expect(error.message).to.include('ended with 7: why');
    expect(await codeOf(rig.run({ ...node(''), program: '/no/such/program' }))).to.equal(
      'UNAVAILABLE',
    );
    await rig.run({ ...node('process.exit(7)'), alsoFine: [7] });
  });

  it('waits for a server, and says why one did not come', async () => {
    const lasting = 'console.log("http://127.0.0.1:1"); setInterval(() => {}, 1000)';
    const server = await rig.startServer(node(lasting), 'first line');
    expect(server.firstLine).to.equal('http://127.0.0.1:1');
    await server.stop();
    expect(() => process.kill(server.pid, 0)).to.throw('ESRCH');
    const error = await errorOf(
      rig.startServer(node('console.error("port taken"); process.exit(1)'), {
        isUp: () => Promise.resolve(false),
      }),
    );
    expect(error.message).to.match(/ended with 1: port taken/);
  });

  it('sees the memory of a program that the program starts', async () => {
    const grow = 'const b = Buffer.alloc(150 << 20, 1); setTimeout(() => b.length, 600)';
    const script =
      'require("child_process").execFileSync(process.execPath, ["-e", process.argv[1]])';
    let watch: ReturnType<typeof watchMemory> | null = null;
    await rig.run(node(script, grow), {
      onStart: (pid) => {
        watch = watchMemory(pid);
      },
    });
    const seen = await (watch as ReturnType<typeof watchMemory> | null)?.stop();
    const [parentPeak = 0, childPeak = 0] = (seen ?? []).map(({ peakMib }) => peakMib);
    expect(childPeak).to.be.within(150, 400);
    expect(parentPeak).to.be.below(childPeak);
  });

  it('measures stores by what was written', async () => {
    const { dir } = await makeTemplate(rig, 'sized', [[bigFile(100_000)]]);
    expect(await storedBytes(rig, join(dir, '.git', 'lfs', 'objects'))).to.equal(100_000);
    expect(await storedBytes(rig, join(dir, 'not there'))).to.equal(0);
  });

  it('makes repos whose pointers and bytes git-lfs takes for its own, and sees wrong bytes', async () => {
    const template = await makeTemplate(rig, 'checked', [
      [bigFile(50_000)],
      [bigFileWithInsertion(50_000, 10)],
    ]);
    expect(template.commits).to.have.length(2);
    const dir = rig.newPath('copy');
    await copyTemplate(rig, template, dir);
    await rig.run(rig.git('plain', dir, 'reset', '-q', '--hard', 'main'));
    await checkFiles(dir, template.versions[1] ?? []);
    await rig.run(rig.git('plain', dir, 'lfs', 'fsck'));
    expect(await codeOf(checkFiles(dir, template.versions[0] ?? []))).to.equal('MISMATCH');
    const folder = await rig.newFolder('linked');
    await linkFiles(template, 0, folder);
    await checkFiles(folder, template.versions[0] ?? []);
    await rm(join(folder, 'big.bin'));
    await writeFile(join(folder, 'big.bin'), Buffer.alloc(50_000));
    expect(await codeOf(checkFiles(folder, template.versions[0] ?? []))).to.equal('MISMATCH');
    await rm(join(folder, 'big.bin'));
    expect(await codeOf(checkFiles(folder, template.versions[0] ?? []))).to.equal('MISMATCH');
  });

  it('kills what runs when it is stopped, and leaves no folder', async () => {
    const running = rig.run(node('setInterval(() => {}, 1000)')).catch((error: Error) => error);
    setTimeout(() => stop.abort(new Error('stopped')), 200);
    expect(await running).to.have.property('message', 'stopped');
    await rig.close();
    expect(await readdir(parent)).to.deep.equal([]);
  });
});
