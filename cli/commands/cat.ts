/** `datamon cat`: the bytes of one file to stdout, each verified before it is written. */
import type { ByteRange } from '../../core/backend/backend.ts';
import type { ByteStream } from '../../core/bytes.ts';
import { DatamonError } from '../../core/errors.ts';
import type { Entry } from '../../core/meta/model.ts';
import { parseRefPath } from '../../core/meta/ref-text.ts';
import type { Repository } from '../../core/meta/repository.ts';
import { type Options, usageError } from '../args.ts';
import type { Command, Outcome } from '../command.ts';
import type { Context } from '../context.ts';
import { noSuchPath, Snapshots } from '../snapshot.ts';

export const cat: Command<never> = {
  usage: ['cat REF:PATH [--range A-B]'],
  about:
    'writes a file’s bytes to stdout. Every byte is verified first; damage ends it with status 13. `:PATH` alone means HEAD in a clone, else the newest push.',
  examples: [
    ['cat main:data/readings.csv | head', 'look into a file'],
    ['cat v1.0:model.bin --range 0-1023', 'the first KiB; both ends count, as in HTTP'],
  ],
  options: {
    range: { type: 'string', value: 'A-B', summary: 'bytes A to B, both included; A- to the end' },
  },
  operands: { names: ['REF:PATH'], min: 1, max: 1 },
  run: runCat,
  view: { id: () => null },
};

async function runCat(context: Context, options: Options): Promise<Outcome<never>> {
  const [text = ''] = options.operands;
  const { ref, path } = parseRefPath(text);
  if (path === '') throw usageError(`${JSON.stringify(text)} names no file; write REF:PATH`, 'cat');
  const range = parseRange(options.text('range'));
  const snapshots = await Snapshots.open(context);
  const snapshot = ref === null ? await snapshots.byDefault() : await snapshots.at(ref);
  const entry = await snapshots.find(snapshot, path);
  if (entry === null) throw noSuchPath(snapshot, text.slice(text.indexOf(':') + 1));
  return { rows: [], bytes: bytesOf(snapshots.repository, entry, text, range) };
}

/** `A-B` as HTTP has it, both ends included; `A-` to the end. */
export function parseRange(text: string | undefined): ByteRange | undefined {
  if (text === undefined) return undefined;
  const [, first = '', last = ''] = /^([0-9]{1,16})-([0-9]{0,16})$/.exec(text) ?? [];
  const start = Number(first);
  const end = last === '' ? undefined : Number(last) + 1;
  if (first === '' || !Number.isSafeInteger(start) || (end !== undefined && end <= start)) {
    throw usageError(`--range needs A-B or A-, not ${JSON.stringify(text)}`, 'cat');
  }
  return end === undefined ? { start } : { start, end };
}

/** The bytes behind an entry, or why there are none. */
function bytesOf(
  repository: Repository,
  entry: Entry,
  name: string,
  range: ByteRange | undefined,
): ByteStream {
  if (entry.kind !== 'lfs' && entry.kind !== 'git') {
    throw new DatamonError('UNSUPPORTED', `${name} is a ${entry.kind}, not a file`);
  }
  if (range !== undefined && range.start >= entry.sizeBytes && entry.sizeBytes > 0) {
    throw new DatamonError(
      'INVALID',
      `${name} has ${entry.sizeBytes} bytes; ${range.start} is past them`,
    );
  }
  if (entry.oid === null || entry.sizeBytes === 0) return noBytes();
  return repository.blobs.get(entry.oid, range);
}

async function* noBytes(): ByteStream {}
