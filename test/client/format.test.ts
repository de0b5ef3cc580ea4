/** The words in which sizes, times and shares are told. */
import { expect } from 'chai';
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatRate,
  formatReused,
  shortId,
} from '../../client/format.ts';

describe('format', () => {
  for (const [bytes, words] of [
    [0, '0 bytes'],
    [1, '1 byte'],
    [999, '999 bytes'],
    [1000, '1.0 KB'],
    [9949, '9.9 KB'],
    [9950, '10 KB'],
    [62_000, '62 KB'],
    [999_499, '999 KB'],
    [999_500, '1.0 MB'],
    [48_000_000, '48.0 MB'],
    [99_949_999, '99.9 MB'],
    [380_000_000, '380 MB'],
    [999_600_000, '1.0 GB'],
    [1_200_000_000, '1.2 GB'],
    [Number.MAX_SAFE_INTEGER, '9.0 PB'],
  ] as const) {
    it(`writes ${bytes} as ${words}`, () => {
      expect(formatBytes(bytes)).to.equal(words);
    });
  }

  for (const [ms, words] of [
    [0, '0.0 s'],
    [-5, '0.0 s'],
    [100, '0.1 s'],
    [9_949, '9.9 s'],
    [9_950, '10 s'],
    [59_499, '59 s'],
    [59_600, '1 min'],
    [185_000, '3 min 5 s'],
    [3_600_000, '1 h'],
    [8_040_000, '2 h 14 min'],
    [3 * 86_400_000, '3 days'],
  ] as const) {
    it(`writes ${ms} ms as ${words}`, () => {
      expect(formatDuration(ms)).to.equal(words);
    });
  }

  it('rounds the reused share down, and says 100 only where nothing was new', () => {
    expect(formatReused(1_000_000, 1)).to.equal('99 % reused');
    expect(formatReused(1_000_000, 0)).to.equal('100 % reused');
    expect(formatReused(1000, 1000)).to.equal('0 % reused');
    expect(formatReused(0, 0)).to.equal('100 % reused');
  });

  it('writes rates, ids and counts', () => {
    expect(formatRate(19_000_000, 1000)).to.equal('19.0 MB/s');
    expect(formatRate(5, 0)).to.equal('0 bytes/s');
    expect(shortId('5c81f0d2222')).to.equal('5c81f0d');
    expect(formatCount(1, 'file')).to.equal('1 file');
    expect(formatCount(2000, 'file')).to.equal('2,000 files');
    expect(formatCount(0, 'entry', 'entries')).to.equal('0 entries');
  });
});
