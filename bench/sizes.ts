/** How much work each work is: `full` is what the targets are stated for, `quick` tries everything in minutes, `tiny` is for tests. */
import type { SizeName } from './model.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

export interface Sizes {
  readonly name: SizeName;
  readonly rounds: number;
  /** Round trips of the network, in milliseconds. */
  readonly delaysMs: readonly number[];
  readonly bigFileBytes: number;
  readonly insertedBytes: number;
  readonly smallFileCount: number;
  readonly smallFileBytes: number;
  /** Files of the tree that is pushed again with nothing new. */
  readonly treeFileCount: number;
  readonly rowFileBytes: number;
  readonly versionCount: number;
  readonly batchCount: number;
  readonly batchObjectCount: number;
  readonly connectionCount: number;
  readonly readBytes: number;
  /** Files of the bundles compared: the lesser and the greater. */
  readonly bundleFileCounts: readonly [number, number];
  readonly clientCount: number;
  readonly clientFileBytes: number;
  /** Starts of a program in one round. */
  readonly startCount: number;
}

export const SIZES: Readonly<Record<SizeName, Sizes>> = {
  full: {
    name: 'full',
    rounds: 5,
    delaysMs: [0, 20, 80],
    bigFileBytes: 1024 * MIB,
    insertedBytes: MIB,
    smallFileCount: 10_000,
    smallFileBytes: 10 * KIB,
    treeFileCount: 100_000,
    rowFileBytes: 200 * MIB,
    versionCount: 20,
    batchCount: 4_000,
    batchObjectCount: 100,
    connectionCount: 32,
    readBytes: 64 * KIB,
    bundleFileCounts: [100_000, 1_000_000],
    clientCount: 8,
    clientFileBytes: 64 * MIB,
    startCount: 10,
  },
  quick: {
    name: 'quick',
    rounds: 2,
    delaysMs: [0, 20, 80],
    bigFileBytes: 32 * MIB,
    insertedBytes: MIB,
    smallFileCount: 300,
    smallFileBytes: 10 * KIB,
    treeFileCount: 1_000,
    rowFileBytes: 8 * MIB,
    versionCount: 4,
    batchCount: 200,
    batchObjectCount: 100,
    connectionCount: 32,
    readBytes: 64 * KIB,
    bundleFileCounts: [2_000, 20_000],
    clientCount: 8,
    clientFileBytes: 4 * MIB,
    startCount: 3,
  },
  tiny: {
    name: 'tiny',
    rounds: 1,
    delaysMs: [5],
    bigFileBytes: 2 * MIB,
    insertedBytes: 64 * KIB,
    smallFileCount: 12,
    smallFileBytes: 4 * KIB,
    treeFileCount: 30,
    rowFileBytes: 512 * KIB,
    versionCount: 2,
    batchCount: 8,
    batchObjectCount: 10,
    connectionCount: 4,
    readBytes: 16 * KIB,
    bundleFileCounts: [300, 3_000],
    clientCount: 2,
    clientFileBytes: 256 * KIB,
    startCount: 1,
  },
};
