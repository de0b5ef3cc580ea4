/** Reads many git objects through one `cat-file --batch`: each is hashed as it passes, and only small ones are kept. */
import { createHasher, type Digest, type Hasher } from '../core/digest.ts';
import { DatamonError } from '../core/errors.ts';
import { TRUE_OBJECTS } from './commit.ts';
import type { Git } from './git.ts';

export interface ReadObject {
  readonly sha: string;
  readonly type: string;
  readonly sizeBytes: number;
  /** SHA-256 of the content. */
  readonly digest: Digest;
  /** The content, null where it is longer than asked for. */
  readonly content: Buffer | null;
}

export interface ReadOptions {
  /** Contents up to this size are kept. */
  readonly keepBytes: number;
}

/** The objects in the order of `shas`. INCOMPLETE, naming it, for one the clone does not have. */
export async function* readObjects(
  git: Git,
  shas: Iterable<string>,
  options: ReadOptions,
): AsyncGenerator<ReadObject> {
  const parser = new BatchParser(options.keepBytes);
  const output = git.stream(['cat-file', '--batch', '--buffer'], {
    input: linesOf(shas),
    env: TRUE_OBJECTS,
  });
  for await (const bytes of output) {
    parser.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
    for (let object = parser.next(); object !== null; object = parser.next()) yield object;
  }
}

const LINES_PER_WRITE = 256;

async function* linesOf(shas: Iterable<string>): AsyncGenerator<string> {
  let lines: string[] = [];
  for (const sha of shas) {
    lines.push(sha);
    if (lines.length >= LINES_PER_WRITE) {
      yield `${lines.join('\n')}\n`;
      lines = [];
    }
  }
  if (lines.length > 0) yield `${lines.join('\n')}\n`;
}

interface OpenObject {
  readonly sha: string;
  readonly type: string;
  readonly sizeBytes: number;
  readonly hasher: Hasher;
  readonly kept: Buffer[];
  doneBytes: number;
}

const NEWLINE = 0x0a;

/** `<sha> <type> <size>\n<content>\n`, or `<sha> missing\n`, over and over. */
class BatchParser {
  readonly #keepBytes: number;
  #buffer: Buffer = Buffer.alloc(0);
  #open: OpenObject | null = null;

  constructor(keepBytes: number) {
    this.#keepBytes = keepBytes;
  }

  push(bytes: Buffer): void {
    this.#buffer = this.#buffer.length === 0 ? bytes : Buffer.concat([this.#buffer, bytes]);
  }

  /** The next object whose content is complete, or null until more is pushed. */
  next(): ReadObject | null {
    this.#open ??= this.#readHeader();
    const open = this.#open;
    if (open === null) return null;
    const part = this.#buffer.subarray(0, open.sizeBytes - open.doneBytes);
    open.hasher.update(part);
    if (open.sizeBytes <= this.#keepBytes) open.kept.push(part);
    open.doneBytes += part.length;
    this.#buffer = this.#buffer.subarray(part.length);
    if (open.doneBytes < open.sizeBytes || this.#buffer.length === 0) return null;
    this.#buffer = this.#buffer.subarray(1);
    this.#open = null;
    return {
      sha: open.sha,
      type: open.type,
      sizeBytes: open.sizeBytes,
      digest: open.hasher.digest(),
      content: open.sizeBytes <= this.#keepBytes ? Buffer.concat(open.kept) : null,
    };
  }

  #readHeader(): OpenObject | null {
    const end = this.#buffer.indexOf(NEWLINE);
    if (end < 0) return null;
    const header = this.#buffer.subarray(0, end).toString('latin1');
    this.#buffer = this.#buffer.subarray(end + 1);
    const [sha = '', type = '', size = ''] = header.split(' ');
    if (size === '') {
      throw new DatamonError('INCOMPLETE', `this clone does not have the git object ${sha}`, {
        hint: 'Fetch it: git fetch --refetch',
      });
    }
    return { sha, type, sizeBytes: Number(size), hasher: createHasher(), kept: [], doneBytes: 0 };
  }
}
