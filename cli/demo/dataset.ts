/** The demo's data: made from a seed, shaped like what people really push. Every run makes the same bytes. */
import { appendFile, mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32, deflateSync } from 'node:zlib';

const READING_COUNT = 220_000;
const READING_ADDED_COUNT = 4_000;
const COLUMN_FILE_BYTES = 20 * 1000 * 1000;
const COLUMN_EDIT_BYTES = 48 * 1024;
const CHECKPOINT_FLOAT_COUNT = 5_000_000;
const IMAGE_COUNT = 200;
const IMAGE_SIDE_PIXELS = 64;

/** Numbers in [0, 1), the same for the same seed (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function readings(firstRow: number, count: number): string {
  const random = seeded(firstRow + 1);
  const rows: string[] = [];
  for (let row = firstRow; row < firstRow + count; row += 1) {
    const at = new Date(Date.UTC(2026, 2, 1) + row * 12_000).toISOString().slice(0, 19);
    const celsius = (9 + 8 * Math.sin(row / 7200) + random() * 2).toFixed(2);
    rows.push(
      `${at}Z,station-${(row % 40) + 1},${celsius},${(60 + random() * 30).toFixed(1)},${(990 + random() * 40).toFixed(1)}\n`,
    );
  }
  return rows.join('');
}

/** Looks like a column file: dense bytes behind a magic, no two regions alike. */
function columnBytes(seed: number, sizeBytes: number): Buffer {
  const random = seeded(seed);
  const words = new Uint32Array(Math.ceil(sizeBytes / 4));
  for (let index = 0; index < words.length; index += 1) words[index] = random() * 2 ** 32;
  return Buffer.from(words.buffer, 0, sizeBytes);
}

function weights(seed: number, count: number): Buffer {
  const random = seeded(seed);
  const floats = new Float32Array(count);
  for (let index = 0; index < count; index += 1)
    floats[index] = (random() + random() + random() - 1.5) * 0.04;
  return Buffer.from(floats.buffer);
}

function pngChunk(type: string, body: Buffer): Buffer {
  const typed = Buffer.concat([Buffer.from(type, 'latin1'), body]);
  const frame = Buffer.alloc(8);
  frame.writeUInt32BE(body.length, 0);
  frame.writeUInt32BE(crc32(typed), 4);
  return Buffer.concat([frame.subarray(0, 4), typed, frame.subarray(4)]);
}

/** A real PNG of a cloudy sky (PNG specification, §5 and §11). */
function image(seed: number): Buffer {
  const random = seeded(seed);
  const side = IMAGE_SIDE_PIXELS;
  const rows = Buffer.alloc(side * (1 + side * 3));
  for (let y = 0; y < side; y += 1) {
    for (let x = 0; x < side; x += 1) {
      const at = y * (1 + side * 3) + 1 + x * 3;
      const cloud = 90 * Math.sin(x / 9 + seed) * Math.cos(y / 7) + random() * 60;
      rows[at] = Math.max(0, Math.min(255, 120 + cloud));
      rows[at + 1] = Math.max(0, Math.min(255, 160 + cloud * 0.8));
      rows[at + 2] = Math.max(0, Math.min(255, 220 + cloud * 0.3));
    }
  }
  const header = Buffer.from([0, 0, 0, side, 0, 0, 0, side, 8, 2, 0, 0, 0]);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([
    signature,
    pngChunk('IHDR', header),
    pngChunk('IDAT', deflateSync(rows)),
    pngChunk('IEND', Buffer.alloc(0)),
  ]);
}

const CSV = 'readings.csv';
const COLUMNS = 'stations.parquet';
const CHECKPOINT = 'model.ckpt';

/** Writes the first version: a table, a column file, a model checkpoint and two hundred small images. */
export async function writeFirstVersion(folder: string): Promise<void> {
  await writeFile(
    join(folder, 'README.md'),
    '# Weather\n\nReadings of forty stations, sky photographs and a model trained on both.\n',
  );
  await writeFile(
    join(folder, CSV),
    `time,station,celsius,humidity,hectopascal\n${readings(0, READING_COUNT)}`,
  );
  await writeFile(
    join(folder, COLUMNS),
    Buffer.concat([Buffer.from('PAR1'), columnBytes(11, COLUMN_FILE_BYTES), Buffer.from('PAR1')]),
  );
  await writeFile(join(folder, CHECKPOINT), weights(23, CHECKPOINT_FLOAT_COUNT));
  await mkdir(join(folder, 'sky'));
  for (let index = 0; index < IMAGE_COUNT; index += 1) {
    await writeFile(join(folder, 'sky', `${String(index).padStart(3, '0')}.png`), image(index));
  }
}

/** Changes it as people do: rows appended, a column edited in the middle, a tenth of the model retrained. */
export async function writeSecondVersion(folder: string): Promise<void> {
  await appendFile(join(folder, CSV), readings(READING_COUNT, READING_ADDED_COUNT));
  const columns = await readFile(join(folder, COLUMNS));
  const middle = Math.floor(columns.length / 2);
  const edited = Buffer.concat([
    columns.subarray(0, middle),
    columnBytes(12, COLUMN_EDIT_BYTES),
    columns.subarray(middle),
  ]);
  await writeFile(join(folder, COLUMNS), edited);
  const retrained = weights(29, CHECKPOINT_FLOAT_COUNT / 10);
  const file = await open(join(folder, CHECKPOINT), 'r+');
  try {
    await file.write(retrained, 0, retrained.length, 4 * Math.floor(CHECKPOINT_FLOAT_COUNT * 0.9));
  } finally {
    await file.close();
  }
}
