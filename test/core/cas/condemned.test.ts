/** What was condemned is known after a look, however many entries came at once and whatever failed on the way. */
import { expect } from 'chai';
import { createMemoryBackend } from '../../../core/backend/memory.ts';
import { Condemned } from '../../../core/cas/condemned.ts';
import { type ContainerId, condemnedLog, type PoolName } from '../../../core/keys.ts';
import { openLog } from '../../../core/log.ts';
import { secureRandom } from '../../../core/random.ts';
import { codeOf } from '../../support/code-of.ts';
import { createFaultyBackend, FaultPlan } from '../../support/faulty-backend.ts';

const POOL = 'acme' as PoolName;
const idOf = (digit: string): ContainerId => digit.repeat(32) as ContainerId;

describe('condemned log', () => {
  async function makeWorld(plan = new FaultPlan()) {
    const memory = createMemoryBackend();
    const parse = (event: unknown) => event as { readonly condemned: readonly ContainerId[] };
    const log = openLog({
      backend: memory,
      prefix: condemnedLog(POOL),
      random: secureRandom,
      parse,
    });
    const condemn = (digit: string) => log.update(() => ({ condemned: [idOf(digit)] }));
    const condemned = new Condemned(createFaultyBackend(memory, plan), POOL, secureRandom);
    const known = (...digits: readonly string[]) =>
      digits.filter((digit) => condemned.has(idOf(digit)));
    return { condemn, condemned, known };
  }

  it('tells all entries that came since the last look', async () => {
    const { condemn, condemned, known } = await makeWorld();
    await condemn('a');
    await condemned.look();
    expect(known('a', 'b', 'c', 'd')).to.deep.equal(['a']);
    for (const digit of ['b', 'c', 'd']) await condemn(digit);
    await condemned.look();
    expect(known('a', 'b', 'c', 'd')).to.deep.equal(['a', 'b', 'c', 'd']);
  });

  it('misses nothing after a look that failed half-way', async () => {
    // Reads: the newest entry (1), the one before it (2).
    const { condemn, condemned, known } = await makeWorld(new FaultPlan().fail('get', 2));
    for (const digit of ['a', 'b', 'c']) await condemn(digit);
    expect(await codeOf(condemned.look())).to.equal('UNAVAILABLE');
    await condemned.look();
    expect(known('a', 'b', 'c')).to.deep.equal(['a', 'b', 'c']);
  });
});
