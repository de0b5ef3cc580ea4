/** The kinds of soak runs there are. A new one is one file in `kinds/` and one line here. */
import type { SoakKind } from './kind.ts';
import { bits } from './kinds/bits.ts';
import { flaky } from './kinds/flaky.ts';
import { gc } from './kinds/gc.ts';
import { kill } from './kinds/kill.ts';
import { killTheAgent } from './kinds/kill-agent.ts';
import { killTheServer } from './kinds/kill-server.ts';
import { power } from './kinds/power.ts';
import { regions } from './kinds/regions.ts';
import { syscalls } from './kinds/syscalls.ts';
import { writers } from './kinds/writers.ts';

export const KINDS: readonly SoakKind[] = [
  kill,
  killTheServer,
  killTheAgent,
  syscalls,
  power,
  bits,
  writers,
  flaky,
  gc,
  regions,
];
