/** A store in two places keeps the port's promises, whatever its mode and however late the replica is. */
import { createPrefixedBackend } from '../../../core/backend/prefixed.ts';
import { describeBackend } from '../../conformance/backend.ts';
import { ReplicaWorld } from '../../support/replica-world.ts';

const EXCUSED = {
  'opens the body anew for each put': 'each member is sent the bytes, so that it is opened twice',
  'shows nothing of an object while its body is still coming':
    'home has it whole while the replica is being sent it; it is not acknowledged yet',
};

for (const mode of ['sync', 'async'] as const) {
  describeBackend(`replicated, ${mode}`, {
    open: async () => {
      const world = new ReplicaWorld();
      await world.pair(mode);
      // Its members' own keys stand there already, so the store under test is one below a prefix.
      return { backend: createPrefixedBackend(await world.open(), 'some/where/') };
    },
    ...(mode === 'sync' && { excused: EXCUSED }),
  });
}
