/** What each decorator adds, beyond what every backend must do. */
import { expect } from 'chai';
import { createMemoryBackend } from '../../../core/backend/memory.ts';
import { createMeteredBackend } from '../../../core/backend/metered.ts';
import { createPrefixedBackend } from '../../../core/backend/prefixed.ts';
import { createReadOnlyBackend } from '../../../core/backend/read-only.ts';
import { firstKey, listSegments } from '../../../core/backend/segments.ts';
import { asKey, listed, put, read, readText, textBody } from '../../conformance/bodies.ts';
import { codeOf } from '../../support/code-of.ts';

describe('prefixed', () => {
  it('puts below its prefix and shows nothing beside it', async () => {
    const memory = createMemoryBackend();
    await put(memory, 'team/a', 'team-b/x', 'team/z/y', 'other');
    const backend = createPrefixedBackend(memory, 'team/');
    await put(backend, 'new/key');
    expect(await readText(memory, 'team/new/key')).to.equal('new/key');
    expect(await listed(backend, '')).to.deep.equal(['a', 'new/key', 'z/y']);
    expect(await listed(backend, '', 'b')).to.deep.equal(['new/key', 'z/y']);
    expect(await backend.stat(asKey('other'))).to.equal(null);
  });

  it('keeps two prefixes of one store apart', async () => {
    const memory = createMemoryBackend();
    const [one, two] = ['one/', 'two/'].map((prefix) => createPrefixedBackend(memory, prefix));
    if (one === undefined || two === undefined) throw new Error('two prefixes');
    await one.putIfAbsent(asKey('k'), textBody('1'));
    await two.putIfAbsent(asKey('k'), textBody('2'));
    expect(await readText(one, 'k')).to.equal('1');
    await one.remove(asKey('k'));
    expect(await readText(two, 'k')).to.equal('2');
  });

  it('lets no key leave it', async () => {
    const memory = createMemoryBackend();
    await put(memory, 'secret');
    const backend = createPrefixedBackend(memory, 'team/');
    expect(await codeOf(read(backend, '../secret'))).to.equal('INVALID');
    expect(await listed(backend, '../')).to.deep.equal([]);
  });

  it('refuses a prefix that is no folder of keys (INVALID)', async () => {
    for (const prefix of ['', 'team', '/', 'a//', '../', '/a/']) {
      const code = await codeOf(() => createPrefixedBackend(createMemoryBackend(), prefix));
      expect(code, prefix).to.equal('INVALID');
    }
  });

  it('has its prefix in its URL', () => {
    const memory = createMemoryBackend({ url: 'file:///data/' });
    expect(createPrefixedBackend(memory, 'a/b/').url).to.equal('file:///data/a/b');
  });
});

describe('metered', () => {
  it('counts requests by verb, and bytes both ways', async () => {
    const { backend, counts } = createMeteredBackend(createMemoryBackend());
    await backend.putIfAbsent(asKey('a'), textBody('12345'));
    await backend.putIfAbsent(asKey('a'), textBody('12345'));
    await readText(backend, 'a');
    await readText(backend, 'a', { start: 1, end: 3 });
    await backend.stat(asKey('a'));
    await listed(backend, '');
    await backend.now();
    await backend.remove(asKey('a'));
    expect(counts()).to.include({ requestCount: 8, putCount: 2, getCount: 2, statCount: 1 });
    expect(counts()).to.include({ listCount: 1, nowCount: 1, removeCount: 1 });
    expect(counts()).to.include({ createdCount: 1, createdBytes: 5, receivedBytes: 7 });
  });

  it('counts what failed too', async () => {
    const { backend, counts } = createMeteredBackend(createMemoryBackend());
    await codeOf(read(backend, 'absent'));
    await codeOf(backend.putIfAbsent(asKey('a'), { ...textBody('123'), sizeBytes: 5 }));
    expect(counts()).to.include({ requestCount: 2, getCount: 1, putCount: 1 });
    expect(counts()).to.include({ createdCount: 0, createdBytes: 0, sentBytes: 3 });
  });

  it('gives counts that later requests do not change', async () => {
    const { backend, counts } = createMeteredBackend(createMemoryBackend());
    const before = counts();
    await backend.now();
    expect([before.requestCount, counts().requestCount]).to.deep.equal([0, 1]);
  });
});

describe('read-only', () => {
  it('refuses puts and removes (FORBIDDEN) and changes nothing', async () => {
    const memory = createMemoryBackend();
    await put(memory, 'a');
    const backend = createReadOnlyBackend(memory);
    expect(await codeOf(backend.putIfAbsent(asKey('b'), textBody('x')))).to.equal('FORBIDDEN');
    expect(await codeOf(backend.remove(asKey('a')))).to.equal('FORBIDDEN');
    expect(await listed(memory, '')).to.deep.equal(['a']);
  });
});

describe('listSegments', () => {
  const names = async (prefix: string, ...keys: readonly string[]) => {
    const metered = createMeteredBackend(createMemoryBackend());
    await put(metered.backend, ...keys);
    const found: string[] = [];
    for await (const segment of listSegments(metered.backend, prefix)) found.push(segment);
    return { found, listCount: metered.counts().listCount };
  };

  it('finds each name once, with one list each, however many keys stand below', async () => {
    const keys = Array.from({ length: 100 }, (_, n) => `b/main/${n + 100}`);
    const { found, listCount } = await names(
      'b/',
      ...keys,
      'b/main-2/1',
      'b/a%2F1/1',
      'b/zz/1',
      'c/x',
    );
    expect(found).to.deep.equal(['a%2F1', 'main-2', 'main', 'zz']);
    expect(listCount).to.equal(5);
  });

  it('finds objects beside folders', async () => {
    const { found } = await names('b/', 'b/a', 'b/a0', 'b/b/1', 'b/b/2');
    expect(found).to.deep.equal(['a', 'a0', 'b']);
  });

  it('finds nothing below an empty prefix, and no first key', async () => {
    expect((await names('b/', 'a/1', 'c/1')).found).to.deep.equal([]);
    expect(await firstKey(createMemoryBackend(), '')).to.equal(null);
  });
});
