/**
 * A thread that is asked things. Promises: answers come in the order of the questions of one asker; the thread is started by the first
 * question, and keeps no process alive that waits for no answer.
 */
import { Worker } from 'node:worker_threads';

/** One who asks: about one file, one after the other. */
export interface Asking<Question, Answer> {
  /** Rejects where the thread died, or the asker left. */
  ask(question: Question): Promise<Answer>;
  /** Nobody waits any more. Tells the thread `farewell` where it was asked something before; safe at any time. */
  leave(farewell: Question): void;
}

export interface Asked<Question> {
  readonly id: number;
  readonly question: Question;
}

export interface Answered<Answer> {
  readonly id: number;
  readonly answer: Answer;
}

interface Waiter<Answer> {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

export class AskedThread<Question, Answer> {
  readonly #file: URL;
  readonly #askers = new Map<number, Waiter<Answer>[]>();
  #worker: Worker | null = null;
  #lastId = 0;
  #waitingCount = 0;

  constructor(file: URL) {
    this.#file = file;
  }

  begin(): Asking<Question, Answer> {
    this.#lastId += 1;
    const id = this.#lastId;
    const waiters: Waiter<Answer>[] = [];
    let wasAsked = false;
    this.#askers.set(id, waiters);
    return {
      ask: (question) => {
        if (!this.#askers.has(id)) return Promise.reject(gone());
        wasAsked = true;
        return new Promise((resolve, reject) => {
          waiters.push({ resolve, reject });
          this.#waits(1);
          this.#send({ id, question });
        });
      },
      leave: (farewell) => {
        if (!this.#askers.delete(id)) return;
        if (wasAsked) this.#send({ id, question: farewell });
        this.#fail(waiters, gone());
      },
    };
  }

  #send(asked: Asked<Question>): void {
    this.#worker ??= this.#start();
    if (this.#waitingCount > 0) this.#worker.ref();
    this.#worker.postMessage(asked);
  }

  #waits(change: number): void {
    this.#waitingCount += change;
    if (this.#waitingCount === 0) this.#worker?.unref();
  }

  #fail(waiters: Waiter<Answer>[], error: unknown): void {
    for (const { reject } of waiters.splice(0)) {
      this.#waits(-1);
      reject(error);
    }
  }

  #start(): Worker {
    const worker = new Worker(this.#file);
    worker.unref();
    worker.on('message', ({ id, answer }: Answered<Answer>) => {
      const waiter = this.#askers.get(id)?.shift();
      if (waiter === undefined) return;
      this.#waits(-1);
      waiter.resolve(answer);
    });
    worker.on('error', (error) => {
      // The next question starts another one; what this one knew is lost to those who asked it.
      this.#worker = null;
      const askers = [...this.#askers.values()];
      this.#askers.clear();
      for (const waiters of askers) this.#fail(waiters, error);
    });
    return worker;
  }
}

const gone = (): Error => new Error('whoever asked has left');
