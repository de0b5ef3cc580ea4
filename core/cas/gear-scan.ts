/**
 * The chunker's scan in WebAssembly (gear-scan.wat), twice as fast as the one in TypeScript and with the same answers. A file of its own,
 * so that whoever only reads compiles nothing.
 */

/** Compiled by `npm run wasm`; a test compiles it again. */
const WASM =
  'AGFzbQEAAAABCQFgBH9/f38BfwMCAQAFAwEAAgYGAX8BQQALBxgDBm1lbW9yeQIABGhhc2gDAARzY2FuAAAKuwMBuAMBAX4CQANAIABBCGogAUsNASAAKQMAIQQgAkEBdCAEQv8Bg6dBAnQoAgBqIQIgAiADcUUEQCACJAAgAEEBag8LIAJBAXQgBEIIiEL/AYOnQQJ0KAIAaiECIAIgA3FFBEAgAiQAIABBAmoPCyACQQF0IARCEIhC/wGDp0ECdCgCAGohAiACIANxRQRAIAIkACAAQQNqDwsgAkEBdCAEQhiIQv8Bg6dBAnQoAgBqIQIgAiADcUUEQCACJAAgAEEEag8LIAJBAXQgBEIgiEL/AYOnQQJ0KAIAaiECIAIgA3FFBEAgAiQAIABBBWoPCyACQQF0IARCKIhC/wGDp0ECdCgCAGohAiACIANxRQRAIAIkACAAQQZqDwsgAkEBdCAEQjCIQv8Bg6dBAnQoAgBqIQIgAiADcUUEQCACJAAgAEEHag8LIAJBAXQgBEI4iEL/AYOnQQJ0KAIAaiECIAIgA3FFBEAgAiQAIABBCGoPCyAAQQhqIQAMAAsLAkADQCAAIAFPDQEgAkEBdCAALQAAQQJ0KAIAaiECIABBAWohACACIANxRQRAIAIkACAADwsMAAsLIAIkAEF/Cw==';
const TABLE_SIZE_BYTES = 1024;
/** Bytes are looked at in the module's own memory, so many at a time: a chunk seldom ends at the last one copied. */
const SLICE_SIZE_BYTES = 32 * 1024;

/** As much of it as is used here; TypeScript's own declaration is part of its browser library. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
};

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  readonly hash: { readonly value: number };
  scan(at: number, end: number, hash: number, mask: number): number;
}

let compiled: object | null = null;

export interface ScanState {
  readonly table: Int32Array;
  /** Where the last scan left it. */
  hash: number;
}

/** As `scan` of chunker.ts: the index behind the byte that ends a chunk, or -1; `state.hash` goes on. */
export type GearScan = (
  state: ScanState,
  bytes: Uint8Array,
  from: number,
  to: number,
  mask: number,
) => number;

export function createGearScan(table: Int32Array): GearScan {
  compiled ??= new WebAssembly.Module(Buffer.from(WASM, 'base64'));
  const exports = new WebAssembly.Instance(compiled).exports as Exports;
  const memory = Buffer.from(exports.memory.buffer);
  new Int32Array(exports.memory.buffer, 0, table.length).set(table);
  return (state, bytes, from, to, mask) => {
    for (let start = from; start < to; start += SLICE_SIZE_BYTES) {
      const length = Math.min(SLICE_SIZE_BYTES, to - start);
      const end = TABLE_SIZE_BYTES + length;
      // Faster than `set`, which copies out of shared memory word by word.
      memory.fill(bytes.subarray(start, start + length), TABLE_SIZE_BYTES, end);
      const found = exports.scan(TABLE_SIZE_BYTES, end, state.hash, mask);
      state.hash = exports.hash.value;
      if (found >= 0) return start + found - TABLE_SIZE_BYTES;
    }
    return -1;
  };
}
