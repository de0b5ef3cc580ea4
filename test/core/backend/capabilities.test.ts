/** A store that breaks a promise is refused by the promise's name; one that keeps them is left as it was. */
import { expect } from 'chai';
import type { Backend, ObjectInfo } from '../../../core/backend/backend.ts';
import { createProvenBackend, proveCapabilities } from '../../../core/backend/capabilities.ts';
import { createMemoryBackend } from '../../../core/backend/memory.ts';
import { createMeteredBackend } from '../../../core/backend/metered.ts';
import { DatamonError } from '../../../core/errors.ts';
import { secureRandom } from '../../../core/random.ts';
import { openStore } from '../../../core/store.ts';
import { asKey, listed, put, readText } from '../../conformance/bodies.ts';
import { codeOf, errorOf } from '../../support/code-of.ts';

async function all(backend: Backend, prefix: string, after?: string): Promise<ObjectInfo[]> {
  const found: ObjectInfo[] = [];
  for await (const object of backend.list(prefix, after)) found.push(object);
  return found;
}

/** A memory backend whose list is changed on its way out. */
function listing(
  change: (memory: Backend, prefix: string, after?: string) => Promise<readonly ObjectInfo[]>,
): Backend {
  const memory = createMemoryBackend();
  return {
    ...memory,
    async *list(prefix, after) {
      yield* await change(memory, prefix, after);
    },
  };
}

const overwriting = (): Backend => {
  const memory = createMemoryBackend();
  return {
    ...memory,
    async putIfAbsent(key, body) {
      await memory.remove(key);
      return memory.putIfAbsent(key, body);
    },
  };
};

describe('proveCapabilities', () => {
  it('finds nothing wrong with a store that keeps its promises, and leaves nothing in it', async () => {
    const memory = createMemoryBackend();
    await put(memory, 'a', 'z');
    await proveCapabilities(memory, secureRandom);
    expect(await listed(memory, '')).to.deep.equal(['a', 'z']);
  });

  const broken: readonly (readonly [string, Backend])[] = [
    ['exclusive creation', overwriting()],
    [
      'exclusive creation',
      // Says that it kept the first, and did not.
      (({ backend }) => ({
        ...backend,
        putIfAbsent: async (...args: Parameters<Backend['putIfAbsent']>) => {
          await backend.putIfAbsent(...args);
          return { created: false };
        },
      }))({ backend: overwriting() }),
    ],
    ['consistent lists', listing(async () => [])],
    ['ordered lists', listing(async (memory, ...asked) => (await all(memory, ...asked)).reverse())],
    ['lists that go on', listing(async (memory, prefix) => all(memory, prefix))],
  ];
  for (const [capability, backend] of broken) {
    it(`refuses one that lacks ${capability}, and leaves nothing in it`, async () => {
      const error = await errorOf(proveCapabilities(backend, secureRandom));
      expect(error.code).to.equal('UNSUPPORTED');
      expect(error.message).to.contain(`lacks ${capability}`);
      expect(await listed(backend, '')).to.deep.equal([]);
    });
  }

  it('asks for no right to remove', async () => {
    const memory = createMemoryBackend();
    const keeping: Backend = {
      ...memory,
      remove: async (key) => {
        throw new DatamonError('FORBIDDEN', `cannot remove ${key}`);
      },
    };
    await proveCapabilities(keeping, secureRandom);
  });
});

describe('a proven backend', () => {
  it('is proven once, before a store is made in it', async () => {
    const metered = createMeteredBackend(createMemoryBackend());
    const backend = createProvenBackend(metered.backend, secureRandom);
    await put(backend, 'a');
    expect(metered.counts().putCount).to.equal(1);
    await backend.remove(asKey('a'));
    await openStore(backend, { create: 'if-absent' });
    const { requestCount } = metered.counts();
    await openStore(backend, { create: 'if-absent' });
    expect(metered.counts().requestCount - requestCount).to.equal(2);
  });

  it('makes no store where a promise is broken', async () => {
    const place = overwriting();
    const backend = createProvenBackend(place, secureRandom);
    expect(await codeOf(openStore(backend, { create: 'if-absent' }))).to.equal('UNSUPPORTED');
    expect(await listed(place, '')).to.deep.equal([]);
  });

  it('does not take for a foreign object what an earlier proof left', async () => {
    const memory = createMemoryBackend();
    await put(memory, `probe/${'0'.repeat(32)}/a`);
    await openStore(createProvenBackend(memory, secureRandom), { create: 'if-absent' });
    expect(await readText(memory, `probe/${'0'.repeat(32)}/a`)).to.contain('probe/');
    const other = createMemoryBackend();
    await put(other, `probe/${'0'.repeat(32)}/a`, 'thesis/final');
    const error = await errorOf(openStore(other, { create: 'if-absent' }));
    expect(error.message).to.contain('thesis/final');
  });
});
