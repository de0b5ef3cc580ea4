/** How large a store is: the sum of its files' sizes, as `du` tells it. */
import type { Rig } from './rig.ts';

/** Sizes as written, not rounded up to blocks: the same on every file system. */
export async function storedBytes(rig: Rig, dir: string): Promise<number> {
  const script = 'find "$1" -type f -print0 2>/dev/null | du --files0-from=- -cb | tail -n 1';
  const { stdout } = await rig.run({
    program: 'sh',
    args: ['-c', script, 'sh', dir],
    cwd: rig.root,
    env: rig.env('plain'),
  });
  return Number(/^\d+/.exec(stdout)?.[0] ?? 0);
}
