/** Tokens: what is minted is accepted, and nothing else is. */
import { createHmac, generateKeyPairSync, sign as signBytes } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import {
  ACTION_AUDIENCE,
  type Accepting,
  mintActionToken,
  mintTicket,
  mintUserToken,
  newSecret,
  parseScope,
  parseSecret,
  type Signing,
  scopeAllows,
  verifyActionToken,
  verifyTicket,
  verifyUserToken,
} from '../../client/tokens.ts';
import { digestOf } from '../../core/digest.ts';
import { DatamonError } from '../../core/errors.ts';
import { parseRepoName } from '../../core/keys.ts';

const SECRET_TEXT = 'a-secret-of-forty-bytes-for-tests-only-0';
const secret = parseSecret(Buffer.from(SECRET_TEXT));
const signing: Signing = { secrets: [secret], issuer: 'datamon' };
const accepting: Accepting = { secrets: [secret], issuers: ['datamon'], audience: 'datamon' };
const repo = parseRepoName('acme/weather');
const now = () => Math.floor(Date.now() / 1000);

const base64url = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** A token with any header and claims, signed right for HS256. */
function forge(header: object, claims: unknown, key = SECRET_TEXT): string {
  const head = `${base64url(header)}.${base64url(claims)}`;
  return `${head}.${createHmac('sha256', key).update(head).digest('base64url')}`;
}

const goodClaims = () => ({
  sub: 'ada',
  scope: 'read:*',
  iss: 'datamon',
  aud: 'datamon',
  iat: now(),
  exp: now() + 600,
});
const HS256 = { alg: 'HS256', typ: 'JWT' };

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof DatamonError) return error.code;
    throw error;
  }
  return 'accepted';
}

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const publicPem = rsa.publicKey.export({ type: 'spki', format: 'pem' }).toString();
function rs256(claims: object): string {
  const head = `${base64url({ alg: 'RS256', typ: 'JWT' })}.${base64url(claims)}`;
  return `${head}.${signBytes('sha256', Buffer.from(head), rsa.privateKey).toString('base64url')}`;
}

const without = (name: string) => {
  const claims: Record<string, unknown> = goodClaims();
  delete claims[name];
  return claims;
};
const unsigned = (alg: string) => `${base64url({ alg })}.${base64url(goodClaims())}.`;

/** Name and token of everything that must not get in. */
const CORPUS: ReadonlyArray<readonly [string, () => string]> = [
  ['alg none', () => unsigned('none')],
  ['alg None', () => unsigned('None')],
  ['alg NONE', () => unsigned('NONE')],
  ['alg none with a signature', () => forge({ alg: 'none' }, goodClaims())],
  ['alg empty', () => forge({ alg: '' }, goodClaims())],
  ['no alg', () => forge({ typ: 'JWT' }, goodClaims())],
  ['alg null', () => forge({ alg: null }, goodClaims())],
  ['alg hs256 in lower case', () => forge({ alg: 'hs256' }, goodClaims())],
  ['alg HS384 named, HS256 made', () => forge({ alg: 'HS384' }, goodClaims())],
  ['RS256 by a key of its own', () => rs256(goodClaims())],
  ['HS256 with a public key as secret', () => forge(HS256, goodClaims(), publicPem)],
  [
    'embedded jwk',
    () => forge({ ...HS256, jwk: { kty: 'oct', k: base64url('x') } }, goodClaims(), 'x'),
  ],
  ['kid traversal', () => forge({ ...HS256, kid: '../../../dev/null' }, goodClaims(), '')],
  ['kid injection', () => forge({ ...HS256, kid: "' or 1=1 --" }, goodClaims(), '1')],
  ['another secret', () => forge(HS256, goodClaims(), `${SECRET_TEXT}!`)],
  ['empty secret', () => forge(HS256, goodClaims(), '')],
  ['no exp', () => forge(HS256, without('exp'))],
  ['exp as text', () => forge(HS256, { ...goodClaims(), exp: `${now() + 600}` })],
  [
    'exp infinite',
    () => forge(HS256, JSON.stringify(goodClaims()).replace(/"exp":\d+/, '"exp":1e999')),
  ],
  ['exp null', () => forge(HS256, { ...goodClaims(), exp: null })],
  ['expired a minute ago', () => forge(HS256, { ...goodClaims(), exp: now() - 60 })],
  ['expired in 1970', () => forge(HS256, { ...goodClaims(), exp: 1 })],
  ['nbf in ten minutes', () => forge(HS256, { ...goodClaims(), nbf: now() + 600 })],
  ['nbf as text', () => forge(HS256, { ...goodClaims(), nbf: 'now' })],
  ['no aud', () => forge(HS256, without('aud'))],
  ['another aud', () => forge(HS256, { ...goodClaims(), aud: 'somebody' })],
  ['aud of actions', () => forge(HS256, { ...goodClaims(), aud: ACTION_AUDIENCE })],
  ['list of aud', () => forge(HS256, { ...goodClaims(), aud: ['datamon', ACTION_AUDIENCE] })],
  ['no iss', () => forge(HS256, without('iss'))],
  ['another iss', () => forge(HS256, { ...goodClaims(), iss: 'evil' })],
  ['list of iss', () => forge(HS256, { ...goodClaims(), iss: ['datamon'] })],
  ['no sub', () => forge(HS256, without('sub'))],
  ['empty sub', () => forge(HS256, { ...goodClaims(), sub: '' })],
  ['sub of two lines', () => forge(HS256, { ...goodClaims(), sub: 'ada\nroot' })],
  ['sub a number', () => forge(HS256, { ...goodClaims(), sub: 7 })],
  ['no scope', () => forge(HS256, without('scope'))],
  ['scope a list', () => forge(HS256, { ...goodClaims(), scope: ['read:*'] })],
  ['scope of an unknown verb', () => forge(HS256, { ...goodClaims(), scope: 'own:*' })],
  ['claims a string', () => forge(HS256, '"hello"')],
  ['claims a list', () => forge(HS256, [])],
  ['claims null', () => forge(HS256, 'null')],
  ['huge', () => forge(HS256, { ...goodClaims(), pad: 'x'.repeat(1024 * 1024) })],
  ['just over the cap', () => forge(HS256, { ...goodClaims(), pad: 'x'.repeat(8 * 1024) })],
  ['signature cut', () => forge(HS256, goodClaims()).slice(0, -2)],
  ['signature missing', () => forge(HS256, goodClaims()).replace(/\.[^.]*$/, '.')],
  ['two parts', () => forge(HS256, goodClaims()).split('.').slice(0, 2).join('.')],
  ['four parts', () => `${forge(HS256, goodClaims())}.x`],
  ['empty', () => ''],
  ['dots', () => '..'],
  ['a space in front', () => ` ${forge(HS256, goodClaims())}`],
];

