/** Streams of bytes: collected within a limit, verified to the last byte. */
import { expect } from 'chai';
import { type ByteStream, collect, verified } from '../../core/bytes.ts';
import { digestOf } from '../../core/digest.ts';
import { codeOf, errorOf } from '../support/code-of.ts';
import { seededBytes } from '../support/splitmix64.ts';

async function* pieces(...parts: readonly (string | Uint8Array)[]): ByteStream {
  for (const part of parts) yield Buffer.from(part as string);
}

/** Counts how far a stream was read and whether it was closed. */
function watched(count: number) {
  const seen = { read: 0, closed: false };
  async function* stream(): ByteStream {
    try {
      for (; seen.read < count; ) {
        seen.read += 1;
        yield Buffer.from('12345');
      }
    } finally {
      seen.closed = true;
    }
  }
  return { seen, stream: stream() };
}

const expected = (bytes: string) => ({
  digest: digestOf(bytes),
  sizeBytes: Buffer.byteLength(bytes),
});
const whole = (stream: ByteStream): Promise<Buffer> => collect(stream, 1_000_000);

describe('collect', () => {
  it('joins pieces, empty ones too', async () => {
    expect((await collect(pieces('a', '', 'bc'), 3)).toString()).to.equal('abc');
    expect(await collect(pieces(), 0)).to.have.length(0);
  });

  it('stops at the first byte too many (TOO_LARGE) and closes the stream', async () => {
    const { seen, stream } = watched(1000);
    expect(await codeOf(collect(stream, 12))).to.equal('TOO_LARGE');
    expect(seen).to.deep.equal({ read: 3, closed: true });
  });
});

describe('verified', () => {
  it('passes on exactly the bytes expected', async () => {
    expect((await whole(verified(pieces('ab', 'c'), expected('abc')))).toString()).to.equal('abc');
    expect(await whole(verified(pieces(), expected('')))).to.have.length(0);
  });

  it('refuses bytes that end early (CORRUPT), saying how many came', async () => {
    const error = await errorOf(whole(verified(pieces('ab'), expected('abc'))));
    expect(error.code).to.equal('CORRUPT');
    expect(error.message).to.contain('expected 3 bytes').and.to.contain('read 2');
  });

  it('refuses bytes beyond the end, and passes none of that piece on', async () => {
    const passed: string[] = [];
    const error = await errorOf(async () => {
      for await (const part of verified(pieces('abc', 'd'), expected('abc')))
        passed.push(part.toString());
    });
    expect(error.code).to.equal('CORRUPT');
    expect(passed).to.deep.equal(['abc']);
  });

  it('refuses any single wrong bit (CORRUPT)', async () => {
    const bytes = seededBytes(1, 64);
    const good = { digest: digestOf(bytes), sizeBytes: bytes.length };
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const wrong = Buffer.from(bytes);
      const at = Math.floor(bit / 8);
      wrong[at] = (wrong[at] ?? 0) ^ (1 << (bit % 8));
      expect(await codeOf(whole(verified(pieces(wrong), good))), `bit ${bit}`).to.equal('CORRUPT');
    }
  });

  it('closes its source when the reader stops early', async () => {
    const { seen, stream } = watched(1000);
    for await (const _ of verified(stream, { digest: digestOf(''), sizeBytes: 5000 })) break;
    expect(seen).to.deep.equal({ read: 1, closed: true });
  });
});
