/** The model on the wire: what is written is read back the same, and what is wrong is refused by field. */
import { expect } from 'chai';
import fc from 'fast-check';
import { digestOf } from '../../../core/digest.ts';
import { DatamonError } from '../../../core/errors.ts';
import {
  parseErrorBody,
  parseHasRequest,
  parsePoolParameters,
  parseRepoAnswer,
} from '../../../core/meta/api-wire.ts';
import type { Entry, RawPath } from '../../../core/meta/model.ts';
import {
  formatEntry,
  formatPath,
  parseEntry,
  parseLabelEvent,
  parsePath,
  parseTotals,
} from '../../../core/meta/wire.ts';

const roundTrip = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
const rawPath = (bytes: Uint8Array): RawPath => Buffer.from(bytes).toString('latin1') as RawPath;

function refusal(work: () => unknown): DatamonError {
  try {
    work();
  } catch (error) {
    if (error instanceof DatamonError) return error;
  }
  throw new Error('it was not refused');
}

describe('paths on the wire', () => {
  it('are the same bytes again, whatever they are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 60 }), (bytes) => {
        const path = rawPath(bytes);
        expect(parsePath(roundTrip(formatPath(path)), 'path')).to.equal(path);
      }),
    );
  });

  it('are plain text where they are UTF-8, and base64 only where not', () => {
    expect(formatPath(rawPath(Buffer.from('dätä/é.csv')))).to.equal('dätä/é.csv');
    expect(formatPath(rawPath(Buffer.from('\ufeffbom')))).to.equal('\ufeffbom');
    expect(formatPath(rawPath(Buffer.from([0x61, 0xff])))).to.deep.equal({ base64: 'Yf8=' });
  });

  for (const value of ['\ud800', { base64: '***' }, { base64: 'Yf8' }, {}, null, 7]) {
    it(`refuse ${JSON.stringify(value)}`, () => {
      expect(refusal(() => parsePath(value, 'path')).code).to.equal('INVALID');
    });
  }
});

describe('entries on the wire', () => {
  const entry: Entry = {
    path: rawPath(Buffer.from('a/b')),
    kind: 'symlink',
    executable: false,
    oid: digestOf('x'),
    sizeBytes: 1,
    reference: '../c',
  };

  it('come back as they were, with and without a reference', () => {
    const { reference: _reference, ...plain } = entry;
    expect(parseEntry(roundTrip(formatEntry(entry)), 'entry')).to.deep.equal(entry);
    expect(parseEntry(roundTrip(formatEntry(plain)), 'entry')).to.deep.equal(plain);
  });

  for (const [field, value] of [
    ['kind', 'door'],
    ['oid', 'ABC'],
    ['oid', 'a'.repeat(63)],
    ['oid', `${'a'.repeat(64)}\n`],
    ['oid', ['a'.repeat(64)]],
    ['sizeBytes', -1],
    ['sizeBytes', 2 ** 53],
    ['sizeBytes', 1.5],
    ['sizeBytes', '1'],
    ['executable', 'yes'],
    ['executable', undefined],
    ['reference', 7],
  ] as const) {
    it(`refuse ${field} ${JSON.stringify(value)}, by its name`, () => {
      const wrong = { ...formatEntry(entry), [field]: value };
      const error = refusal(() => parseEntry(wrong, 'entries[3]'));
      expect(error.code).to.equal('INVALID');
      expect(error.message).to.include(`entries[3].${field}`);
    });
  }
});

describe('shapes', () => {
  it('ignore fields they do not know', () => {
    const totals = { fileCount: 1, sizeBytes: 2, later: true };
    expect(parseTotals(totals, 'totals')).to.deep.equal({ fileCount: 1, sizeBytes: 2 });
  });

  it('take no inherited field for a given one', () => {
    const event = JSON.parse(
      '{"__proto__":{"label":"v1"},"bundle":null,"by":"a","at":"2026-01-01"}',
    );
    expect(refusal(() => parseLabelEvent(event, 'label')).message).to.include(
      'label.label is absent',
    );
  });

  it('bound how many are asked about at once', () => {
    const oids = Array.from({ length: 10_001 }, () => digestOf('x'));
    expect(refusal(() => parseHasRequest({ oids }, 'body')).code).to.equal('TOO_LARGE');
  });

  it('refuse times that are none', () => {
    const event = { label: 'v1', bundle: null, by: 'ada', at: 'yesterday' };
    expect(refusal(() => parseLabelEvent(event, 'label')).message).to.include('label.at');
  });

  it('refuse pools that would cut nothing or everything', () => {
    const pool = { pool: 'a', seed: 'ab'.repeat(32), minBytes: 1, averageBytes: 2, maxBytes: 3 };
    expect(refusal(() => parsePoolParameters(pool, 'pool')).code).to.equal('INVALID');
  });

  it('take an absent pool for none', () => {
    const answer = { repo: 'a/b', info: null, webUrl: null, verbs: ['read'] };
    expect(parseRepoAnswer(answer, 'answer').pool).to.equal(null);
  });

  it('know our error codes only', () => {
    const error = { code: 'NOT_FOUND', message: 'x' };
    expect(parseErrorBody(error, 'error')).to.include(error);
    expect(refusal(() => parseErrorBody({ ...error, code: 'ENOENT' }, 'error')).code).to.equal(
      'INVALID',
    );
  });
});
