/** Bounded lines: never more than the cap is held of one, and the next is whole. */
import { PassThrough } from 'node:stream';
import { expect } from 'chai';
import { readLines } from '../../agent/lines.ts';
import { LINE_SIZE_MAX_BYTES } from '../../agent/messages.ts';

function read(pieces: readonly (string | Buffer)[]): Promise<string[]> {
  return new Promise((resolve) => {
    const input = new PassThrough();
    const lines: string[] = [];
    readLines(input, { onLine: (line) => lines.push(line), onEnd: () => resolve(lines) });
    for (const piece of pieces) input.write(piece);
    input.end();
  });
}

describe('agent/lines', () => {
  it('cuts a line of 10 MiB at one byte over the cap, and keeps those around it', async () => {
    const long = Buffer.alloc(10 * LINE_SIZE_MAX_BYTES, 'x');
    const [before, cut, after] = await read(['before\n', long, '\nafter\n']);
    expect([before, after]).to.deep.equal(['before', 'after']);
    expect(cut).to.have.length(LINE_SIZE_MAX_BYTES + 1);
  });

  it('keeps a line of exactly the cap', async () => {
    const line = 'y'.repeat(LINE_SIZE_MAX_BYTES);
    expect(await read([line, '\n'])).to.deep.equal([line]);
  });

  it('keeps a character that is cut between two pieces', async () => {
    const bytes = Buffer.from('grün\n');
    expect(await read([bytes.subarray(0, 3), bytes.subarray(3)])).to.deep.equal(['grün']);
  });

  it('tells the end once, also where the input breaks', async () => {
    const input = new PassThrough();
    let ends = 0;
    await new Promise<void>((resolve) => {
      readLines(input, {
        onLine: () => undefined,
        onEnd: () => {
          ends += 1;
          resolve();
        },
      });
      input.destroy(new Error('broken'));
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(ends).to.equal(1);
  });

  it('reads nothing more once it was stopped', async () => {
    const input = new PassThrough();
    const lines: string[] = [];
    const stop = readLines(input, { onLine: (line) => lines.push(line), onEnd: () => undefined });
    stop();
    input.write('late\n');
    await new Promise((resolve) => setImmediate(resolve));
    expect(lines).to.deep.equal([]);
  });
});
