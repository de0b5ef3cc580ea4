/** LEB128 numbers and a reader over bytes that never reads past their end: whatever does not fit is CORRUPT. */
import { DatamonError } from '../errors.ts';

const VARINT_SIZE_MAX_BYTES = 8;

/** Unsigned, shortest form. Throws INVALID for anything but a whole number from 0 to 2^53 − 1. */
export function varintBytes(value: number): Buffer {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new DatamonError('INVALID', `${value} is no whole number from 0 to 2^53 − 1`);
  }
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    // Shifts work on 32 bits only, so numbers above are divided.
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
  return Buffer.from(bytes);
}

export class ByteReader {
  readonly #bytes: Buffer;
  readonly #what: string;
  #offset = 0;

  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#what = what;
  }

  byte(): number {
    return this.take(1)[0] ?? 0;
  }

  uint32(): number {
    return this.take(4).readUInt32LE(0);
  }

  /** A view, not a copy. */
  take(count: number): Buffer {
    const end = this.#offset + count;
    if (end > this.#bytes.length) throw this.#damaged('it ends early');
    const part = this.#bytes.subarray(this.#offset, end);
    this.#offset = end;
    return part;
  }

  varint(): number {
    let value = 0;
    let factor = 1;
    for (let index = 0; index < VARINT_SIZE_MAX_BYTES; index += 1) {
      const byte = this.byte();
      value += (byte & 0x7f) * factor;
      factor *= 0x80;
      if (byte < 0x80) {
        if (index > 0 && byte === 0) throw this.#damaged('a number is longer than it need be');
        if (Number.isSafeInteger(value)) return value;
        break;
      }
    }
    throw this.#damaged('a number is above 2^53 − 1');
  }

  /** Bytes preceded by their count, one char each. */
  latin1(limitBytes: number): string {
    const count = this.varint();
    if (count > limitBytes) throw this.#damaged(`a text has ${count} bytes`);
    return this.take(count).toString('latin1');
  }

  /** Nothing may be left. */
  end(): void {
    if (this.#offset !== this.#bytes.length) throw this.#damaged('something follows its end');
  }

  #damaged(why: string): DatamonError {
    return new DatamonError('CORRUPT', `a ${this.#what} is damaged: ${why}`);
  }
}
