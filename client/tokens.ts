/** Tokens: minting and checking user tokens, action tokens and pack tickets. The only file that knows jsonwebtoken; HS256 and nothing else. */
import { createSecretKey, type KeyObject } from 'node:crypto';
import jwt from 'jsonwebtoken';
import { type Digest, isDigest } from '../core/digest.ts';
import { DatamonError } from '../core/errors.ts';
import { parseRepoName, type RepoName } from '../core/keys.ts';
import type { Random } from '../core/random.ts';
import { signJwt, signRepeatedJwt } from './jwt-signer.ts';

export const SECRET_SIZE_MIN_BYTES = 32;
export const TOKEN_SIZE_MAX_BYTES = 8 * 1024;
/** How far clocks may differ. */
export const TOKEN_LEEWAY_SECONDS = 30;
export const DEFAULT_ISSUER = 'datamon';
export const DEFAULT_AUDIENCE = 'datamon';
/** Audiences of tokens that the server makes for itself; no user token may carry them. */
export const ACTION_AUDIENCE = 'datamon-action';
export const TICKET_AUDIENCE = 'datamon-pack';

/** None implies another: a writer that also reads carries both words. */
export const VERBS = ['read', 'write', 'admin'] as const;
export type Verb = (typeof VERBS)[number];

/** One word of a token's scope: `verb:pattern`. */
export interface Scope {
  readonly verb: Verb;
  /** `owner/name`, `owner/*` or `*`. */
  readonly pattern: string;
}

/** A signing secret that passed `parseSecret`. */
export type Secret = KeyObject & { readonly __brand: 'Secret' };

export interface UserClaims {
  readonly subject: string;
  readonly scopes: readonly Scope[];
  /** Seconds since 1970. */
  readonly expiresAt: number;
}

export type Operation = 'upload' | 'download';

/** What a batch allows: one object by basic transfer, or a batch of a repo by datamon transfer. */
export type ActionClaims =
  | {
      readonly kind: 'basic';
      readonly subject: string;
      readonly repo: RepoName;
      readonly operation: Operation;
      readonly oid: Digest;
      readonly sizeBytes: number;
    }
  | {
      readonly kind: 'datamon';
      readonly subject: string;
      readonly repo: RepoName;
      readonly operation: Operation;
      readonly batch: string;
    };

/** How tokens are made: the first secret signs. */
export interface Signing {
  readonly secrets: readonly [Secret, ...Secret[]];
  readonly issuer: string;
}

/** What tokens are accepted. */
export interface Accepting {
  /** Any of them may have signed, so that a secret can be replaced without locking anyone out. */
  readonly secrets: readonly Secret[];
  readonly issuers: readonly string[];
  readonly audience: string;
}

/** Secrets people copy from examples. */
const GUESSABLE = /^(?:(.)\1*|(?:change-?me|secret|password|datamon|0123456789(?:abcdef)?)+)$/i;

/** A secret of at least 32 bytes, one final newline aside. Throws INVALID for shorter ones and those anyone would guess. */
export function parseSecret(bytes: Uint8Array): Secret {
  let end = bytes.length;
  if (bytes[end - 1] === 0x0a) end -= bytes[end - 2] === 0x0d ? 2 : 1;
  const secret = Buffer.from(bytes.subarray(0, end));
  const hint = 'Make one: head -c 32 /dev/urandom | base64 > secret && chmod 600 secret';
  if (secret.length < SECRET_SIZE_MIN_BYTES) {
    const message = `the token secret has ${secret.length} bytes and needs at least ${SECRET_SIZE_MIN_BYTES}`;
    throw new DatamonError('INVALID', message, { hint });
  }
  if (GUESSABLE.test(secret.toString('latin1'))) {
    throw new DatamonError('INVALID', 'the token secret is one that anyone would guess', { hint });
  }
  return createSecretKey(secret) as Secret;
}

/** A secret for one process. Never parsed: random bytes may end like a text file's last line, which would be cut off. */
export const newSecret = (random: Random): Secret =>
  createSecretKey(random(SECRET_SIZE_MIN_BYTES)) as Secret;

