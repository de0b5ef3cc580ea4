/**
 * Signs claims as a JWT (RFC 7519, HS256) with node's own HMAC: a batch answer carries a token for each of its objects, and a
 * general library's checks of claims that were just made here cost more than everything else about it. Checking is `tokens.ts`'s.
 */
import { createHmac, type KeyObject } from 'node:crypto';

const HEADER = Buffer.from('{"alg":"HS256","typ":"JWT"}').toString('base64url');

export function signJwt(claims: object, secret: KeyObject): string {
  const signed = `${HEADER}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}
