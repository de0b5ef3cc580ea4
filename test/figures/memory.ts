/**
 * How much memory storing a generated stream takes: `node test/figures/memory.ts [MiB]`, 4096 by default. Prints one JSON line with
 * the peak. Packs are read and dropped, so that the figure is the writer's alone and no disk needs to hold the stream.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Backend } from '../../core/backend/backend.ts';
import { createMemoryBackend } from '../../core/backend/memory.ts';
import { openDirectStores } from '../../core/cas/direct-store.ts';
import type { PoolParameters } from '../../core/cas/pool.ts';
import { createHasher } from '../../core/digest.ts';
import { type PoolName, parseRepoName } from '../../core/keys.ts';
import { stampedStream } from '../support/stamped-stream.ts';

const MIB = 1024 * 1024;
const POOL: PoolParameters = {
  pool: 'figures' as PoolName,
  seed: 'f1'.repeat(32),
  minBytes: 16 * 1024,
  averageBytes: 64 * 1024,
  maxBytes: 256 * 1024,
};

/** Holds segments; reads packs to their end and forgets them. */
function forgetfulBackend(): Backend {
  const memory = createMemoryBackend();
  return {
    ...memory,
    async putIfAbsent(key, body) {
      if (!key.includes('/packs/')) return memory.putIfAbsent(key, body);
      for await (const _ of body.open()) {
        // Read as a backend would.
      }
      return { created: true };
    },
  };
}

/** Linux hands a parent's peak on to what it executes in `maxRSS`; VmHWM is this process's own. */
async function peakRssMib(): Promise<number> {
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '');
  const own = /^VmHWM:\s+(\d+) kB/m.exec(status)?.[1];
  return Math.round(Number(own ?? process.resourceUsage().maxRSS) / 1024);
}

async function measure(sizeMib: number): Promise<object> {
  const hasher = createHasher();
  for await (const piece of stampedStream(0, sizeMib)) hasher.update(piece);
  const oid = hasher.digest();
  const spoolDir = await mkdtemp(join(tmpdir(), 'datamon-figures-'));
  try {
    const stores = await openDirectStores({
      backend: forgetfulBackend(),
      repo: parseRepoName('figures/memory'),
      pool: POOL,
      spoolDir,
      childrenOf: () => [],
    });
    const began = process.hrtime.bigint();
    const open = () => stampedStream(0, sizeMib);
    const receipt = await stores.blobs.put({ oid, sizeBytes: sizeMib * MIB, open });
    await stores.close();
    const seconds = Number(process.hrtime.bigint() - began) / 1e9;
    const peakMib = await peakRssMib();
    return { sizeMib, peakMib, seconds, newBytes: receipt.newBytes, packCount: receipt.packCount };
  } finally {
    await rm(spoolDir, { recursive: true, force: true });
  }
}

process.stdout.write(`${JSON.stringify(await measure(Number(process.argv[2] ?? 4096)))}\n`);
