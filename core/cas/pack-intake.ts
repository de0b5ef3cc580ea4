/**
 * Takes a pack from somebody who is not trusted. Promise: only a pack whose every byte was accounted for and whose every frame proved
 * itself is stored; memory is bounded by one frame and the tables.
 */
import type { Backend } from '../backend/backend.ts';
import type { ByteStream } from '../bytes.ts';
import { DatamonError } from '../errors.ts';
import type { Random } from '../random.ts';
import { createByteQueue } from './byte-queue.ts';
import { OPEN_PACK_LACKS_BYTES } from './container-format.ts';
import { openTables } from './container-reader.ts';
import { PACK_SIZE_MAX_BYTES } from './container-writer.ts';
import { type Containers, refOf } from './containers.ts';
import type { AcceptedPack, IncomingPack } from './ingest.ts';
import { type ParsedPack, provePack } from './pack-proof.ts';
import { createThreadProver, provesBeside } from './prove-thread.ts';
import { holdRoom } from './roomy-heap.ts';
import { createSpool, type Spool } from './spool.ts';
import { storeContainer } from './store-container.ts';

export interface PackIntakeOptions {
  readonly backend: Backend;
  readonly containers: Containers;
  readonly spoolDir: string;
  readonly random: Random;
}

export async function takePack(
  options: PackIntakeOptions,
  offer: IncomingPack,
): Promise<AcceptedPack> {
  const { sizeBytes } = offer;
  if (sizeBytes > PACK_SIZE_MAX_BYTES) {
    throw new DatamonError(
      'TOO_LARGE',
      `a pack of ${sizeBytes} bytes; ${PACK_SIZE_MAX_BYTES} are the most`,
    );
  }
  const take = provesBeside(sizeBytes) ? takeBeside : takeHere;
  return await take(options, offer);
}

async function takeHere(options: PackIntakeOptions, offer: IncomingPack): Promise<AcceptedPack> {
  const spool = createSpool({ ...options, spoolPath: options.backend.spoolPath });
  const queue = createByteQueue(spooling(offer, (bytes) => spool.write(bytes)));
  try {
    return await store(options, offer, { spool, proved: await provePack(queue, offer) });
  } finally {
    await queue.close();
    await spool.dispose();
  }
}

/** The thread reads the blocks that are written to the spool where they lie. */
async function takeBeside(options: PackIntakeOptions, offer: IncomingPack): Promise<AcceptedPack> {
  const leaveRoom = holdRoom();
  const prover = createThreadProver(offer);
  const { spoolPath } = options.backend;
  const spool = createSpool({ ...options, spoolPath, memorySizeMaxBytes: 0, blockReader: prover });
  try {
    for await (const _ of spooling(offer, (bytes) => spool.write(bytes)));
    await spool.endReading();
    return await store(options, offer, { spool, proved: await prover.proved() });
  } finally {
    prover.drop();
    await spool.dispose();
    leaveRoom();
  }
}

async function store(
  { backend, containers }: PackIntakeOptions,
  { id, sizeBytes }: IncomingPack,
  { spool, proved }: { readonly spool: Spool; readonly proved: ParsedPack },
): Promise<AcceptedPack> {
  const { trailer, tables, frameCount } = proved;
  const key = containers.keyOf({ kind: 'pack', id, tier: 0 });
  await spool.write(proved.end);
  await storeContainer(backend, key, await spool.finish(), trailer);
  const opened = openTables(trailer, tables, sizeBytes, `the pack ${id}`);
  containers.remember(refOf(opened, 0), opened);
  return { id, frameCount, sizeBytes };
}

/** Passes bytes on while spooling them. INVALID unless there are exactly as many as announced. */
async function* spooling(
  { stream, sizeBytes: packBytes, form }: IncomingPack,
  spool: (bytes: Uint8Array) => Promise<void>,
): ByteStream {
  const sizeBytes = form === 'open' ? packBytes - OPEN_PACK_LACKS_BYTES : packBytes;
  let done = 0;
  for await (const bytes of stream) {
    done += bytes.length;
    if (done > sizeBytes) break;
    await spool(bytes);
    yield bytes;
  }
  if (done !== sizeBytes) {
    throw new DatamonError(
      'INVALID',
      `a pack of ${sizeBytes} bytes was announced, ${done} or more came`,
    );
  }
}
