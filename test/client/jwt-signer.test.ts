/** Tokens of a batch: signed once where claims are the same, and never anything but what the claims say. */
import { expect } from 'chai';
import jwt from 'jsonwebtoken';
import { REPEATED_TOKEN_COUNT_MAX, signJwt, signRepeatedJwt } from '../../client/jwt-signer.ts';
import { newSecret } from '../../client/tokens.ts';
import { FAST_PATHS_OFF, switchOffFastPaths } from '../../core/fast-paths.ts';

describe('client/jwt-signer', () => {
  const secret = newSecret((count) => Buffer.alloc(count, 7));
  const other = newSecret((count) => Buffer.alloc(count, 8));
  const claims = { iat: 1_800_000_000, exp: 1_900_000_000, oid: 'a', size: 3 };
  afterEach(() => switchOffFastPaths(process.env));

  it('signs whatever differs in one claim, its second or its secret as if it were asked first', () => {
    const asked = [
      claims,
      { ...claims, oid: 'b' },
      { ...claims, size: 4 },
      { ...claims, exp: claims.exp + 1 },
      { ...claims, iat: claims.iat + 1 },
      claims,
    ];
    for (const key of [secret, other, secret]) {
      for (const each of asked) {
        const token = signRepeatedJwt(each, key);
        expect(token).to.equal(signJwt(each, key));
        expect(jwt.verify(token, key, { algorithms: ['HS256'] })).to.deep.equal(each);
      }
    }
  });

  it('gives the same tokens with and without remembering them', () => {
    const remembered = [signRepeatedJwt(claims, secret), signRepeatedJwt(claims, secret)];
    switchOffFastPaths({ [FAST_PATHS_OFF]: 'token-reuse' });
    const signed = [signRepeatedJwt(claims, secret), signRepeatedJwt(claims, secret)];
    expect(remembered).to.deep.equal(signed);
  });

  it('goes on signing where there are too many to remember', () => {
    for (let size = 0; size <= REPEATED_TOKEN_COUNT_MAX; size += 1) {
      signRepeatedJwt({ ...claims, size }, secret);
    }
    const last = { ...claims, size: REPEATED_TOKEN_COUNT_MAX + 1 };
    expect(signRepeatedJwt(last, secret)).to.equal(signJwt(last, secret));
  });
});
