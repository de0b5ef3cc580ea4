/** The one place that decides whether a caller may use a route. Every route declares an `Access`; without one it cannot be mounted. */
import type { ActionClaims, Verb } from '../client/tokens.ts';
import { DatamonError } from '../core/errors.ts';
import type { RepoName } from '../core/keys.ts';
import { type Caller, verbsOn } from './caller.ts';

/** Which action tokens open a route besides user tokens: none, datamon ones, or also a basic one of this very object. */
export type ActionUse = 'none' | 'batch' | 'object';

export type Access =
  /** Says nothing about anyone's data. */
  | { readonly kind: 'open' }
  /** Answers with what the caller may see; a caller who may see nothing at all must log in. */
  | { readonly kind: 'listed' }
  | {
      readonly kind: 'verbs';
      /** One of them is enough. */
      readonly anyOf: readonly Verb[];
      readonly actions: ActionUse;
      /** LFS's lock check must never see 404: the client would stop asking for ever. */
      readonly refusal?: 'forbidden';
    };

export const OPEN: Access = { kind: 'open' };
export const LISTED: Access = { kind: 'listed' };
export const READ: Access = { kind: 'verbs', anyOf: ['read'], actions: 'none' };
export const WRITE: Access = { kind: 'verbs', anyOf: ['write'], actions: 'none' };
export const READ_OR_WRITE: Access = { kind: 'verbs', anyOf: ['read', 'write'], actions: 'none' };
export const BATCH_READ: Access = { ...READ, actions: 'batch' };
export const BATCH_WRITE: Access = { ...WRITE, actions: 'batch' };
export const BATCH_READ_OR_WRITE: Access = { ...READ_OR_WRITE, actions: 'batch' };
export const OBJECT_READ: Access = { ...READ, actions: 'object' };
export const OBJECT_WRITE: Access = { ...WRITE, actions: 'object' };
export const LOCK_CHECK: Access = { ...WRITE, refusal: 'forbidden' };

const VERB_OF = { upload: 'write', download: 'read' } as const;

/** Returns, or throws UNAUTHENTICATED, FORBIDDEN, or the NOT_FOUND that an absent repo gives. */
export function demand(
  access: Access,
  caller: Caller,
  target: { readonly repo: RepoName | null; readonly oid: string | null },
): void {
  if (access.kind === 'open') return;
  if (access.kind === 'listed' || target.repo === null) {
    if (caller.isAnonymous && caller.scopes.length === 0) throw loginNeeded();
    return;
  }
  const held = heldVerbs(access.actions, caller, { repo: target.repo, oid: target.oid });
  if (access.anyOf.some((verb) => held.includes(verb))) return;
  if (caller.isAnonymous) throw loginNeeded();
  const known = held.length > 0 || caller.action !== null;
  if (!known && access.refusal === undefined) throw noSuchRepo(target.repo);
  const wanted = access.anyOf.join(' or ');
  throw new DatamonError(
    'FORBIDDEN',
    `this needs ${wanted} on ${target.repo}, which the token does not give`,
    {
      hint: 'Ask whoever runs the server for a token with that scope.',
    },
  );
}

function heldVerbs(
  use: ActionUse,
  caller: Caller,
  target: { readonly repo: RepoName; readonly oid: string | null },
): readonly Verb[] {
  const { action } = caller;
  if (action === null) return verbsOn(caller, target.repo);
  return actionReaches(use, action, target) ? [VERB_OF[action.operation]] : [];
}

function actionReaches(
  use: ActionUse,
  action: ActionClaims,
  target: { readonly repo: RepoName; readonly oid: string | null },
): boolean {
  if (use === 'none' || action.repo !== target.repo) return false;
  if (action.kind === 'datamon') return true;
  return use === 'object' && (target.oid === null || action.oid === target.oid);
}

/** What an absent repo and one out of reach have in common. */
export function noSuchRepo(repo: RepoName): DatamonError {
  return new DatamonError(
    'NOT_FOUND',
    `there is no repo ${repo} here, or your token does not reach it`,
    {
      hint: 'Check the name; datamon repo list shows the repos you may read.',
    },
  );
}

const loginNeeded = () =>
  new DatamonError('UNAUTHENTICATED', 'a token is needed', {
    hint: 'Run: datamon login <url>, or give the token as password.',
  });
