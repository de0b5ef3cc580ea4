/**
 * A store's backend as every program opens it. Promises: what may pass is tried again; no store is made at a service that was not
 * proven; a store with replicas is one backend over all of them, which costs any other store a list of one key.
 */
import { isBucketUrl, openBackend } from '../backends/open.ts';
import type { Backend } from '../core/backend/backend.ts';
import { createProvenBackend, proveCapabilities } from '../core/backend/capabilities.ts';
import { createRetryingBackend, type RetryPolicy } from '../core/backend/retrying.ts';
import { DatamonError } from '../core/errors.ts';
import { secureRandom } from '../core/random.ts';
import { configNumber } from '../core/replication/config.ts';
import type { Group, GroupEvent } from '../core/replication/group.ts';
import { REAL_PACE } from './retry.ts';

export interface StoreAccess {
  readonly signal?: AbortSignal | undefined;
  /** How patient to be with the store. */
  readonly policy?: RetryPolicy;
  /** Replicas to ask where the store itself does not answer or has lost its contents. */
  readonly replicas?: readonly string[];
  readonly onEvent?: (event: GroupEvent, key: string) => void;
}

export interface StorePlaces {
  readonly backend: Backend;
  /** Null for a store with one place. */
  readonly group: Group | null;
}

export async function openStoreBackend(
  storeUrl: string,
  access: StoreAccess = {},
): Promise<Backend> {
  return (await openStorePlaces(storeUrl, access)).backend;
}

export async function openStorePlaces(
  storeUrl: string,
  access: StoreAccess = {},
): Promise<StorePlaces> {
  const { replicas = [] } = access;
  const opened = await openBackend(storeUrl);
  const retried = retrying(opened, access);
  const alone: StorePlaces = { backend: proven(storeUrl, retried), group: null };
  if (replicas.length === 0 && (await configNumber(retried)) === 0) return alone;
  const group = await openGroupOf(opened, access);
  if (group === null) return alone;
  const { createReplicatedBackend } = await import('../core/backend/replicated.ts');
  return { backend: retrying(createReplicatedBackend(group), access), group };
}

async function openGroupOf(
  opened: Backend,
  { replicas = [], onEvent }: StoreAccess,
): Promise<Group | null> {
  const [{ openGroup }, { proveCopy }] = await Promise.all([
    import('../core/replication/open-group.ts'),
    import('../core/replication/prove-copy.ts'),
  ]);
  return await openGroup(opened, {
    openMember: openPlace,
    prove: proveCopy,
    random: secureRandom,
    replicas,
    ...(onEvent && { onEvent }),
  });
}

/** One place of a store: what fails there is answered elsewhere, so nothing is tried again. */
export async function openPlace(url: string): Promise<Backend> {
  return proven(url, await openBackend(url));
}

/** Proving is outermost, so that a failure that passes is no broken promise. */
const proven = (url: string, backend: Backend): Backend =>
  isBucketUrl(url) ? createProvenBackend(backend, secureRandom) : backend;

/** Proves at a service that it still keeps its promises. A folder is no service: its promises are the operating system's. */
export async function proveStore(storeUrl: string, backend: Backend): Promise<void> {
  if (isBucketUrl(storeUrl)) await proveCapabilities(backend, secureRandom);
}

function retrying(backend: Backend, { signal, policy }: StoreAccess): Backend {
  const world = {
    nowMs: () => performance.now(),
    sleep: (ms: number) => sleepUnlessStopped(ms, signal),
    random: Math.random,
  };
  return createRetryingBackend(backend, world, policy);
}

async function sleepUnlessStopped(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await REAL_PACE.sleep(ms, signal);
  } catch (cause) {
    throw new DatamonError('CANCELLED', 'stopped while waiting for the store', { cause });
  }
}
