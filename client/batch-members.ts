/**
 * What one batch of git-lfs asked for, as its server remembers it, and its small objects all at once. Only the batch's own token
 * opens it, and a forgotten batch is no error.
 */
import { collect } from '../core/bytes.ts';
import { parseHasAnswer, type SizedOid } from '../core/meta/api-wire.ts';
import { type ObjectStream, readObjectStream } from '../core/meta/object-stream.ts';
import { exchange, type HttpAnswer, type HttpLimits } from './http.ts';
import { parseRepoUrl } from './repo-url.ts';

const ANSWER_SIZE_MAX_BYTES = 8 * 1024 * 1024;
/** Worth a moment and no more: without the answer objects travel one by one. */
const LIMITS: HttpLimits = { answerTimeoutMs: 5000, stallTimeoutMs: 5000 };
/** Of objects on their way. */
const STREAM_LIMITS: HttpLimits = { answerTimeoutMs: 5000, stallTimeoutMs: 15_000 };

export interface BatchRequest {
  readonly repoUrl: string;
  readonly token: string;
  readonly signal: AbortSignal;
}

/** The members, or none where the server does not tell or the token names no batch. */
export async function batchMembers(request: BatchRequest): Promise<readonly SizedOid[]> {
  const answer = await ask(request, '', LIMITS);
  if (answer === null) return [];
  const body = await collect(answer.body, ANSWER_SIZE_MAX_BYTES);
  return parseHasAnswer(JSON.parse(body.toString('utf8')), 'batch').objects;
}

/** The members and the small objects among them; null where the server does not tell, or knows no such answer. */
export async function batchObjects(request: BatchRequest): Promise<ObjectStream | null> {
  const answer = await ask(request, '/objects', STREAM_LIMITS);
  return answer === null ? null : await readObjectStream(answer.body);
}

async function ask(
  { repoUrl, token, signal }: BatchRequest,
  below: string,
  limits: HttpLimits,
): Promise<HttpAnswer | null> {
  const url = parseRepoUrl(repoUrl);
  const batch = batchOf(token);
  if (batch === null || url.kind !== 'server') return null;
  const repo = encodeURIComponent(url.repo);
  const answer = await exchange(
    {
      method: 'GET',
      url: `${url.origin}/api/v1/repos/${repo}/batches/${encodeURIComponent(batch)}${below}`,
      headers: {
        Accept: below === '' ? 'application/json' : 'application/octet-stream',
        'Accept-Encoding': 'identity',
        Authorization: `Bearer ${token}`,
      },
      signal,
    },
    limits,
  );
  if (answer.status === 200) return answer;
  // Read to its end, so that the connection serves the next request.
  await collect(answer.body, ANSWER_SIZE_MAX_BYTES);
  return null;
}

/** The batch a token is bound to. Read, not verified: the server does that. */
function batchOf(token: string): string | null {
  try {
    const [, payload = ''] = token.split('.');
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
    const { batch } = claims as { readonly batch?: unknown };
    return typeof batch === 'string' && batch.length <= 100 ? batch : null;
  } catch {
    return null;
  }
}
