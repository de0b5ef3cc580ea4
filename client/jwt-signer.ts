/**
 * Signs claims as a JWT (RFC 7519, HS256) with node's own HMAC: a batch answer carries a token for each of its objects, and a
 * general library's checks of claims that were just made here cost more than everything else about it. Checking is `tokens.ts`'s.
 * Promise: a token says what its claims say, whether it was made now or for somebody who asked for the very same a moment ago.
 */
import { createHmac, type KeyObject } from 'node:crypto';
import { isFast } from '../core/fast-paths.ts';

const HEADER = Buffer.from('{"alg":"HS256","typ":"JWT"}').toString('base64url');
/** About 8 MiB of tokens. More would be those of many batches, which are seldom asked for twice in a second. */
export const REPEATED_TOKEN_COUNT_MAX = 10_000;

/** Tokens of one second, by their claims as text. */
interface Second {
  readonly issuedAt: number;
  readonly tokens: Map<string, string>;
}

/** By the secret that signed; gone with it. */
const seconds = new WeakMap<KeyObject, Second>();

/** Those who ask for the same objects in the same second get the same tokens, signed once. */
export function signRepeatedJwt(
  claims: { readonly iat: number; readonly [name: string]: unknown },
  secret: KeyObject,
): string {
  const text = JSON.stringify(claims);
  if (!isFast('token-reuse')) return signText(text, secret);
  const { tokens } = secondOf(secret, claims.iat);
  const known = tokens.get(text);
  if (known !== undefined) return known;
  const token = signText(text, secret);
  if (tokens.size < REPEATED_TOKEN_COUNT_MAX) tokens.set(text, token);
  return token;
}

/** Claims name their second, so those of another one are never asked for again. */
function secondOf(secret: KeyObject, issuedAt: number): Second {
  const latest = seconds.get(secret);
  if (latest?.issuedAt === issuedAt) return latest;
  const begun = { issuedAt, tokens: new Map<string, string>() };
  seconds.set(secret, begun);
  return begun;
}

function signText(claims: string, secret: KeyObject): string {
  const signed = `${HEADER}.${Buffer.from(claims).toString('base64url')}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

/** A token of claims that are asked for once. */
export const signJwt = (claims: object, secret: KeyObject): string =>
  signText(JSON.stringify(claims), secret);
