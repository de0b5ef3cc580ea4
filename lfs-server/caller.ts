/** Who is calling and what that allows. Identity comes from the Authorization header alone, never from a body, a URL or a cookie. */
import {
  type ActionClaims,
  type Scope,
  scopeAllows,
  type Verb,
  verifyActionToken,
  verifyUserToken,
} from '../client/tokens.ts';
import { DatamonError } from '../core/errors.ts';
import type { RepoName } from '../core/keys.ts';
import type { AnonymousMode, Settings } from './settings.ts';

/** Two tokens' worth: a longer header is not read. */
const AUTHORIZATION_SIZE_MAX = 16 * 1024;
export const ANONYMOUS = 'anonymous';

export interface Caller {
  /** The token's subject; `anonymous`, or the user name given, without a token. */
  readonly subject: string;
  readonly isAnonymous: boolean;
  readonly scopes: readonly Scope[];
  /** What a batch allowed this caller; such a token has no scopes. */
  readonly action: ActionClaims | null;
}

const ANONYMOUS_SCOPES: Readonly<Record<AnonymousMode, readonly Scope[]>> = {
  none: [],
  read: [{ verb: 'read', pattern: '*' }],
  write: [
    { verb: 'read', pattern: '*' },
    { verb: 'write', pattern: '*' },
  ],
};

/** Reads the Authorization header. UNAUTHENTICATED where it is there and not valid. */
export function authenticate(header: string | undefined, settings: Settings): Caller {
  if (header === undefined) return anonymousCaller(ANONYMOUS, settings);
  const { user, token } = parseAuthorization(header);
  const isToken = token.split('.').length === 3;
  if (!isToken && user !== null && settings.anonymous !== 'none') {
    return anonymousCaller(user, settings);
  }
  return actionCaller(token, settings) ?? userCaller(token, settings);
}

function anonymousCaller(name: string, settings: Settings): Caller {
  const subject = /^\P{Cc}{1,100}$/u.test(name) ? name : ANONYMOUS;
  const scopes = ANONYMOUS_SCOPES[settings.anonymous];
  return { subject, isAnonymous: true, scopes, action: null };
}

function actionCaller(token: string, settings: Settings): Caller | null {
  try {
    const action = verifyActionToken(token, settings.signing);
    return { subject: action.subject, isAnonymous: false, scopes: [], action };
  } catch {
    // Not an action token: what verifyUserToken says about it is what the caller should read.
    return null;
  }
}

function userCaller(token: string, settings: Settings): Caller {
  const { subject, scopes } = verifyUserToken(token, settings.accepting);
  return { subject, isAnonymous: false, scopes, action: null };
}

function parseAuthorization(header: string): { user: string | null; token: string } {
  const space = header.indexOf(' ');
  const scheme = header.slice(0, Math.max(space, 0)).toLowerCase();
  const value = header.slice(space + 1).trim();
  if (header.length <= AUTHORIZATION_SIZE_MAX) {
    if (scheme === 'bearer') return { user: null, token: value };
    if (scheme === 'basic') {
      const text = Buffer.from(value, 'base64').toString('utf8');
      const colon = text.indexOf(':');
      if (colon >= 0) return { user: text.slice(0, colon), token: text.slice(colon + 1) };
    }
  }
  throw new DatamonError('UNAUTHENTICATED', 'the Authorization header is not readable', {
    hint: 'Send Bearer and a token, or Basic with the token as password.',
  });
}

/** Verbs the caller has on `repo` by scope. */
export function verbsOn(caller: Caller, repo: RepoName): readonly Verb[] {
  return (['read', 'write', 'admin'] as const).filter((verb) =>
    scopeAllows(caller.scopes, verb, repo),
  );
}
