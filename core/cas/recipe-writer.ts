/** Writes recipes beside the chunks they name (docs/format.md §6). */
import { encodeFrame } from './frame.ts';
import { framedSize } from './frame-handle.ts';
import type { FrameSink } from './frame-sink.ts';
import type { Recipe, RecipeChunk } from './ingest.ts';
import { encodeRecipePart, RECIPE_PART_CHUNK_COUNT_MAX } from './recipe.ts';

/** Writes a blob's recipe, part by part, so that a file of any length takes little memory. A file of one chunk needs none. */
export class RecipeWriter {
  readonly #source: Pick<Recipe, 'oid' | 'sizeBytes'>;
  readonly #sink: FrameSink;
  #chunks: RecipeChunk[] = [];
  #firstChunk = 0;
  /** Of what was written, with frame headers. */
  frameBytes = 0;

  constructor(source: Pick<Recipe, 'oid' | 'sizeBytes'>, sink: FrameSink) {
    this.#source = source;
    this.#sink = sink;
  }

  async add({ digest, sizeBytes }: RecipeChunk): Promise<void> {
    this.#chunks.push({ digest, sizeBytes });
    if (this.#chunks.length === RECIPE_PART_CHUNK_COUNT_MAX) await this.#write();
  }

  async finish(): Promise<void> {
    if (this.#firstChunk + this.#chunks.length > 1 && this.#chunks.length > 0) await this.#write();
  }

  async #write(): Promise<void> {
    const { oid, sizeBytes } = this.#source;
    const chunks = this.#chunks;
    const part = encodeRecipePart({ oid, sizeBytes, firstChunk: this.#firstChunk, chunks });
    this.#firstChunk += chunks.length;
    this.#chunks = [];
    if (this.#sink.find('recipe', part.digest) !== undefined) return;
    const frame = await encodeFrame(part);
    this.frameBytes += framedSize(frame);
    await this.#sink.add(frame);
  }
}
