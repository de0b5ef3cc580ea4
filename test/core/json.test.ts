/** Canonical JSON: one value, one text; and parsing that names what it could not read. */
import { expect } from 'chai';
import fc from 'fast-check';
import {
  canonicalJson,
  type Json,
  openSealedJson,
  parseJsonObject,
  sealJson,
} from '../../core/json.ts';
import { codeOf, errorOf } from '../support/code-of.ts';

const jsonArbitrary = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger().map((n) => (Object.is(n, -0) ? 0 : n)),
    fc.string({ unit: 'binary' }),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fc.string({ maxLength: 5 }), tie('value'), { maxKeys: 4 }),
  ),
})).value;

/** The same value with the fields of every object in another order. */
function shuffled(value: Json): Json {
  if (Array.isArray(value)) return value.map(shuffled);
  if (value === null || typeof value !== 'object') return value;
  const fields = Object.entries(value).map(([key, field]) => [key, shuffled(field)] as const);
  return Object.fromEntries(fields.reverse());
}

describe('canonicalJson', () => {
  const cases: readonly (readonly [Json, string])[] = [
    [null, 'null'],
    [{}, '{}'],
    [[], '[]'],
    [{ b: 1, a: [true, null, 'x'] }, '{"a":[true,null,"x"],"b":1}'],
    [
      { a: 1, B: 2, '': 3, aa: 4, é: 5, '10': 6, '9': 7 },
      '{"":3,"10":6,"9":7,"B":2,"a":1,"aa":4,"é":5}',
    ],
    ['"\\\n\u0001é/', '"\\"\\\\\\n\\u0001é/"'],
    [Number.MAX_SAFE_INTEGER, '9007199254740991'],
  ];
  for (const [value, text] of cases) {
    it(`writes ${text.slice(0, 40)}`, () => {
      expect(canonicalJson(value)).to.equal(text);
    });
  }

  it('is the same text for the same value, whatever the order of fields', () => {
    fc.assert(
      fc.property(
        jsonArbitrary,
        (value) => canonicalJson(shuffled(value)) === canonicalJson(value),
      ),
    );
  });

  it('reads back as the value it was written from', () => {
    fc.assert(
      fc.property(jsonArbitrary, (value) => {
        expect(canonicalJson(JSON.parse(canonicalJson(value)))).to.equal(canonicalJson(value));
        expect(JSON.parse(canonicalJson(value))).to.deep.equal(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it('refuses numbers that not every reader reads alike, and undefined (INVALID)', async () => {
    for (const value of [0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, -(2 ** 53)]) {
      expect(await codeOf(() => canonicalJson({ a: [value] })), String(value)).to.equal('INVALID');
    }
    expect(await codeOf(() => canonicalJson({ a: undefined } as never))).to.equal('INVALID');
  });
});

describe('parseJsonObject', () => {
  const parse = (bytes: Uint8Array | string) =>
    parseJsonObject(Buffer.from(bytes as string), 'the thing');

  it('reads an object', () => {
    expect(parse('{"a":[1]}')).to.deep.equal({ a: [1] });
  });

  for (const text of ['', '[]', 'null', '7', '"x"', '{', '{"a":1}x', "{'a':1}", '{"a":1,}']) {
    it(`refuses ${JSON.stringify(text)} (CORRUPT), naming what it is`, async () => {
      const error = await errorOf(() => parse(text));
      expect(error.code).to.equal('CORRUPT');
      expect(error.message).to.contain('the thing');
    });
  }

  it('refuses bytes that are no UTF-8 (CORRUPT)', async () => {
    const bytes = Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]);
    expect(await codeOf(() => parse(bytes))).to.equal('CORRUPT');
  });
});

describe('sealed JSON', () => {
  it('reads back what was sealed', () => {
    expect(openSealedJson(sealJson({ b: [1, 'ü\n'], a: null }), 'it')).to.deep.equal({
      a: null,
      b: [1, 'ü\n'],
    });
  });

  it('every flipped bit and every cut is CORRUPT', () => {
    const bytes = sealJson({ event: { path: 'a.csv' }, n: 1 });
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const flipped = Buffer.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(() => openSealedJson(flipped, 'it'), `bit ${bit}`).to.throw(/it is damaged/);
    }
    for (let length = 0; length < bytes.length; length += 1) {
      expect(() => openSealedJson(bytes.subarray(0, length), 'it')).to.throw(/it is damaged/);
    }
  });
});
