/** The history checker sees each way in which a store can break its word, and nothing where it keeps it. */
import { expect } from 'chai';
import type { Backend } from '../../core/backend/backend.ts';
import { createMemoryBackend } from '../../core/backend/memory.ts';
import { type Digest, digestOf } from '../../core/digest.ts';
import { type LogPrefix, logKey } from '../../core/keys.ts';
import { openLog } from '../../core/log.ts';
import { secureRandom } from '../../core/random.ts';
import { text } from '../../core/shape.ts';
import { asKey, put, textBody } from '../conformance/bodies.ts';
import { openQuick, sourceOf } from './api-world.ts';
import { type Ending, HistoryChecker, type Sight } from './history-checker.ts';
import { sightOfBackend, sightOfRepository } from './sights.ts';
import { seededBytes } from './splitmix64.ts';
import { makeTempDir } from './temp-dir.ts';

const LOG = 'log/' as LogPrefix;

interface World {
  readonly backend: Backend;
  readonly history: HistoryChecker;
  readonly sight: Sight;
  /** Notes a put of the name's own text, and how it ended; stores nothing. */
  note(name: string, ending: Ending): void;
  append(entry: string, ending?: Ending): Promise<void>;
}

function makeWorld(): World {
  const backend = createMemoryBackend();
  const history = new HistoryChecker();
  const parse = (event: unknown): string => text(event, 'event');
  const log = openLog({ backend, prefix: LOG, random: secureRandom, parse });
  return {
    backend,
    history,
    sight: sightOfBackend(backend, 'k/'),
    note(name, ending) {
      history.end(history.begin({ kind: 'object', name, content: digestOf(name) }), ending);
    },
    async append(content, ending = 'acknowledged') {
      const attempt = history.begin({ kind: 'entry', name: LOG, content });
      await log.update(() => content);
      history.end(attempt, ending);
    },
  };
}