describe('tokens', () => {
  it('accepts the well made token that the corpus is made from', () => {
    const claims = verifyUserToken(forge(HS256, goodClaims()), accepting);
    expect(claims.subject).to.equal('ada');
    expect(claims.scopes).to.deep.equal([{ verb: 'read', pattern: '*' }]);
  });

  for (const [name, make] of CORPUS) {
    it(`refuses a token with ${name}`, () => {
      expect(codeOf(() => verifyUserToken(make(), accepting))).to.equal('UNAUTHENTICATED');
    });
  }

  it('gives back what was minted', () => {
    const token = mintUserToken(signing, {
      subject: 'ada',
      scopes: [parseScope('read:acme/*'), parseScope('write:acme/weather')],
      ttlSeconds: 60,
    });
    const claims = verifyUserToken(token, accepting);
    expect(claims.subject).to.equal('ada');
    expect(scopeAllows(claims.scopes, 'read', repo)).to.equal(true);
    expect(scopeAllows(claims.scopes, 'admin', repo)).to.equal(false);
    expect(claims.expiresAt).to.be.within(now() + 55, now() + 61);
  });

  it('tolerates clocks 30 seconds apart and no more', () => {
    const at = (shift: number) => forge(HS256, { ...goodClaims(), exp: now() + shift });
    expect(verifyUserToken(at(-20), accepting).subject).to.equal('ada');
    expect(codeOf(() => verifyUserToken(at(-40), accepting))).to.equal('UNAUTHENTICATED');
  });

  it('accepts tokens of the old secret while both are configured', () => {
    const newer = parseSecret(Buffer.from('another-secret-of-at-least-32-bytes-x'));
    const token = forge(HS256, goodClaims());
    const both = { ...accepting, secrets: [newer, secret] };
    expect(verifyUserToken(token, both).subject).to.equal('ada');
    const onlyNew = { ...accepting, secrets: [newer] };
    expect(codeOf(() => verifyUserToken(token, onlyNew))).to.equal('UNAUTHENTICATED');
  });

  it('says when a token expired', () => {
    const token = forge(HS256, { ...goodClaims(), exp: 1_700_000_000 });
    expect(() => verifyUserToken(token, accepting)).to.throw('expired on 2023-11-14 at 22:13 UTC');
  });

  it('keeps no part of a refused token in the message', () => {
    const token = forge(HS256, { ...goodClaims(), aud: 'x' });
    try {
      verifyUserToken(token, accepting);
      expect.fail('was accepted');
    } catch (error) {
      expect(String(error)).not.to.contain(token.slice(0, 12));
    }
  });

  it('keeps user tokens, action tokens and tickets apart', () => {
    const user = forge(HS256, goodClaims());
    const action = mintActionToken(
      signing,
      { kind: 'datamon', subject: 'ada', repo, operation: 'upload', batch: 'b' },
      60,
    );
    const ticket = mintTicket(signing, { repo, pack: 'p' }, 60);
    expect(codeOf(() => verifyActionToken(user, signing))).to.equal('UNAUTHENTICATED');
    expect(codeOf(() => verifyActionToken(ticket, signing))).to.equal('UNAUTHENTICATED');
    expect(codeOf(() => verifyUserToken(action, accepting))).to.equal('UNAUTHENTICATED');
    expect(codeOf(() => verifyUserToken(ticket, accepting))).to.equal('UNAUTHENTICATED');
    expect(codeOf(() => verifyTicket(action, signing, repo))).to.equal('INVALID');
    expect(codeOf(() => verifyTicket(user, signing, repo))).to.equal('INVALID');
  });

  it('gives back both kinds of action', () => {
    const basic = {
      kind: 'basic',
      subject: 'ada',
      repo,
      operation: 'download',
      oid: digestOf('x'),
      sizeBytes: 0,
    } as const;
    const whole = {
      kind: 'datamon',
      subject: 'ada',
      repo,
      operation: 'upload',
      batch: 'b',
    } as const;
    for (const claims of [basic, whole]) {
      expect(verifyActionToken(mintActionToken(signing, claims, 60), signing)).to.deep.equal(
        claims,
      );
    }
  });

  it('gives back the pack of a ticket, to its own repo only', () => {
    const ticket = mintTicket(signing, { repo, pack: 'some pack' }, 60);
    expect(verifyTicket(ticket, signing, repo)).to.equal('some pack');
    const other = parseRepoName('acme/other');
    expect(codeOf(() => verifyTicket(ticket, signing, other))).to.equal('INVALID');
  });

  it('mints nothing that it would not accept', () => {
    const scopes = [parseScope('read:*')];
    const ask = { subject: 'ada', scopes, ttlSeconds: 60 };
    expect(codeOf(() => mintUserToken(signing, { ...ask, subject: 'a\nb' }))).to.equal('INVALID');
    expect(codeOf(() => mintUserToken(signing, { ...ask, scopes: [] }))).to.equal('INVALID');
    expect(codeOf(() => mintUserToken(signing, { ...ask, ttlSeconds: 0 }))).to.equal('INVALID');
    const audience = ACTION_AUDIENCE;
    expect(codeOf(() => mintUserToken(signing, { ...ask, audience }))).to.equal('INVALID');
  });

  it('refuses short and guessable secrets', () => {
    const tooShort = 'x7'.repeat(15);
    for (const bad of ['', tooShort, `${tooShort}\n\n`, 'a'.repeat(64), 'changeme'.repeat(5)]) {
      expect(
        codeOf(() => parseSecret(Buffer.from(bad))),
        bad,
      ).to.equal('INVALID');
    }
  });

  it('a secret made for one process counts whole, whatever its last byte', () => {
    expect(newSecret((count) => Buffer.alloc(count, '\n')).symmetricKeySize).to.equal(32);
  });

  it('takes one final newline off a secret, so that an editor does no harm', () => {
    const edited = parseSecret(Buffer.from(`${SECRET_TEXT}\n`));
    expect(edited.equals(secret)).to.equal(true);
  });

  it('reads scope words and refuses what it does not know', () => {
    for (const good of ['read:*', 'write:acme/*', 'admin:acme/weather', 'read:weather']) {
      expect(
        codeOf(() => parseScope(good)),
        good,
      ).to.equal('accepted');
    }
    for (const bad of [
      'read',
      'read:',
      ':*',
      'READ:*',
      'read:**',
      'read:*/x',
      'read:a/b/c',
      'read:a/*/*',
      'read:../x',
      'all:*',
    ]) {
      expect(
        codeOf(() => parseScope(bad)),
        bad,
      ).to.equal('INVALID');
    }
  });

  it('matches patterns by whole owner names', () => {
    const allows = (word: string, name: string) =>
      scopeAllows([parseScope(word)], 'read', parseRepoName(name));
    expect(allows('read:acme/*', 'acme/weather')).to.equal(true);
    expect(allows('read:acme/*', 'acme2/weather')).to.equal(false);
    expect(allows('read:acme/*', 'acme')).to.equal(false);
    expect(allows('read:acme/weather', 'acme/weather2')).to.equal(false);
    expect(allows('read:*', 'acme')).to.equal(true);
  });

  it('never accepts a token with one byte changed', () => {
    const token = forge(HS256, goodClaims());
    fc.assert(
      fc.property(fc.nat(token.length - 1), fc.constantFrom(...'abcXYZ019-_'), (at, char) => {
        if (token[at] === char) return;
        const changed = token.slice(0, at) + char + token.slice(at + 1);
        // The last character of a part carries bits that decoding drops; the same bytes are the same token.
        if (
          Buffer.from(changed.split('.')[2] ?? '', 'base64url').equals(
            Buffer.from(token.split('.')[2] ?? '', 'base64url'),
          ) &&
          changed.split('.')[1] === token.split('.')[1] &&
          changed.split('.')[0] === token.split('.')[0]
        )
          return;
        expect(codeOf(() => verifyUserToken(changed, accepting))).to.equal('UNAUTHENTICATED');
      }),
    );
  });
});
