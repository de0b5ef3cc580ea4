/** The memory backend and every decorator keep the port's promises. */
import { createMemoryBackend } from '../../../core/backend/memory.ts';
import { createMeteredBackend } from '../../../core/backend/metered.ts';
import { createPrefixedBackend } from '../../../core/backend/prefixed.ts';
import { createReadOnlyBackend } from '../../../core/backend/read-only.ts';
import { createRetryingBackend } from '../../../core/backend/retrying.ts';
import { describeBackend, excuseWriting } from '../../conformance/backend.ts';
import { byTape } from '../../support/choosing.ts';
import { createFaultyBackend, FaultPlan } from '../../support/faulty-backend.ts';
import { Interleaving } from '../../support/interleaving.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

const patientWorld = { nowMs: () => 0, sleep: async () => {}, random: () => 0 };

describeBackend('memory', { open: async () => ({ backend: createMemoryBackend() }) });

describeBackend('retrying', {
  open: async () => ({ backend: createRetryingBackend(createMemoryBackend(), patientWorld) }),
});

describeBackend('prefixed', {
  open: async () => ({
    backend: createPrefixedBackend(createMemoryBackend(), 'some/where/'),
  }),
});

describeBackend('metered', {
  open: async () => ({ backend: createMeteredBackend(createMemoryBackend()).backend }),
});

describeBackend('read-only', {
  open: async () => {
    const writer = createMemoryBackend();
    return { backend: createReadOnlyBackend(writer), writer };
  },
  excused: excuseWriting('refuses every change'),
});

describeBackend('faulty, nothing planned', {
  open: async () => ({ backend: createFaultyBackend(createMemoryBackend(), new FaultPlan()) }),
});

describeBackend('an actor’s view of a store, alone there', {
  open: async () => {
    const clock = new VirtualClock();
    const backend = createMemoryBackend({ now: clock.now });
    const play = new Interleaving({ backend, clock, choose: byTape([]), stuckAfterMs: 60_000 });
    let close = (): void => {};
    const closed = new Promise<void>((resolve) => {
      close = resolve;
    });
    const over = play.run({ checks: () => closed });
    return {
      backend: play.actor('checks').backend,
      close: async () => {
        close();
        await over;
      },
    };
  },
});
