/** Several processes on one local store at once: each key is created by one of them, and a log is one chain. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { openLocalBackend } from '../../backends/local.ts';
import type { LogPrefix } from '../../core/keys.ts';
import { openLog } from '../../core/log.ts';
import { secureRandom } from '../../core/random.ts';
import { text } from '../../core/shape.ts';
import { listed, readText } from '../conformance/bodies.ts';
import { makeTempDir } from '../support/temp-dir.ts';

const run = promisify(execFile);
const SCRIPT = join(import.meta.dirname, '../support/append-and-put.ts');
const NAMES = ['a', 'b', 'c', 'd'];
const COUNT = 6;

describe('local backend, several processes', () => {
  it('create each key once and append to one chain, losing nothing', async () => {
    const root = join(await makeTempDir(), 'store');
    const outputs = await Promise.all(
      NAMES.map((name) => run(process.execPath, [SCRIPT, root, name, String(COUNT)])),
    );
    const backend = await openLocalBackend(root);
    const created = outputs.flatMap(({ stdout }) => stdout.split('\n').filter(Boolean));
    expect(created.toSorted()).to.deep.equal((await listed(backend, 'race/')).toSorted());
    expect(created).to.have.length(COUNT);
    for (const key of created) {
      const body = await readText(backend, key);
      expect(body, `${key} is one process’s alone`).to.equal((body[0] ?? '').repeat(50_000));
    }
    const log = openLog({
      backend,
      prefix: 'log/' as LogPrefix,
      random: secureRandom,
      parse: (event) => text(event, 'event'),
    });
    const events: string[] = [];
    for await (const { event } of log.entries()) events.push(event);
    const appended = NAMES.flatMap((name) =>
      Array.from({ length: COUNT }, (_, n) => `${name} ${n}`),
    );
    expect(events.toSorted()).to.deep.equal(appended.toSorted());
  }).timeout(20_000);
});
