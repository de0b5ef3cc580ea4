/** A store's backend as every program opens it. Promise: what may pass is tried again, and no store is made at a service that was not proven. */
import { isBucketUrl, openBackend } from '../backends/open.ts';
import type { Backend } from '../core/backend/backend.ts';
import { createProvenBackend, proveCapabilities } from '../core/backend/capabilities.ts';
import { createRetryingBackend, type RetryPolicy } from '../core/backend/retrying.ts';
import { DatamonError } from '../core/errors.ts';
import { secureRandom } from '../core/random.ts';
import { REAL_PACE } from './retry.ts';

export interface StoreAccess {
  readonly signal?: AbortSignal | undefined;
  /** How patient to be with the store. */
  readonly policy?: RetryPolicy;
}

/** Proving is outermost, so that a failure that passes is no broken promise. */
export async function openStoreBackend(
  storeUrl: string,
  { signal, policy }: StoreAccess = {},
): Promise<Backend> {
  const world = {
    nowMs: () => performance.now(),
    sleep: (ms: number) => sleepUnlessStopped(ms, signal),
    random: Math.random,
  };
  const retrying = createRetryingBackend(await openBackend(storeUrl), world, policy);
  return isBucketUrl(storeUrl) ? createProvenBackend(retrying, secureRandom) : retrying;
}

/** Proves at a service that it still keeps its promises. A folder is no service: its promises are the operating system's. */
export async function proveStore(storeUrl: string, backend: Backend): Promise<void> {
  if (isBucketUrl(storeUrl)) await proveCapabilities(backend, secureRandom);
}

async function sleepUnlessStopped(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await REAL_PACE.sleep(ms, signal);
  } catch (cause) {
    throw new DatamonError('CANCELLED', 'stopped while waiting for the store', { cause });
  }
}
