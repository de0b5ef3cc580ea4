/** The store or server behind a clone: reached, read and listed; who we are there; what is not confirmed. */
import { formatCount } from '../client/format.ts';
import { DatamonError } from '../core/errors.ts';
import type { Context } from './context.ts';
import { type Finding, finding } from './doctor-check.ts';

const inStore = finding('store');

export async function storeFindings(context: Context): Promise<readonly Finding[]> {
  try {
    const { url, text } = await context.address();
    const repository = await context.repository();
    const { history } = repository;
    const { pool } = await history.info();
    const where = url.kind === 'server' ? 'the server answers' : 'the store can be read';
    let branches = 0;
    for await (const { event } of history.branches()) if (event.bundle !== null) branches += 1;
    let pending = 0;
    for await (const announced of history.pending()) {
      void announced;
      pending += 1;
    }
    return [
      inStore('reachable', true, `${where}: ${text}`),
      inStore(
        'repo',
        true,
        `${repository.name} is there, in pool ${pool}, with ${formatCount(branches, 'branch', 'branches')}`,
      ),
      inStore(
        'pending',
        pending === 0,
        pending === 0
          ? 'every push is confirmed'
          : `${formatCount(pending, 'push', 'pushes')} announced and not seen to arrive`,
        { fix: 'datamon record' },
      ),
    ];
  } catch (error) {
    if (!(error instanceof DatamonError) || error.code === 'CANCELLED') throw error;
    return [inStore('reachable', false, error.message, { fix: fixFor(error) })];
  }
}

/** The command in a hint, where there is one. */
function fixFor(error: DatamonError): string {
  const command = /(datamon [a-z][^;]*|git [a-z][^;]*)$/.exec(error.hint ?? '')?.[1];
  if (command !== undefined) return command;
  return error.code === 'UNAUTHENTICATED' ? 'datamon login' : 'datamon init URL';
}
