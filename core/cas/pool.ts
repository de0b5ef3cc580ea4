/** What a pool fixes for all who write into it (docs/format.md §5). */
import type { PoolName } from '../keys.ts';

export interface PoolParameters {
  readonly pool: PoolName;
  /** 64 hex digits; secret to those who may write into the pool. */
  readonly seed: string;
  readonly minBytes: number;
  readonly averageBytes: number;
  readonly maxBytes: number;
}

export const CHUNK_SIZE_MIN_BYTES = 16 * 1024;
export const CHUNK_SIZE_AVERAGE_BYTES = 64 * 1024;
export const CHUNK_SIZE_MAX_BYTES = 256 * 1024;
