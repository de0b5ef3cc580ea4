/** Proves one object of a store by its key and bytes, with the readers that core has: CORRUPT or INVALID whatever bit of it is wrong. */
import {
  CONTAINER_TRAILER_SIZE_BYTES,
  type ContainerName,
  parseHeader,
  parseTrailer,
  TRAILER_DIGESTED_SIZE_BYTES,
} from '../../core/cas/container-format.ts';
import { checkTrailer, framesOf, openTables } from '../../core/cas/container-reader.ts';
import { openSegmentTables } from '../../core/cas/segment-tables.ts';
import { digestOf } from '../../core/digest.ts';
import { DatamonError } from '../../core/errors.ts';
import { openSealedJson } from '../../core/json.ts';
import { type ContainerId, type Key, parseContainerId } from '../../core/keys.ts';

export async function proveStored(key: Key, bytes: Buffer): Promise<void> {
  const pack = /^pools\/[^/]+\/packs\/[0-9a-f]{2}\/([0-9a-f]{32})$/.exec(key)?.[1];
  const segment = /^repos\/[^/]+\/segments\/[0-9]-([0-9a-f]{32})$/.exec(key)?.[1];
  const bundle = /^repos\/[^/]+\/bundles\/([0-9a-f]{64})$/.exec(key)?.[1];
  if (pack !== undefined) await proveContainer(key, bytes, nameOf('pack', pack));
  else if (segment !== undefined) await proveContainer(key, bytes, nameOf('segment', segment));
  else if (bundle === undefined) openSealedJson(bytes, key);
  else if (digestOf(bytes) !== bundle) {
    throw new DatamonError('CORRUPT', `${key} is not what its name says`);
  }
}

const nameOf = (kind: ContainerName['kind'], id: string): ContainerName => ({
  kind,
  id: parseContainerId(id) as ContainerId,
});

async function proveContainer(key: Key, bytes: Buffer, name: ContainerName): Promise<void> {
  const trailer = parseTrailer(bytes.subarray(-CONTAINER_TRAILER_SIZE_BYTES), key);
  checkTrailer(trailer, name, bytes.length, key);
  const digested = bytes.length - CONTAINER_TRAILER_SIZE_BYTES + TRAILER_DIGESTED_SIZE_BYTES;
  if (digestOf(bytes.subarray(0, digested)) !== trailer.wholeDigest) {
    throw new DatamonError('CORRUPT', `${key} does not hash to what its trailer says`);
  }
  parseHeader(bytes, key);
  const { tablesOffset, tablesLength } = trailer;
  const raw = bytes.subarray(tablesOffset, tablesOffset + tablesLength);
  const tables = openTables(trailer, raw, bytes.length, key);
  if (name.kind === 'segment') openSegmentTables(tables, key);
  let count = 0;
  for await (const _ of framesOf(oneStream(bytes.subarray(64, tablesOffset)), name.id, 64, key)) {
    count += 1;
  }
  if (count !== tables.frames.count) {
    throw new DatamonError('CORRUPT', `${key} has ${count} frames, not ${tables.frames.count}`);
  }
}

async function* oneStream(bytes: Buffer): AsyncIterable<Uint8Array> {
  if (bytes.length > 0) yield bytes;
}
