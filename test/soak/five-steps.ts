/**
 * A process to trip up: waits for a line on stdin, makes a store, then takes one step of each sort, one after the other, then collects
 * it all; what failed is done once more. Arguments: folder of the store, seed. Lines: those of `lines.ts`; `ready <thread>` names the one thread that makes
 * its calls to the disk.
 */
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { splitmix64 } from '../support/splitmix64.ts';
import { collectOnce } from './collect-once.ts';
import { say, tell } from './lines.ts';
import { openSoakStore } from './sight-of-store.ts';
import { createSteps, type StepKind } from './steps.ts';

const SORTS: readonly StepKind[] = ['object', 'blob', 'entry', 'push'];
const [root = '', seedText = '1'] = process.argv.slice(2);
const seed = Number(seedText);

// The thread is started by the first call to the disk.
await readFile('/proc/self/stat');
const diskThread = readdirSync('/proc/self/task').find((thread) =>
  readFileSync(`/proc/self/task/${thread}/comm`, 'utf8').startsWith('libuv-worker'),
);
say(`ready ${diskThread}`);
await once(process.stdin, 'data');
const open = (): ReturnType<typeof openSoakStore> => openSoakStore(root);
const { backend, repository } = await open().catch(open);
const random = splitmix64(seed);
const steps = createSteps({ backend, repository, seed, random, listsAbsent: false });
for (const [index, sort] of SORTS.entries()) {
  const step = steps[sort](index + 1);
  if (!(await tell(`${index}`, step)) && !(await tell(`${index}-again`, step))) {
    say(`stuck ${sort}`);
  }
}
const collect = (): Promise<void> => collectOnce(backend, `${root}-spool`);
await collect().catch(() => collect().catch(() => say('stuck collection')));
await repository.close();
say('done');
process.exit(0);
