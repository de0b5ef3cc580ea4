/** Promises of get, stat and now. */
import { expect } from 'chai';
import type { Backend, ByteRange } from '../../core/backend/backend.ts';
import { bytesBody } from '../../core/backend/backend.ts';
import { codeOf } from '../support/code-of.ts';
import { seededBytes } from '../support/splitmix64.ts';
import type { Check } from './backend.ts';
import { asKey, put, read, readText, textBody } from './bodies.ts';

const MIB = 1024 * 1024;
/** Backends may keep time to the second only, and round it. */
const CLOCK_STEP_MS = 2000;

/** A check that ranges of the ten digits read as given. */
const rangeCheck = (name: string, ranges: readonly (readonly [ByteRange, string])[]): Check => ({
  name,
  run: async (backend, writer) => {
    await writer.putIfAbsent(asKey('digits'), textBody('0123456789'));
    for (const [range, expected] of ranges) {
      const text = await readText(backend, 'digits', range);
      expect(text, JSON.stringify(range)).to.equal(expected);
    }
  },
});

const codeOfRange = (backend: Backend, start: number, end?: number): Promise<string> =>
  codeOf(read(backend, 'digits', end === undefined ? { start } : { start, end }));

export const READING_CHECKS: readonly Check[] = [
  {
    name: 'reads what is absent as NOT_FOUND',
    run: async (backend, writer) => {
      await put(writer, 'a/b');
      expect(await codeOf(read(backend, 'a/c'))).to.equal('NOT_FOUND');
      expect(await codeOf(read(backend, 'x/y/z'))).to.equal('NOT_FOUND');
      expect(await codeOf(read(backend, 'a/c', { start: 2, end: 4 }))).to.equal('NOT_FOUND');
    },
  },
  {
    name: 'has nothing at the keys above and below an object',
    run: async (backend, writer) => {
      await put(writer, 'a/b/c');
      for (const key of ['a', 'a/b', 'a/b/c/d']) {
        expect(await codeOf(read(backend, key)), key).to.equal('NOT_FOUND');
        expect(await backend.stat(asKey(key)), key).to.equal(null);
      }
    },
  },
  {
    name: 'tells key and size of an object, and null for what is absent',
    run: async (backend, writer) => {
      await writer.putIfAbsent(asKey('a/b'), textBody('12345'));
      expect(await backend.stat(asKey('a/b'))).to.include({ key: 'a/b', sizeBytes: 5 });
      expect(await backend.stat(asKey('a/c'))).to.equal(null);
    },
  },
  {
    name: 'refuses to read what is no key (INVALID)',
    run: async (backend) => {
      for (const text of ['', '../a', 'a/../b', '/etc/passwd', 'a\0']) {
        expect(await codeOf(read(backend, text)), JSON.stringify(text)).to.equal('INVALID');
        expect(await codeOf(backend.stat(asKey(text))), JSON.stringify(text)).to.equal('INVALID');
      }
    },
  },
  rangeCheck('reads a range from start to before end', [
    [{ start: 0, end: 4 }, '0123'],
    [{ start: 3, end: 7 }, '3456'],
    [{ start: 9, end: 10 }, '9'],
  ]),
  rangeCheck('reads to the end where a range has none', [
    [{ start: 0 }, '0123456789'],
    [{ start: 7 }, '789'],
  ]),
  rangeCheck('reads what there is of a range that ends past the end', [
    [{ start: 8, end: 400 }, '89'],
    [{ start: 0, end: Number.MAX_SAFE_INTEGER }, '0123456789'],
  ]),
  rangeCheck('reads nothing of an empty range, also at the very end', [
    [{ start: 4, end: 4 }, ''],
    [{ start: 10 }, ''],
    [{ start: 10, end: 12 }, ''],
  ]),
  {
    name: 'refuses a range that starts past the end (INVALID)',
    run: async (backend, writer) => {
      await writer.putIfAbsent(asKey('digits'), textBody('0123456789'));
      expect(await codeOfRange(backend, 11)).to.equal('INVALID');
      expect(await codeOfRange(backend, 11, 20)).to.equal('INVALID');
    },
  },
  {
    name: 'refuses what is no range (INVALID)',
    run: async (backend, writer) => {
      await writer.putIfAbsent(asKey('digits'), textBody('0123456789'));
      expect(await codeOfRange(backend, -1)).to.equal('INVALID');
      expect(await codeOfRange(backend, 5, 4)).to.equal('INVALID');
      expect(await codeOfRange(backend, 0.5)).to.equal('INVALID');
      expect(await codeOfRange(backend, Number.NaN)).to.equal('INVALID');
      expect(await codeOfRange(backend, 0, Number.POSITIVE_INFINITY)).to.equal('INVALID');
    },
  },
  {
    name: 'reads ranges across the pieces of a large object exactly',
    run: async (backend, writer) => {
      const bytes = seededBytes(11, 2 * MIB + 3);
      await writer.putIfAbsent(asKey('large'), bytesBody(bytes));
      const edges = [0, 1, 65_535, 65_536, 262_143, 262_144, 262_145, MIB, 2 * MIB, bytes.length];
      for (const start of edges) {
        for (const end of edges.filter((edge) => edge >= start)) {
          const part = await read(backend, 'large', { start, end });
          expect(part.equals(bytes.subarray(start, end)), `${start} to ${end}`).to.equal(true);
        }
      }
    },
  },
  {
    name: 'lets a reader stop early, again and again',
    run: async (backend, writer) => {
      const bytes = seededBytes(12, MIB);
      await writer.putIfAbsent(asKey('large'), bytesBody(bytes));
      for (let round = 0; round < 50; round += 1) {
        for await (const part of backend.get(asKey('large'))) {
          expect(part.length).to.be.greaterThan(0);
          break;
        }
      }
      expect((await read(backend, 'large')).equals(bytes)).to.equal(true);
    },
  },
  {
    name: 'serves many readers of one object at once',
    run: async (backend, writer) => {
      const bytes = seededBytes(13, 600_000);
      await writer.putIfAbsent(asKey('shared'), bytesBody(bytes));
      const readings = await Promise.all(
        Array.from({ length: 16 }, (_, n) => read(backend, 'shared', { start: n * 1000 })),
      );
      for (const [n, reading] of readings.entries()) {
        expect(reading.equals(bytes.subarray(n * 1000)), `reader ${n}`).to.equal(true);
      }
    },
  },
  {
    name: 'gives bytes that a reader may overwrite without changing the object',
    run: async (backend, writer) => {
      await writer.putIfAbsent(asKey('k'), textBody('original'));
      for await (const part of backend.get(asKey('k'))) part.fill(0);
      expect(await readText(backend, 'k')).to.equal('original');
    },
  },
  {
    name: 'tells the time, and never an earlier one than before',
    run: async (backend) => {
      const first = await backend.now();
      const second = await backend.now();
      expect(first).to.be.instanceOf(Date);
      expect(Number.isNaN(first.getTime())).to.equal(false);
      expect(second.getTime()).to.be.at.least(first.getTime() - CLOCK_STEP_MS);
    },
  },
  {
    name: 'shows nothing of having told the time',
    run: async (backend) => {
      await backend.now();
      for await (const { key } of backend.list('')) throw new Error(`${key} is listed`);
    },
  },
  {
    name: 'has a URL for messages',
    run: async (backend) => {
      expect(backend.url).to.match(/^[a-z0-9]+:/);
    },
  },
];
