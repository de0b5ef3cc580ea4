/** Promises of putIfAbsent and remove. */
import { expect } from 'chai';
import { bytesBody } from '../../core/backend/backend.ts';
import { codeOf } from '../support/code-of.ts';
import { seededBytes } from '../support/splitmix64.ts';
import type { Check } from './backend.ts';
import { asKey, bodyOf, listed, put, read, readText, textBody } from './bodies.ts';

const MIB = 1024 * 1024;
const WRITER_COUNT = 24;

export const WRITING_CHECKS: readonly Check[] = [
  {
    name: 'creates an object and says so',
    run: async (backend) => {
      expect(await backend.putIfAbsent(asKey('a/b'), textBody('one'))).to.deep.equal({
        created: true,
      });
      expect(await readText(backend, 'a/b')).to.equal('one');
    },
  },
  {
    name: 'leaves an existing object as it is and says so',
    run: async (backend) => {
      await backend.putIfAbsent(asKey('a/b'), textBody('one'));
      const again = await backend.putIfAbsent(asKey('a/b'), textBody('another'));
      expect(again).to.deep.equal({ created: false });
      expect(await readText(backend, 'a/b')).to.equal('one');
    },
  },
  {
    name: 'lets exactly one of many racing writers create, and keeps its bytes whole',
    run: async (backend) => {
      const bodies = Array.from({ length: WRITER_COUNT }, (_, n) => seededBytes(n, 300_000 + n));
      const outcomes = await Promise.all(
        bodies.map((bytes) => backend.putIfAbsent(asKey('race/x'), bytesBody(bytes))),
      );
      const winners = outcomes.flatMap(({ created }, n) => (created ? [n] : []));
      expect(winners).to.have.length(1);
      const winner = bodies[winners[0] ?? -1];
      expect((await read(backend, 'race/x')).equals(winner ?? Buffer.of())).to.equal(true);
    },
  },
  {
    name: 'stores racing writers of different keys in one new folder',
    run: async (backend) => {
      const keys = Array.from({ length: WRITER_COUNT }, (_, n) => `new/folder/of-${n + 10}/x`);
      await Promise.all(keys.map((key) => backend.putIfAbsent(asKey(key), textBody(key))));
      expect(await listed(backend, 'new/')).to.deep.equal(keys);
    },
  },
  {
    name: 'stores no bytes at all',
    run: async (backend) => {
      await backend.putIfAbsent(asKey('empty'), bytesBody(Buffer.of()));
      expect(await backend.stat(asKey('empty'))).to.include({ key: 'empty', sizeBytes: 0 });
      expect(await read(backend, 'empty')).to.have.length(0);
    },
  },
  {
    name: 'stores 5 MiB and one byte, given in uneven pieces',
    run: async (backend) => {
      const bytes = seededBytes(5, 5 * MIB + 1);
      const body = {
        sizeBytes: bytes.length,
        async *open() {
          for (let at = 0, step = 1; at < bytes.length; at += step, step = step * 3 + 1) {
            yield bytes.subarray(at, at + step);
          }
        },
      };
      await backend.putIfAbsent(asKey('large'), body);
      expect((await read(backend, 'large')).equals(bytes)).to.equal(true);
    },
  },
  {
    name: 'does not keep the buffers it was given',
    run: async (backend) => {
      const buffer = Buffer.from('original');
      await backend.putIfAbsent(asKey('mine'), bytesBody(buffer));
      buffer.fill('x');
      expect(await readText(backend, 'mine')).to.equal('original');
    },
  },
  {
    name: 'refuses a body shorter than it says (INVALID) and keeps nothing',
    run: async (backend) => {
      expect(await codeOf(backend.putIfAbsent(asKey('k'), bodyOf(10, 'short')))).to.equal(
        'INVALID',
      );
      expect(await backend.stat(asKey('k'))).to.equal(null);
      expect(await listed(backend, '')).to.deep.equal([]);
    },
  },
  {
    name: 'refuses a body longer than it says (INVALID) and keeps nothing',
    run: async (backend) => {
      const body = bodyOf(3, 'abc', 'd');
      expect(await codeOf(backend.putIfAbsent(asKey('k'), body))).to.equal('INVALID');
      expect(await listed(backend, '')).to.deep.equal([]);
    },
  },
  {
    name: 'does not read an endless body to its end',
    run: async (backend) => {
      const body = {
        sizeBytes: 10,
        async *open() {
          for (;;) yield Buffer.from('xxxx');
        },
      };
      expect(await codeOf(backend.putIfAbsent(asKey('k'), body))).to.equal('INVALID');
    },
  },
  {
    name: 'passes on the error of a body that fails, and keeps nothing',
    run: async (backend) => {
      const failure = new Error('the source broke');
      const body = {
        sizeBytes: 10,
        async *open() {
          yield Buffer.from('12345');
          throw failure;
        },
      };
      const error = await backend.putIfAbsent(asKey('k'), body).catch((caught) => caught);
      expect(error).to.equal(failure);
      expect(await backend.stat(asKey('k'))).to.equal(null);
      expect(await listed(backend, '')).to.deep.equal([]);
    },
  },
  {
    name: 'stores a body after another one for the same key failed',
    run: async (backend) => {
      await codeOf(backend.putIfAbsent(asKey('k'), bodyOf(10, 'short')));
      expect(await backend.putIfAbsent(asKey('k'), textBody('whole'))).to.deep.equal({
        created: true,
      });
      expect(await readText(backend, 'k')).to.equal('whole');
    },
  },
  {
    name: 'opens the body anew for each put',
    run: async (backend) => {
      let opened = 0;
      const body = {
        sizeBytes: 3,
        async *open() {
          opened += 1;
          yield Buffer.from('abc');
        },
      };
      await backend.putIfAbsent(asKey('first'), body);
      await backend.putIfAbsent(asKey('second'), body);
      expect(opened).to.equal(2);
      expect(await readText(backend, 'second')).to.equal('abc');
    },
  },
  {
    name: 'shows nothing of an object while its body is still coming',
    run: async (backend) => {
      const seen: unknown[] = [];
      const body = {
        sizeBytes: 6,
        async *open() {
          yield Buffer.from('abc');
          seen.push(await backend.stat(asKey('slow/x')), await listed(backend, ''));
          yield Buffer.from('def');
        },
      };
      await backend.putIfAbsent(asKey('slow/x'), body);
      expect(seen).to.deep.equal([null, []]);
    },
  },
  {
    name: 'lets the writer win that finishes first',
    run: async (backend) => {
      const body = {
        sizeBytes: 4,
        async *open() {
          await backend.putIfAbsent(asKey('k'), textBody('fast'));
          yield Buffer.from('slow');
        },
      };
      expect(await backend.putIfAbsent(asKey('k'), body)).to.deep.equal({ created: false });
      expect(await readText(backend, 'k')).to.equal('fast');
    },
  },
  {
    name: 'refuses what is no key (INVALID)',
    run: async (backend) => {
      const tooLong = `${'x/'.repeat(600)}x`;
      const wrong = ['', '/a', 'a/', 'a//b', '../a', 'a/../b', './a', 'a/.b', 'A', 'a b', 'a\0'];
      for (const text of [...wrong, 'é', 'a%2f', `a/${'x'.repeat(256)}`, tooLong]) {
        const code = await codeOf(backend.putIfAbsent(asKey(text), textBody('x')));
        expect(code, JSON.stringify(text)).to.equal('INVALID');
      }
      expect(await listed(backend, '')).to.deep.equal([]);
    },
  },
  {
    name: 'removes an object, and only that',
    run: async (backend) => {
      await put(backend, 'a/1', 'a/2');
      await backend.remove(asKey('a/1'));
      expect(await backend.stat(asKey('a/1'))).to.equal(null);
      expect(await codeOf(read(backend, 'a/1'))).to.equal('NOT_FOUND');
      expect(await listed(backend, '')).to.deep.equal(['a/2']);
    },
  },
  {
    name: 'takes removing the absent for success',
    run: async (backend) => {
      await put(backend, 'a/1');
      await backend.remove(asKey('b/1'));
      await backend.remove(asKey('a'));
      await backend.remove(asKey('a/1'));
      await backend.remove(asKey('a/1'));
      expect(await listed(backend, '')).to.deep.equal([]);
    },
  },
  {
    name: 'creates again what was removed',
    run: async (backend) => {
      await put(backend, 'a/1');
      await backend.remove(asKey('a/1'));
      expect((await backend.putIfAbsent(asKey('a/1'), textBody('new'))).created).to.equal(true);
      expect(await readText(backend, 'a/1')).to.equal('new');
    },
  },
];
