/** Actions of a batch answer: plain URLs, and a token of the server's own that opens exactly what was asked for. */
import { mintActionToken, type Operation } from '../client/tokens.ts';
import { type Call, repoUrl } from './route.ts';
import {
  ACTION_RATE_BYTES_PER_SECOND,
  ACTION_TTL_MAX_SECONDS,
  ACTION_TTL_MIN_SECONDS,
} from './settings.ts';
import type { WantedObject } from './wire-batch.ts';

export type TransferName = 'datamon' | 'basic';

export interface Action {
  readonly href: string;
  readonly header: Readonly<Record<string, string>>;
  readonly expires_in: number;
}

export interface ActionMaker {
  readonly transfer: TransferName;
  /** By action name: `upload` and `verify`, or `download`. */
  actionsFor(object: WantedObject): Readonly<Record<string, Action>>;
}

export interface ActionScope {
  readonly operation: Operation;
  readonly transfer: TransferName;
  /** Names the batch; datamon tokens carry it. */
  readonly batch: string;
  /** Bytes of all its objects. */
  readonly totalBytes: number;
}

export function createActionMaker(call: Call, scope: ActionScope): ActionMaker {
  const { operation, transfer, batch } = scope;
  const common = { subject: call.caller.subject, repo: call.repo, operation } as const;
  const { signing } = call.deps.settings;
  const base = repoUrl(call);
  const batchTtl = ttlSeconds(scope.totalBytes);
  const batchToken =
    transfer === 'datamon'
      ? mintActionToken(signing, { kind: 'datamon', ...common, batch }, batchTtl)
      : null;

  const actionsFor = ({ oid, size }: WantedObject): Readonly<Record<string, Action>> => {
    const expires = batchToken === null ? ttlSeconds(size) : batchTtl;
    const claims = { kind: 'basic', ...common, oid, sizeBytes: size } as const;
    const token = batchToken ?? mintActionToken(signing, claims, expires);
    const header = { Authorization: `Bearer ${token}` };
    const href = `${base}/objects/${oid}`;
    if (operation === 'download') return { download: { href, header, expires_in: expires } };
    const upload = {
      href,
      // Said here, or git-lfs sniffs one.
      header: { ...header, 'Content-Type': 'application/octet-stream' },
      expires_in: expires,
    };
    // A datamon transfer ends with the server's own word that all is durable; asking again would cost a round trip each.
    if (transfer === 'datamon') return { upload };
    return { upload, verify: { href: `${base}/verify`, header, expires_in: expires } };
  };
  return { transfer, actionsFor };
}

/** Long enough for slow lines: a token that expires on the way fails the push. */
export function ttlSeconds(sizeBytes: number): number {
  const needed = Math.ceil(sizeBytes / ACTION_RATE_BYTES_PER_SECOND);
  return Math.min(ACTION_TTL_MAX_SECONDS, Math.max(ACTION_TTL_MIN_SECONDS, needed));
}
