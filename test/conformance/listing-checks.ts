/** Promises of list. */
import { expect } from 'chai';
import type { Check } from './backend.ts';
import { asKey, listed, put, textBody } from './bodies.ts';

/** Neighbours that a walk over folders gets wrong: `-`, `.` and `%` sort before the slash, digits and letters after it. */
const NEIGHBOURS = ['a%2F/x', 'a-/x', 'a-b', 'a.b/c', 'a/%2Fz', 'a/b', 'a/b-c', 'a/b0', 'a0', 'aa'];

/** A check on a store that holds `keys`. */
const listCheck = (
  name: string,
  keys: readonly string[],
  cases: readonly (readonly [string, string | undefined, readonly string[]])[],
): Check => ({
  name,
  run: async (backend, writer) => {
    await put(writer, ...keys);
    for (const [prefix, after, expected] of cases) {
      const found = await listed(backend, prefix, after);
      expect(found, `list(${JSON.stringify(prefix)}, ${after})`).to.deep.equal(expected);
    }
  },
});

export const LISTING_CHECKS: readonly Check[] = [
  listCheck(
    'lists an empty store and an empty prefix as nothing',
    [],
    [
      ['', undefined, []],
      ['a/', undefined, []],
      ['a/b', 'a/b', []],
    ],
  ),
  {
    name: 'lists keys with their sizes',
    run: async (backend, writer) => {
      await writer.putIfAbsent(asKey('a/b'), textBody('12345'));
      await writer.putIfAbsent(asKey('a/c'), textBody(''));
      const found: unknown[] = [];
      for await (const { key, sizeBytes } of backend.list('a/')) found.push({ key, sizeBytes });
      expect(found).to.deep.equal([
        { key: 'a/b', sizeBytes: 5 },
        { key: 'a/c', sizeBytes: 0 },
      ]);
    },
  },
  {
    name: 'tells when an object was created, by its own clock, whether listed or asked for',
    run: async (backend, writer) => {
      const before = await writer.now();
      await put(writer, 'a/b');
      const after = await writer.now();
      const infos = [await backend.stat(asKey('a/b'))];
      for await (const object of backend.list('a/')) infos.push(object);
      expect(infos).to.have.length(2);
      for (const info of infos) {
        const createdMs = info?.createdAt.getTime() ?? 0;
        // Some stores tell whole seconds only, of their objects, of the time, or of both.
        expect(createdMs).to.be.at.least(Math.floor(before.getTime() / 1000) * 1000);
        expect(createdMs).to.be.at.most(Math.floor(after.getTime() / 1000) * 1000 + 1000);
      }
    },
  },
  listCheck('lists everything in the order of the bytes of keys', NEIGHBOURS.toReversed(), [
    ['', undefined, NEIGHBOURS],
  ]),
  listCheck(
    'keeps that order inside folders',
    ['r/b/2', 'r/b-/1', 'r/b/1', 'r/b.x/9', 'r/b0/0', 'r/b', 'r/a/z/z', 'r/a/z-'].filter(
      (key) => key !== 'r/b',
    ),
    [['r/', undefined, ['r/a/z-', 'r/a/z/z', 'r/b-/1', 'r/b.x/9', 'r/b/1', 'r/b/2', 'r/b0/0']]],
  ),
  listCheck('takes a prefix that does not end with a slash by its characters', NEIGHBOURS, [
    ['a/b', undefined, ['a/b', 'a/b-c', 'a/b0']],
    ['a-', undefined, ['a-/x', 'a-b']],
    ['a', undefined, NEIGHBOURS],
    ['aa', undefined, ['aa']],
    ['b', undefined, []],
  ]),
  listCheck('takes a prefix that ends with a slash as a folder', NEIGHBOURS, [
    ['a/', undefined, ['a/%2Fz', 'a/b', 'a/b-c', 'a/b0']],
    ['a-/', undefined, ['a-/x']],
    ['a/b/', undefined, []],
  ]),
  {
    name: 'goes on after any key, whether or not it is there',
    run: async (backend, writer) => {
      await put(writer, ...NEIGHBOURS);
      for (const after of [...NEIGHBOURS, '', 'a', 'a/', 'a/b/', 'a/a', 'a-0', 'a0~', 'zz', '%']) {
        const expected = NEIGHBOURS.filter((key) => key > after);
        expect(await listed(backend, '', after), `after ${after}`).to.deep.equal(expected);
      }
    },
  },
  listCheck('honours prefix and after together', NEIGHBOURS, [
    ['a/', 'a', ['a/%2Fz', 'a/b', 'a/b-c', 'a/b0']],
    ['a/', 'a/b', ['a/b-c', 'a/b0']],
    ['a/', 'a/b0', []],
    ['a/', 'a0', []],
    ['a-', 'a-/x', ['a-b']],
  ]),
  listCheck(
    'skips over a folder with the string behind its keys',
    ['n/a-b/1', 'n/a/1', 'n/a/2', 'n/a/3', 'n/b/1', 'n/b/2', 'n/c%2F/1'],
    [
      ['n/', 'n/a-b0', ['n/a/1', 'n/a/2', 'n/a/3', 'n/b/1', 'n/b/2', 'n/c%2F/1']],
      ['n/', 'n/a0', ['n/b/1', 'n/b/2', 'n/c%2F/1']],
      ['n/', 'n/b0', ['n/c%2F/1']],
      ['n/', 'n/c%2F0', []],
    ],
  ),
  listCheck(
    'takes every character that a key may have',
    ['%00', '=x', '_', 'a%25%20b', 'a.b', 'a=b', 'z~', '~remote%2Fmain'],
    [['', undefined, ['%00', '=x', '_', 'a%25%20b', 'a.b', 'a=b', 'z~', '~remote%2Fmain']]],
  ),
  {
    name: 'lists long segments and deep keys',
    run: async (backend, writer) => {
      const long = `repos/${'x'.repeat(255)}/branches/${'%2F'.repeat(85)}/${'0'.repeat(12)}`;
      const deep = Array.from({ length: 60 }, (_, n) => `d${n}`).join('/');
      await put(writer, long, deep);
      expect(await listed(backend, '')).to.deep.equal([deep, long]);
      expect(await listed(backend, 'd0/d1/')).to.deep.equal([deep]);
    },
  },
  {
    name: 'lists hundreds of keys, each once and in order',
    run: async (backend, writer) => {
      const keys = Array.from(
        { length: 400 },
        (_, n) => `m/${n % 7}/${String(n).padStart(4, '0')}`,
      );
      await Promise.all(keys.map((key) => writer.putIfAbsent(asKey(key), textBody(''))));
      expect(await listed(backend, '')).to.deep.equal(keys.toSorted());
    },
  },
  {
    name: 'lists on while objects come and go, and never misses one that stays',
    run: async (backend, writer) => {
      const stay = Array.from({ length: 30 }, (_, n) => `s/${n + 10}/stay`);
      await put(writer, ...stay, 's/25/goes');
      const found: string[] = [];
      for await (const { key } of backend.list('s/')) {
        found.push(key);
        if (found.length !== 5) continue;
        await writer.remove(asKey('s/25/goes'));
        await put(writer, 's/30/comes', 's/09/too-late', 's/99/comes');
      }
      expect(found.filter((key) => stay.includes(key))).to.deep.equal(stay);
      expect(found).to.deep.equal(found.toSorted());
      expect(found).not.to.include('s/09/too-late');
    },
  },
  {
    name: 'lets a reader of a list stop early',
    run: async (backend, writer) => {
      await put(writer, 'a/1', 'a/2', 'b/1');
      for (let round = 0; round < 20; round += 1) {
        for await (const { key } of backend.list('')) {
          expect(key).to.equal('a/1');
          break;
        }
      }
    },
  },
  {
    name: 'shows an object in the list that follows its put',
    run: async (backend, writer) => {
      for (const key of ['a/1', 'a/0', 'a/2']) {
        await put(writer, key);
        expect(await listed(backend, 'a/')).to.include(key);
      }
    },
  },
  listCheck(
    'finds nothing below a prefix that no key can have',
    ['a/b'],
    [
      ['../', undefined, []],
      ['a/../', undefined, []],
      ['/', undefined, []],
      ['A', undefined, []],
    ],
  ),
];
