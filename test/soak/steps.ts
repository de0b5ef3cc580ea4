/** What soak processes do to a store, one step after another: bare objects, entries of a log, files through the content store, recorded pushes. */

import type { Backend } from '../../core/backend/backend.ts';
import { bytesBody } from '../../core/backend/backend.ts';
import { digestOf } from '../../core/digest.ts';
import type { Key, LogPrefix } from '../../core/keys.ts';
import { openLog } from '../../core/log.ts';
import type { Entry } from '../../core/meta/model.ts';
import type { Repository } from '../../core/meta/repository.ts';
import { secureRandom } from '../../core/random.ts';
import { text } from '../../core/shape.ts';
import { fileEntry, pushIdOf, recordSimplePush } from '../support/simple-push.ts';
import { sourceOf } from '../support/source-of.ts';
import { seededBytes } from '../support/splitmix64.ts';

export interface Step {
  readonly kind: 'object' | 'entry';
  readonly name: string;
  readonly content: string;
  readonly run: () => Promise<unknown>;
}

export type StepKind = 'object' | 'blob' | 'entry' | 'push';

export interface StepsOptions {
  readonly backend: Backend;
  readonly repository: Repository;
  readonly seed: number;
  readonly random: () => number;
  /** Pushes list a file that nobody stored. */
  readonly listsAbsent: boolean;
}

export type Steps = Readonly<Record<StepKind, (step: number) => Step>>;

export function createSteps(options: StepsOptions): Steps {
  const { backend, repository, seed, random, listsAbsent } = options;
  const log = openLog({
    backend,
    prefix: 'soak/log/' as LogPrefix,
    random: secureRandom,
    parse: (event) => text(event, 'event'),
  });
  const stored: Entry[] = [];

  /** Sizes small and large, and now and then bytes that were stored before. */
  const bytesOf = (step: number): Buffer => {
    const size = random() < 0.1 ? 20_000 + random() * 200_000 : random() * 9000;
    return seededBytes(random() < 0.2 ? 1 : seed * 1000 + step, 1 + Math.floor(size));
  };

  return {
    object(step) {
      const bytes = bytesOf(step);
      const name = `soak/objects/${seed}/${step}`;
      const run = (): Promise<unknown> => backend.putIfAbsent(name as Key, bytesBody(bytes));
      return { kind: 'object', name, content: digestOf(bytes), run };
    },
    blob(step) {
      const bytes = bytesOf(step);
      const source = sourceOf(bytes);
      const run = async (): Promise<void> => {
        await repository.blobs.put(source);
        stored.push(fileEntry(`data/${step}`, source.oid, bytes.length));
      };
      return { kind: 'object', name: source.oid, content: source.oid, run };
    },
    entry(step) {
      const content = `${seed}.${step}`;
      return { kind: 'entry', name: 'soak/log/', content, run: () => log.update(() => content) };
    },
    push(step) {
      const name = `${seed}.${step}`;
      const absent = fileEntry(`absent/${step}`, digestOf(`absent ${name}`), 1);
      const run = (): Promise<unknown> => {
        const entries = listsAbsent ? [...stored, absent] : [...stored];
        return recordSimplePush(repository, { name, entries });
      };
      return { kind: 'entry', name: 'main', content: pushIdOf(name), run };
    },
  };
}
