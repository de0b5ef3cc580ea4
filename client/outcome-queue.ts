/** Outcomes from one producer to one consumer, unbounded: they are few and small next to the bytes they stand for. */
import type { PutOutcome } from '../core/cas/blob-store.ts';

export class OutcomeQueue implements AsyncIterable<PutOutcome> {
  #waiting: PutOutcome[] = [];
  #end: { readonly error?: unknown } | null = null;
  #wake: () => void = () => undefined;

  push(outcome: PutOutcome): void {
    this.#waiting.push(outcome);
    this.#wake();
  }

  /** No more outcomes: the consumer ends, or throws `error` after the last one. */
  end(error?: unknown): void {
    this.#end ??= { error };
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<PutOutcome, void, undefined> {
    for (;;) {
      yield* this.#waiting.splice(0);
      if (this.#waiting.length > 0) continue;
      if (this.#end !== null) {
        if (this.#end.error !== undefined) throw this.#end.error;
        return;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
