/**
 * A process to kill: works on a store until it dies, as a seed decides, and says before and after each step what it does; two steps
 * are under way at a time.
 *
 * Arguments: folder of the store, seed, the name of a planted mistake or nothing. Lines: those of `lines.ts`, and `ready`.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { splitmix64 } from '../support/splitmix64.ts';
import { say, tell } from './lines.ts';
import { openSoakStore } from './sight-of-store.ts';
import { createSteps, type StepKind } from './steps.ts';

const STEPS_AT_ONCE = 2;
const KINDS: readonly StepKind[] = ['object', 'blob', 'blob', 'entry', 'push'];
const [root = '', seedText = '0', planted = ''] = process.argv.slice(2);
const random = splitmix64(Number(seedText));
const { backend, repository } = await openSoakStore(root);
const steps = createSteps({
  backend,
  repository,
  seed: Number(seedText),
  random,
  listsAbsent: planted === 'lists what is absent',
});
let next = 0;

async function work(): Promise<void> {
  for (;;) {
    next += 1;
    const kind = KINDS[Math.floor(random() * KINDS.length)] ?? 'object';
    const step = steps[kind](next);
    const run =
      planted === 'acknowledges early' ? () => Promise.race([step.run(), sleep(1)]) : step.run;
    await tell(String(next), { ...step, run });
  }
}

say('ready');
await Promise.all(Array.from({ length: STEPS_AT_ONCE }, work));
