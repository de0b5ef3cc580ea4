/** Lines in, requests out: what git-lfs sends is understood, everything else becomes an answerable refusal. */
import { expect } from 'chai';
import fc from 'fast-check';
import {
  formatMessage,
  LINE_SIZE_MAX_BYTES,
  parseRequest,
  WIRE_CODES,
  wireError,
} from '../../agent/messages.ts';
import { DatamonError, ERROR_CODES } from '../../core/errors.ts';
import { downloadOf, INIT_UPLOAD, oidOf, uploadOf } from './support/conversation.ts';

const parse = (value: unknown) => parseRequest(JSON.stringify(value));

describe('agent/messages', () => {
  it('reads an init and keeps to version 1 whatever later versions add', () => {
    const v2 = { ...INIT_UPLOAD, protocol: 2, transferMode: 'bundles', bundleSize: 100 };
    expect(parse(v2)).to.deep.equal({
      event: 'init',
      operation: 'upload',
      remote: 'origin',
      concurrentTransfers: 8,
    });
  });

  it('bounds what concurrenttransfers may ask for', () => {
    const transfers = (value: unknown) => parse({ ...INIT_UPLOAD, concurrenttransfers: value });
    expect(transfers(1e9)).to.include({ concurrentTransfers: 64 });
    expect(transfers(-3)).to.include({ concurrentTransfers: 1 });
    expect(transfers('many')).to.include({ concurrentTransfers: 1 });
  });

  it('reads an upload with a server action, and ignores an expiry in year 1', () => {
    const action = {
      href: 'https://d.example/a/b/objects/x',
      header: { Authorization: 'Bearer t' },
      expires_at: '0001-01-01T00:00:00Z',
      expires_in: 0,
    };
    expect(parse({ ...uploadOf('a', '/x/y'), action })).to.deep.equal({
      event: 'upload',
      oid: oidOf('a'),
      sizeBytes: 1,
      path: '/x/y',
      action: { href: action.href, header: action.header },
    });
  });

  it('reads a size of 0 and of 2^53 - 1', () => {
    for (const size of [0, Number.MAX_SAFE_INTEGER]) {
      expect(parse({ ...downloadOf('a'), size })).to.include({ sizeBytes: size });
    }
  });

  for (const size of [-1, 2 ** 53, 1.5, '7', null, Number.NaN, true]) {
    it(`refuses the size ${JSON.stringify(size)} and names the oid in the answer`, () => {
      const request = parse({ ...downloadOf('a'), size });
      expect(request).to.include({ event: 'malformed', oid: oidOf('a'), isInit: false });
    });
  }

  const badOids = {
    'upper case': oidOf('a').toUpperCase(),
    '63 digits': oidOf('a').slice(1),
    '65 digits': `${oidOf('a')}0`,
    'a newline at the end': `${oidOf('a').slice(1)}\n`,
    'a way out of the folder': '../../../etc/passwd',
    'other digits': '٣'.repeat(64),
    'an array': [oidOf('a')],
    nothing: undefined,
  };
  for (const [name, oid] of Object.entries(badOids)) {
    it(`refuses an oid that is ${name}, and answers with the oid as it was sent`, () => {
      const request = parse({ ...uploadOf('a'), oid });
      expect(request.event).to.equal('malformed');
      expect(request).to.include({ oid: typeof oid === 'string' ? oid : '' });
    });
  }

  const badRequests: Readonly<Record<string, unknown>> = {
    'an upload without path': { ...uploadOf('a'), path: undefined },
    'a path with NUL': { ...uploadOf('a'), path: 'a\0b' },
    'an action without href': { ...uploadOf('a'), action: {} },
    'an action that is a string': { ...uploadOf('a'), action: 'https://x' },
    'a header that is a number': {
      ...uploadOf('a'),
      action: { href: 'https://x', header: { A: 1 } },
    },
    'an unknown event': { event: 'bundle-header', bid: 'x' },
    'an array': [],
    'a number': 7,
    'no event': {},
    'an init without operation': { event: 'init' },
  };
  for (const [name, message] of Object.entries(badRequests)) {
    it(`refuses ${name}`, () => {
      expect(parse(message).event).to.equal('malformed');
    });
  }

  it('refuses a line over the cap, also where only its bytes are over', () => {
    expect(parseRequest('"'.padEnd(LINE_SIZE_MAX_BYTES + 1, 'x')).event).to.equal('malformed');
    expect(parseRequest('ü'.repeat(LINE_SIZE_MAX_BYTES / 2 + 1)).event).to.equal('malformed');
  });

  it('never throws, whatever a line holds', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json(), fc.string({ unit: 'binary' })), (line) => {
        expect(parseRequest(line)).to.have.property('event');
      }),
    );
  });

  it('writes every answer as one line, whatever the text in it', () => {
    const line = formatMessage({
      event: 'complete',
      oid: oidOf('a'),
      error: wireError(new DatamonError('MISMATCH', 'two\nlines\r\nof text', { hint: 'Run: x' })),
    });
    expect(line.indexOf('\n')).to.equal(line.length - 1);
    expect(JSON.parse(line)).to.have.nested.property(
      'error.message',
      'datamon: two lines of text. Run: x',
    );
  });

  it('has a number for every error code', () => {
    expect(WIRE_CODES).to.have.all.keys(...ERROR_CODES);
  });
});