describe('history checker', () => {
  it('finds nothing wrong with a store that keeps its word', async () => {
    const { backend, history, sight, note, append } = makeWorld();
    note('k/stored', 'acknowledged');
    note('k/failed', 'failed');
    note('k/unknown', 'unknown');
    note('k/failed-but-there', 'failed');
    note('k/unknown-but-there', 'unknown');
    await put(backend, 'k/stored', 'k/failed-but-there', 'k/unknown-but-there');
    await append('one');
    await append('two', 'unknown');
    for (let look = 0; look < 2; look += 1) {
      expect(await history.check(sight)).to.deep.equal([]);
      expect(await history.strangers(sight)).to.deep.equal([]);
    }
    expect(history.counts).to.include({ acknowledged: 2, open: 0 });
  });

  it('sees what was acknowledged and is gone, also after it was there', async () => {
    const { backend, history, sight, note } = makeWorld();
    note('k/a', 'acknowledged');
    expect(await history.check(sight)).to.deep.equal(['k/a was acknowledged and is gone']);
    await put(backend, 'k/a');
    expect(await history.check(sight)).to.deep.equal([]);
    await backend.remove(asKey('k/a'));
    expect(await history.check(sight)).to.deep.equal(['k/a was acknowledged and is gone']);
  });

  it('sees what nobody was told of come and go', async () => {
    const { backend, history, sight, note } = makeWorld();
    note('k/a', 'unknown');
    await put(backend, 'k/a');
    expect(await history.check(sight)).to.deep.equal([]);
    await backend.remove(asKey('k/a'));
    expect(await history.check(sight)).to.deep.equal(['k/a was seen and is gone']);
  });

  it('sees bytes that nobody stored, half of them, and others than before', async () => {
    const { backend, history, sight, note } = makeWorld();
    note('k/half', 'failed');
    await backend.putIfAbsent(asKey('k/half'), textBody('k/ha'));
    const [wrong] = await history.check(sight);
    expect(wrong).to.match(/^k\/half reads as .*, which nobody stored$/);
    note('k/two', 'acknowledged');
    history.begin({ kind: 'object', name: 'k/two', content: digestOf('other') });
    await put(backend, 'k/two');
    expect(await history.checkObjects(sight, ['k/two'])).to.deep.equal([]);
    await backend.remove(asKey('k/two'));
    await backend.putIfAbsent(asKey('k/two'), textBody('other'));
    expect(await history.checkObjects(sight, ['k/two'])).to.deep.equal(['k/two has changed']);
  });

  it('sees what does not read, and what nobody attempted', async () => {
    const { backend, history, note } = makeWorld();
    note('k/a', 'unknown');
    await put(backend, 'k/stranger');
    const broken: Sight = {
      ...sightOfBackend(backend, 'k/'),
      digest: async () => Promise.reject(new Error('a bad disk')),
    };
    expect(await history.check(broken)).to.deep.equal(['k/a does not read: a bad disk']);
    expect(await history.strangers(broken)).to.deep.equal([
      'k/stranger is there, and nobody stored it',
    ]);
  });

  it('sees a log that lost an entry, has one twice, one nobody appended, or was rewritten', async () => {
    const look = async (spoil: (world: World) => Promise<void>): Promise<string> => {
      const world = makeWorld();
      await world.append('one');
      await world.append('two');
      expect(await world.history.check(world.sight)).to.deep.equal([]);
      await spoil(world);
      return (await world.history.check(world.sight)).join('; ');
    };
    expect(await look(({ backend }) => backend.remove(logKey(LOG, 2)))).to.equal(
      'log log/ has lost two, which was acknowledged; log log/ was rewritten at entry 2',
    );
    expect(await look(({ backend }) => backend.remove(logKey(LOG, 1)))).to.contain(
      'does not read: entry 1 of log/ is missing',
    );
    expect(await look((world) => world.append('one'))).to.equal('log log/ has one 2 times');
    const stranger = await look(async ({ backend }) => {
      const parse = (event: unknown): string => text(event, 'event');
      await openLog({ backend, prefix: LOG, random: secureRandom, parse }).update(() => 'x');
    });
    expect(stranger).to.equal('log log/ has x, which nobody appended');
    const other = { ...makeWorld().sight, entries: async () => ['two', 'one'] };
    const world = makeWorld();
    await world.append('one');
    await world.append('two');
    await world.history.check(world.sight);
    expect(await world.history.check(other)).to.deep.equal(['log log/ was rewritten at entry 1']);
  });

  it('asks of no look what was acknowledged while it was taken', async () => {
    const { history, sight } = makeWorld();
    const store = history.begin({ kind: 'object', name: 'k/a', content: digestOf('k/a') });
    const append = history.begin({ kind: 'entry', name: LOG, content: 'one' });
    const slow: Sight = {
      async digest(name) {
        const found = await sight.digest(name);
        history.end(store, 'acknowledged');
        return found;
      },
      async entries(log) {
        const found = await sight.entries(log);
        history.end(append, 'acknowledged');
        return found;
      },
    };
    expect(await history.check(slow)).to.deep.equal([]);
    expect(await history.check(sight)).to.have.length(2);
  });

  it('takes the open attempts of the dead as unknown', async () => {
    const { history, sight } = makeWorld();
    history.begin({ kind: 'object', name: 'k/a', content: digestOf('k/a') });
    expect(history.counts.open).to.equal(1);
    history.endAll('unknown');
    expect(history.counts.open).to.equal(0);
    expect(await history.check(sight)).to.deep.equal([]);
  });

  it('looks at repositories as well', async () => {
    const url = `file://${await makeTempDir()}/store//acme/robots`;
    const repository = await openQuick(url, { create: { by: 'ada', remote: null } });
    const history = new HistoryChecker();
    const oids: Digest[] = [];
    for (const seed of [1, 2]) {
      const source = sourceOf(seededBytes(seed, 5000));
      oids.push(source.oid);
      const attempt = history.begin({ kind: 'object', name: source.oid, content: source.oid });
      if (seed === 1) await repository.blobs.put(source);
      history.end(attempt, 'acknowledged');
    }
    const sight = sightOfRepository(repository);
    expect(await history.check(sight)).to.deep.equal([`${oids[1]} was acknowledged and is gone`]);
    await repository.close();
  });
});
