/** CRC-32C by its published check value, by the SDK's implementation, and however its input is cut. */
import { CRC32C } from '@google-cloud/storage';
import { expect } from 'chai';
import { crc32c, crc32cText } from '../../backends/crc32c.ts';
import { seededBytes } from '../support/splitmix64.ts';

describe('crc32c', () => {
  it('has the check value of its definition, and 0 for nothing', () => {
    expect(crc32c(Buffer.from('123456789'))).to.equal(0xe3069283);
    expect(crc32cText(0xe3069283)).to.equal('4waSgw==');
    expect(crc32c(Buffer.of())).to.equal(0);
  });

  it('is what the SDK makes of the same bytes, at every length and cut', () => {
    const bytes = seededBytes(7, 300);
    for (let length = 0; length <= bytes.length; length += 1) {
      const part = bytes.subarray(0, length);
      const theirs = new CRC32C();
      theirs.update(part);
      expect(crc32cText(crc32c(part)), `${length} bytes`).to.equal(theirs.toString());
      const cut = length >>> 1;
      const inTwo = crc32c(part.subarray(cut), crc32c(part.subarray(0, cut)));
      expect(inTwo, `cut at ${cut}`).to.equal(crc32c(part));
    }
  });
});
