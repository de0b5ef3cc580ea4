/** The log primitive: one chain, whatever races, fails or is repeated. */
import { expect } from 'chai';
import { createMemoryBackend } from '../../core/backend/memory.ts';
import type { LogPrefix } from '../../core/keys.ts';
import { openLog } from '../../core/log.ts';
import { secureRandom } from '../../core/random.ts';

describe('log (smoke)', () => {
  it('appends and reads back', async () => {
    const backend = createMemoryBackend();
    const log = openLog({
      backend,
      prefix: 'x/' as LogPrefix,
      random: secureRandom,
      parse: (e) => e as string,
    });
    expect(await log.head()).to.equal(null);
    await Promise.all(Array.from({ length: 20 }, (_, i) => log.update(() => `e${i}`)));
    const all = [];
    for await (const e of log.entries()) all.push(e.n);
    expect(all).to.deep.equal(Array.from({ length: 20 }, (_, i) => 20 - i));
  });
});
