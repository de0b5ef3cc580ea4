/** Bytes of pieces that occur again in the same file: a file of zeros is one chunk, thousands of times, and should be one read. */
import type { ContainerId } from '../keys.ts';

/** Kept at most, over all pieces of a file. */
export const REPEATED_SIZE_MAX_BYTES = 4 * 1024 * 1024;

export interface NamedPiece {
  readonly container: { readonly id: ContainerId };
  readonly offset: number;
  readonly skipBytes: number;
  readonly takeBytes: number;
}

export class RepeatedPieces {
  readonly #kept = new Map<string, Uint8Array[]>();

  constructor(pieces: readonly NamedPiece[]) {
    const seen = new Set<string>();
    let heldBytes = 0;
    for (const piece of pieces) {
      const name = nameOf(piece);
      if (!seen.has(name)) seen.add(name);
      else if (!this.#kept.has(name) && heldBytes + piece.takeBytes <= REPEATED_SIZE_MAX_BYTES) {
        heldBytes += piece.takeBytes;
        this.#kept.set(name, []);
      }
    }
  }

  /** Whether the piece is worth keeping. */
  repeats(piece: NamedPiece): boolean {
    return this.#kept.has(nameOf(piece));
  }

  /** The piece's bytes, where it was read whole before. */
  bytesOf(piece: NamedPiece): readonly Uint8Array[] | null {
    const kept = this.#kept.get(nameOf(piece)) ?? [];
    const sizeBytes = kept.reduce((sum, bytes) => sum + bytes.length, 0);
    return sizeBytes > 0 && sizeBytes === piece.takeBytes ? kept : null;
  }

  keep(piece: NamedPiece, bytes: Uint8Array): void {
    // A copy: what was read is a view of a larger buffer.
    this.#kept.get(nameOf(piece))?.push(Buffer.from(bytes));
  }
}

const nameOf = ({ container, offset, skipBytes, takeBytes }: NamedPiece): string =>
  `${container.id} ${offset} ${skipBytes} ${takeBytes}`;
