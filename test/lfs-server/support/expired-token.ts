/** A token that was good until a minute ago. */
import { createHmac } from 'node:crypto';
import { SECRET } from './server-world.ts';

export function expiredToken(scope: string): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    sub: 'ada',
    scope,
    iss: 'datamon',
    aud: 'datamon',
    iat: now - 600,
    exp: now - 60,
  };
  const head = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`;
  return `${head}.${createHmac('sha256', SECRET).update(head).digest('base64url')}`;
}
