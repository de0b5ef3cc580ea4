/**
 * CRC-32C (Castagnoli), which Google checks uploads by. Eight bytes a step from eight tables: seven times as fast as the
 * SDK's, which would hold up everything else for most of a second per pack.
 */

/** Castagnoli's polynomial, its bits reversed. */
const POLYNOMIAL = 0x82f63b78;

/** Entry i of table k: the checksum of byte i with k zero bytes behind it. */
function table(k: number): Int32Array {
  return Int32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte;
    for (let bit = 0; bit < 8 * (k + 1); bit += 1) {
      crc = (crc & 1) === 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    }
    return crc;
  });
}

const [T0, T1, T2, T3, T4, T5, T6, T7] = [0, 1, 2, 3, 4, 5, 6, 7].map(table) as [
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
];

/** The checksum of what `crc` is the checksum of (0: nothing) followed by `bytes`; an unsigned integer. */
export function crc32c(bytes: Uint8Array, crc = 0): number {
  // Every index is inside its array; a helper that hid the casts would halve the speed.
  let c = ~crc;
  let i = 0;
  for (; i + 8 <= bytes.length; i += 8) {
    const low =
      c ^
      ((bytes[i] as number) |
        ((bytes[i + 1] as number) << 8) |
        ((bytes[i + 2] as number) << 16) |
        ((bytes[i + 3] as number) << 24));
    c =
      (T7[low & 255] as number) ^
      (T6[(low >>> 8) & 255] as number) ^
      (T5[(low >>> 16) & 255] as number) ^
      (T4[low >>> 24] as number) ^
      (T3[bytes[i + 4] as number] as number) ^
      (T2[bytes[i + 5] as number] as number) ^
      (T1[bytes[i + 6] as number] as number) ^
      (T0[bytes[i + 7] as number] as number);
  }
  for (; i < bytes.length; i += 1) c = (T0[(c ^ (bytes[i] as number)) & 255] as number) ^ (c >>> 8);
  return ~c >>> 0;
}

/** As Google writes it: base64 of its four bytes, the highest first. */
export function crc32cText(crc: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc);
  return bytes.toString('base64');
}
