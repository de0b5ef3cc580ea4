/** The repo a call is about, which must exist. */
import { noSuchRepo } from '../access.ts';
import type { ServedRepo } from '../repos.ts';
import type { Call } from '../route.ts';

/** NOT_FOUND where it does not. */
export async function served(call: Call): Promise<ServedRepo> {
  const found = await call.deps.repos.find(call.repo);
  if (found === null) throw noSuchRepo(call.repo);
  return found;
}
