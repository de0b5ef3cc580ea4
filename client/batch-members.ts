/** What one batch of git-lfs asked for, as its server remembers it; only the batch's own token opens it, and a forgotten batch is no error. */
import { collect } from '../core/bytes.ts';
import { parseHasAnswer, type SizedOid } from '../core/meta/api-wire.ts';
import { exchange, type HttpLimits } from './http.ts';
import { parseRepoUrl } from './repo-url.ts';

const ANSWER_SIZE_MAX_BYTES = 8 * 1024 * 1024;
/** Worth a moment and no more: without the answer objects travel one by one. */
const LIMITS: HttpLimits = { answerTimeoutMs: 5000, stallTimeoutMs: 5000 };

/** The members, or none where the server does not tell or the token names no batch. */
export async function batchMembers(
  repoUrl: string,
  token: string,
  signal: AbortSignal,
): Promise<readonly SizedOid[]> {
  const url = parseRepoUrl(repoUrl);
  const batch = batchOf(token);
  if (batch === null || url.kind !== 'server') return [];
  const repo = encodeURIComponent(url.repo);
  const answer = await exchange(
    {
      method: 'GET',
      url: `${url.origin}/api/v1/repos/${repo}/batches/${encodeURIComponent(batch)}`,
      headers: { Accept: 'application/json', Authorization: `Bearer ${token}` },
      signal,
    },
    LIMITS,
  );
  const body = await collect(answer.body, ANSWER_SIZE_MAX_BYTES);
  if (answer.status !== 200) return [];
  return parseHasAnswer(JSON.parse(body.toString('utf8')), 'batch').objects;
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
