/** Tables, colours, and readers that leave. */
import { Writable } from 'node:stream';
import { expect } from 'chai';
import { Output, ReaderGone, styleOf, tableLines, wantsColor } from '../../cli/output.ts';
import { formatPerson, harmless, shownPath } from '../../cli/rows.ts';

const PLAIN = styleOf(false);

describe('output', () => {
  it('colours where a terminal reads and nobody declined', () => {
    expect(wantsColor('auto', {}, true)).to.equal(true);
    expect(wantsColor('auto', {}, false)).to.equal(false);
  });

  it('NO_COLOR, CLICOLOR=0 and TERM=dumb decline', () => {
    expect(wantsColor('auto', { NO_COLOR: '1' }, true)).to.equal(false);
    expect(wantsColor('auto', { CLICOLOR: '0' }, true)).to.equal(false);
    expect(wantsColor('auto', { TERM: 'dumb' }, true)).to.equal(false);
    expect(wantsColor('auto', { NO_COLOR: '' }, true)).to.equal(true);
  });

  it('FORCE_COLOR asks for colour, and --color has the last word', () => {
    expect(wantsColor('auto', { FORCE_COLOR: '1', NO_COLOR: '1' }, false)).to.equal(true);
    expect(wantsColor('auto', { FORCE_COLOR: '0' }, true)).to.equal(false);
    expect(wantsColor('never', { FORCE_COLOR: '1' }, true)).to.equal(false);
    expect(wantsColor('always', { NO_COLOR: '1' }, false)).to.equal(true);
  });

  it('aligns columns by their text, not by their colour codes', () => {
    const rows = [
      { name: 'a', size: '1' },
      { name: 'long', size: '100' },
    ];
    const columns = [
      {
        name: 'name',
        cell: (row: (typeof rows)[0]) => row.name,
        mark: (text: string) => styleOf(true).red(text),
      },
      { name: 'size', cell: (row: (typeof rows)[0]) => row.size, align: 'right' as const },
    ];
    const lines = tableLines(rows, columns, PLAIN, false);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colour codes are what is removed
    expect(lines.map((line) => line.replace(/\u001b\[\d+m/g, ''))).to.deep.equal([
      'a       1',
      'long  100',
    ]);
  });

  it('drops a column that says nothing', () => {
    const columns = [
      { name: 'none', cell: () => '' },
      { name: 'some', cell: (row: number) => String(row) },
    ];
    expect(tableLines([1, 2], columns, PLAIN, true)).to.deep.equal(['some', '1', '2']);
  });

  it('a reader that left is ReaderGone, not a crash', async () => {
    const stream = new Writable({
      highWaterMark: 1,
      write: (_chunk, _encoding, done) =>
        done(Object.assign(new Error('EPIPE'), { code: 'EPIPE' })),
    });
    const output = new Output(stream);
    const failed = await (async () => {
      for (let count = 0; count < 10; count += 1) await output.line('x');
    })().catch((error: unknown) => error);
    expect(failed).to.be.instanceOf(ReaderGone);
  });

  it('foreign text cannot steer a terminal', () => {
    expect(harmless('a\u001b[31mb\nc\u202ed')).to.equal('a?[31mb?c?d');
    expect(formatPerson('Ada\u0007 <ada@example.org>')).to.equal('Ada?');
    expect(formatPerson('robot')).to.equal('robot');
    expect(shownPath('a\nb')).to.equal('"a\\nb"');
    expect(shownPath({ base64: Buffer.from([0x61, 0xff]).toString('base64') })).to.equal(
      '"a\\377"',
    );
  });
});