/** Parses one `verb:pattern`. Throws INVALID naming it. */
export function parseScope(word: string): Scope {
  const colon = word.indexOf(':');
  const verb = VERBS.find((known) => known === word.slice(0, Math.max(colon, 0)));
  const pattern = word.slice(colon + 1);
  if (verb !== undefined && isPattern(pattern)) return { verb, pattern };
  throw new DatamonError('INVALID', `not a scope: ${JSON.stringify(word.slice(0, 120))}`, {
    hint: 'A scope is read:, write: or admin: followed by owner/name, owner/* or *.',
  });
}

function isPattern(pattern: string): boolean {
  if (pattern === '*') return true;
  try {
    parseRepoName(pattern.endsWith('/*') ? `${pattern.slice(0, -1)}x` : pattern);
    return true;
  } catch {
    return false;
  }
}

export function formatScopes(scopes: readonly Scope[]): string {
  return scopes.map(({ verb, pattern }) => `${verb}:${pattern}`).join(' ');
}

export function scopeAllows(scopes: readonly Scope[], verb: Verb, repo: RepoName): boolean {
  return scopes.some((scope) => scope.verb === verb && patternMatches(scope.pattern, repo));
}

function patternMatches(pattern: string, repo: RepoName): boolean {
  if (pattern === '*') return true;
  return pattern.endsWith('/*') ? repo.startsWith(pattern.slice(0, -1)) : pattern === repo;
}

export interface UserTokenRequest {
  readonly subject: string;
  readonly scopes: readonly Scope[];
  readonly ttlSeconds: number;
  readonly audience?: string;
}

/** A token for a person or a robot. Throws INVALID for an empty subject, no scope, or a lifetime below a second. */
export function mintUserToken(signing: Signing, request: UserTokenRequest): string {
  const { subject, scopes, ttlSeconds, audience = DEFAULT_AUDIENCE } = request;
  if (!isSubject(subject))
    throw new DatamonError('INVALID', 'a token needs a subject, in one line');
  if (scopes.length === 0) throw new DatamonError('INVALID', 'a token needs at least one scope');
  if (audience === ACTION_AUDIENCE || audience === TICKET_AUDIENCE) {
    throw new DatamonError('INVALID', `the audience ${audience} is the server's own`);
  }
  return sign(signing, { sub: subject, scope: formatScopes(scopes) }, audience, ttlSeconds);
}

/** Who holds `token` and what it allows. Throws UNAUTHENTICATED for anything that is not a valid user token. */
export function verifyUserToken(token: string, accepting: Accepting): UserClaims {
  const claims = verify(token, accepting);
  const { sub, scope, exp } = claims;
  if (!isSubject(sub) || typeof scope !== 'string') throw refused('it names no subject or scope');
  return { subject: sub, scopes: parseScopes(scope), expiresAt: Number(exp) };
}

function parseScopes(text: string): readonly Scope[] {
  try {
    return text.split(' ').filter(Boolean).map(parseScope);
  } catch (cause) {
    throw refused('its scope is not readable', cause);
  }
}

export function mintActionToken(
  { secrets: [secret], issuer }: Signing,
  claims: ActionClaims,
  ttlSeconds: number,
): string {
  checkLifetime(ttlSeconds);
  const { subject: sub, operation: op, kind, repo } = claims;
  const iat = Math.floor(Date.now() / 1000);
  const common = {
    iat,
    exp: iat + ttlSeconds,
    aud: ACTION_AUDIENCE,
    iss: issuer,
    sub,
    op,
    kind,
    repo,
  };
  if (claims.kind === 'datamon') return signJwt({ ...common, batch: claims.batch }, secret);
  return signRepeatedJwt({ ...common, oid: claims.oid, size: claims.sizeBytes }, secret);
}

/** What the batch behind `token` allowed. Throws UNAUTHENTICATED for anything that is not a valid action token. */
export function verifyActionToken(token: string, signing: Signing): ActionClaims {
  const claims = verify(token, {
    secrets: signing.secrets,
    issuers: [signing.issuer],
    audience: ACTION_AUDIENCE,
  });
  const action = parseAction(claims);
  if (action === null) throw refused('it is not an action token');
  return action;
}

