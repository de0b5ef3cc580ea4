/**
 * One of several processes that push to one branch at once, each as several writers. Arguments: folder of the store, name, number of
 * writers, pushes of each. Lines: those of `lines.ts`. A push that lost its patience is made again: it must not be there twice.
 */
import { digestOf } from '../../core/digest.ts';
import { fileEntry, pushIdOf, recordSimplePush } from '../support/simple-push.ts';
import { say, tell } from './lines.ts';
import { openSoakStore } from './sight-of-store.ts';

const TRIES = 5;
const [root = '', name = '', writerCount = '1', pushCount = '1', planted = ''] =
  process.argv.slice(2);

const { repository } = await openSoakStore(root);

async function write(writer: number): Promise<void> {
  for (let n = 0; n < Number(pushCount); n += 1) {
    const push = `${name}.${writer}.${n}`;
    const entries = [fileEntry(`data/${push}`, digestOf(push), 1)];
    const run = (): Promise<unknown> => recordSimplePush(repository, { name: push, entries });
    const step = { kind: 'entry' as const, name: 'main', content: pushIdOf(push) };
    const lies = planted === 'only says that it pushed' && n === 0;
    let tries = 0;
    do tries += 1;
    while (
      !(await tell(`${push}.${tries}`, { ...step, run: lies ? async () => {} : run })) &&
      tries < TRIES
    );
  }
}

await Promise.all(Array.from({ length: Number(writerCount) }, (_, writer) => write(writer)));
await repository.close();
say('done');
