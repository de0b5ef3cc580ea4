/** One of several racing processes: appends to a log and puts keys that the others put too. Prints each key it created. */
import { openLocalBackend } from '../../backends/local.ts';
import { bytesBody } from '../../core/backend/backend.ts';
import type { Key, LogPrefix } from '../../core/keys.ts';
import { openLog } from '../../core/log.ts';
import { secureRandom } from '../../core/random.ts';
import { text } from '../../core/shape.ts';

const [root = '', name = '', count = '0'] = process.argv.slice(2);
const backend = await openLocalBackend(root);
const log = openLog({
  backend,
  prefix: 'log/' as LogPrefix,
  random: secureRandom,
  parse: (event) => text(event, 'event'),
});
for (let n = 0; n < Number(count); n += 1) {
  await log.update(() => `${name} ${n}`);
  const key = `race/${n}` as Key;
  const { created } = await backend.putIfAbsent(key, bytesBody(Buffer.from(name.repeat(50_000))));
  if (created) process.stdout.write(`${key}\n`);
}