function parseAction(claims: jwt.JwtPayload): ActionClaims | null {
  const { sub: subject, repo, op: operation } = claims;
  if (!isSubject(subject) || typeof repo !== 'string') return null;
  if (operation !== 'upload' && operation !== 'download') return null;
  const common = { subject, repo: parseRepoName(repo), operation } as const;
  const { kind, oid, size, batch } = claims as { readonly [name: string]: unknown };
  if (kind === 'basic' && isDigest(oid) && Number.isSafeInteger(size)) {
    return { kind, ...common, oid, sizeBytes: Number(size) };
  }
  return kind === 'datamon' && typeof batch === 'string' ? { kind, ...common, batch } : null;
}

/** A signed statement of the server about a pack it accepted. */
export function mintTicket(
  signing: Signing,
  ticket: { readonly repo: RepoName; readonly pack: string },
  ttlSeconds: number,
): string {
  return sign(signing, { ...ticket }, TICKET_AUDIENCE, ttlSeconds);
}

/** The pack that `ticket` speaks of. Throws INVALID unless it was made here, for this repo. */
export function verifyTicket(ticket: string, signing: Signing, repo: RepoName): string {
  try {
    const claims = verify(ticket, {
      secrets: signing.secrets,
      issuers: [signing.issuer],
      audience: TICKET_AUDIENCE,
    });
    const { repo: named, pack } = claims as { readonly [name: string]: unknown };
    if (named === repo && typeof pack === 'string') return pack;
  } catch (cause) {
    throw new DatamonError('INVALID', 'a pack ticket is not valid (any more)', {
      cause,
      hint: 'Send the pack again.',
    });
  }
  throw new DatamonError('INVALID', `a pack ticket is not one of ${repo}`);
}

function sign(signing: Signing, payload: object, audience: string, ttlSeconds: number): string {
  checkLifetime(ttlSeconds);
  return jwt.sign(payload, signing.secrets[0], {
    algorithm: 'HS256',
    issuer: signing.issuer,
    audience,
    expiresIn: ttlSeconds,
  });
}

function checkLifetime(ttlSeconds: number): void {
  if (Number.isSafeInteger(ttlSeconds) && ttlSeconds >= 1) return;
  throw new DatamonError('INVALID', `a token cannot live ${ttlSeconds} seconds`);
}

function verify(token: string, accepting: Accepting): jwt.JwtPayload {
  if (token.length > TOKEN_SIZE_MAX_BYTES) throw refused('it is too long');
  let failure: unknown;
  for (const secret of accepting.secrets) {
    try {
      const claims = jwt.verify(token, secret, {
        algorithms: ['HS256'],
        clockTolerance: TOKEN_LEEWAY_SECONDS,
      });
      return checkedClaims(claims, accepting);
    } catch (error) {
      if (error instanceof DatamonError) throw error;
      failure = error;
      if (!(error instanceof Error) || error.message !== 'invalid signature') break;
    }
  }
  throw refused(reasonOf(failure), failure);
}

/** Claims that must be there and exact. A list of audiences is refused: who signs knows for whom. */
function checkedClaims(claims: string | jwt.JwtPayload, accepting: Accepting): jwt.JwtPayload {
  if (typeof claims === 'string') throw refused('it is not a set of claims');
  if (!Number.isSafeInteger(claims.exp)) throw refused('it never expires');
  if (claims.aud !== accepting.audience) throw refused('it is for another audience');
  if (typeof claims.iss !== 'string' || !accepting.issuers.includes(claims.iss)) {
    throw refused('its issuer is not accepted here');
  }
  return claims;
}

function reasonOf(failure: unknown): string {
  if (failure instanceof jwt.TokenExpiredError) {
    return `it expired on ${failure.expiredAt.toISOString().slice(0, 16).replace('T', ' at ')} UTC`;
  }
  return failure instanceof jwt.NotBeforeError ? 'it is not valid yet' : 'it was not made here';
}

function refused(why: string, cause?: unknown): DatamonError {
  return new DatamonError('UNAUTHENTICATED', `the token is not accepted: ${why}`, {
    cause,
    hint: 'Get a new one and run: datamon login <url>',
  });
}

/** One line without control characters, so that it can stand in logs and pages. */
function isSubject(value: unknown): value is string {
  return typeof value === 'string' && /^\P{Cc}{1,200}$/u.test(value);
}
