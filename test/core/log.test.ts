/** The log primitive: one chain, whatever races, fails or is repeated. */
import { expect } from 'chai';
import type { Backend } from '../../core/backend/backend.ts';
import { bytesBody } from '../../core/backend/backend.ts';
import { createMemoryBackend } from '../../core/backend/memory.ts';
import { createMeteredBackend } from '../../core/backend/metered.ts';
import { DatamonError } from '../../core/errors.ts';
import { canonicalJson, type Json, openSealedJson, sealJson } from '../../core/json.ts';
import { branchLog, type LogPrefix, logKey, type RepoName } from '../../core/keys.ts';
import { type Log, type LogEntry, openLog } from '../../core/log.ts';
import { secureRandom } from '../../core/random.ts';
import { text } from '../../core/shape.ts';
import { readText } from '../conformance/bodies.ts';
import { codeOf, errorOf } from '../support/code-of.ts';
import { useFastPaths } from '../support/fast-paths.ts';
import { createFaultyBackend, FaultPlan } from '../support/faulty-backend.ts';

const PREFIX = 'things/' as LogPrefix;

const open = (backend: Backend, prefix = PREFIX): Log<string> =>
  openLog({ backend, prefix, random: secureRandom, parse: (event) => text(event, 'event') });

async function events(log: Log<string>, before?: number): Promise<string[]> {
  const found: string[] = [];
  for await (const { n, event } of log.entries(before)) found.push(`${n} ${event}`);
  return found;
}

async function filled(backend: Backend, ...texts: readonly string[]): Promise<LogEntry<string>> {
  const log = open(backend);
  let head: LogEntry<string> | null = null;
  for (const each of texts) head = await log.append(head, each);
  if (head === null) throw new Error('nothing to fill with');
  return head;
}

const textOf = (stored: string): unknown => openSealedJson(Buffer.from(stored), 'the entry');

/** Replaces entry `n` by one of these fields, as rot or a foreign program would. */
async function forge(backend: Backend, n: number, fields: Json): Promise<void> {
  await backend.remove(logKey(PREFIX, n));
  await backend.putIfAbsent(logKey(PREFIX, n), bytesBody(sealJson(fields)));
}

describe('log', () => {
  it('has no head and no entries before the first append', async () => {
    const log = open(createMemoryBackend());
    expect(await log.head()).to.equal(null);
    expect(await events(log)).to.deep.equal([]);
  });

  it('numbers entries from 1 and gives the newest as head', async () => {
    const backend = createMemoryBackend();
    const log = open(backend);
    const first = await log.append(null, 'a');
    const second = await log.append(first, 'b');
    expect([first.n, second.n]).to.deep.equal([1, 2]);
    expect(await log.head()).to.deep.equal(second);
  });

  it('writes entries as the format has them', async () => {
    const backend = createMemoryBackend();
    const first = await filled(backend, 'a');
    expect(textOf(await readText(backend, 'things/999999999998'))).to.include({
      n: 1,
      previous: null,
      event: 'a',
    });
    await open(backend).append(first, 'b');
    const stored = await readText(backend, 'things/999999999997');
    expect(stored).to.match(
      /^\{"event":"b","n":2,"nonce":"[0-9a-f]{32}","previous":"[0-9a-f]{64}"\}\n[0-9a-f]{64}\n$/,
    );
    expect(textOf(stored)).to.have.property('previous', first.digest);
  });

  it('lists newest first, and from before a number', async () => {
    const backend = createMemoryBackend();
    await filled(backend, 'a', 'b', 'c');
    const log = open(backend);
    expect(await events(log)).to.deep.equal(['3 c', '2 b', '1 a']);
    expect(await events(log, 3)).to.deep.equal(['2 b', '1 a']);
    expect(await events(log, 1)).to.deep.equal([]);
    expect(await events(log, 100)).to.deep.equal(['3 c', '2 b', '1 a']);
  });

  it('finds its head with one list and one get, however long it is', async () => {
    const memory = createMemoryBackend();
    await filled(memory, ...Array.from({ length: 50 }, (_, n) => `event ${n}`));
    let listedKeys = 0;
    const counting: Backend = {
      ...memory,
      async *list(prefix, after) {
        for await (const found of memory.list(prefix, after)) {
          listedKeys += 1;
          yield found;
        }
      },
    };
    const metered = createMeteredBackend(counting);
    await open(metered.backend).head();
    const { requestCount, listCount, getCount } = metered.counts();
    expect({ requestCount, listCount, getCount, listedKeys }).to.deep.equal({
      requestCount: 2,
      listCount: 1,
      getCount: 1,
      listedKeys: 1,
    });
  });

  it('refuses an append after an entry that is no longer the head (CONFLICT)', async () => {
    const backend = createMemoryBackend();
    const first = await filled(backend, 'a');
    await open(backend).append(first, 'b');
    expect(await codeOf(open(backend).append(first, 'rival'))).to.equal('CONFLICT');
    expect(await codeOf(open(backend).append(null, 'rival'))).to.equal('CONFLICT');
    expect(await events(open(backend))).to.deep.equal(['2 b', '1 a']);
  });

  it('takes an entry for durable only once a put of it succeeded, not because it can be read', async () => {
    const memory = createMemoryBackend();
    // The entry is there, but the folder it stands in could not be made durable.
    const plan = new FaultPlan()
      .loseAcknowledgement('putIfAbsent', 1)
      .loseAcknowledgement('putIfAbsent', 2);
    const log = open(createFaultyBackend(memory, plan));
    expect(await codeOf(log.append(null, 'a'))).to.equal('UNAVAILABLE');
    plan.loseAcknowledgement('putIfAbsent', 4);
    expect((await log.append(await log.head(), 'b')).n).to.equal(2);
    expect((await log.append(await log.head(), 'c')).n).to.equal(3);
    expect(await events(log)).to.deep.equal(['3 c', '2 b', '1 a']);
  });

  it('never tries blindly again where nobody can tell whether the entry was written', async () => {
    const memory = createMemoryBackend();
    const plan = new FaultPlan().loseAcknowledgement('putIfAbsent', 1).fail('get', 1);
    const log = open(createFaultyBackend(memory, plan));
    expect(await codeOf(log.update(() => 'a'))).to.equal('UNAVAILABLE');
    expect(await events(log)).to.deep.equal(['1 a']);
  });

  it('takes the same event of two writers for two writers', async () => {
    const backend = createMemoryBackend();
    await open(backend).append(null, 'same');
    expect(await codeOf(open(backend).append(null, 'same'))).to.equal('CONFLICT');
  });

  it('makes one chain of what many racing writers append', async () => {
    const backend = createMemoryBackend();
    const appended = await Promise.all(
      Array.from({ length: 40 }, (_, n) => open(backend).update(() => `writer ${n}`)),
    );
    expect(new Set(appended.map((entry) => entry?.n)).size).to.equal(40);
    const found = await events(open(backend));
    expect(found).to.have.length(40);
    expect(new Set(found.map((line) => line.replace(/^\d+ /, ''))).size).to.equal(40);
  });

  it('decides again on the new head where somebody else was faster', async () => {
    const backend = createMemoryBackend();
    const heads: (string | undefined)[] = [];
    const entry = await open(backend).update(async (head) => {
      heads.push(head?.event);
      if (heads.length === 1) await open(backend).append(null, 'faster');
      return 'mine';
    });
    expect(heads).to.deep.equal([undefined, 'faster']);
    expect(entry?.n).to.equal(2);
  });

  it('appends nothing where the decision is null', async () => {
    const backend = createMemoryBackend();
    await filled(backend, 'a');
    expect(await open(backend).update((head) => (head === null ? 'b' : null))).to.equal(null);
    expect(await events(open(backend))).to.deep.equal(['1 a']);
  });

  describe('guessing its head', () => {
    useFastPaths();

    it('appends to a guessed head without reading, and reads where the guess is wrong', async () => {
      const memory = createMemoryBackend();
      const { backend, counts } = createMeteredBackend(memory);
      const first = await filled(memory, 'a');
      const heads: (string | undefined)[] = [];
      const decide = (head: { event: string } | null) => {
        heads.push(head?.event);
        return `after ${head?.event}`;
      };
      await open(backend).update(decide, { guess: first });
      expect(counts().requestCount).to.equal(1);
      await open(backend).update(decide, { guess: first });
      expect(heads).to.deep.equal(['a', 'a', 'after a']);
      expect((await events(open(backend)))[0]).to.equal('3 after after a');
    });
  });

  it('does not take a guess for the head where nothing is to be appended', async () => {
    const backend = createMemoryBackend();
    const first = await filled(backend, 'a');
    await open(backend).append(first, 'b');
    const entry = await open(backend).update((head) => (head?.event === 'b' ? 'c' : null), {
      guess: first,
    });
    expect(entry?.n).to.equal(3);
  });

  it('gives up with CONFLICT after its tries', async () => {
    const backend = createMemoryBackend();
    let decisions = 0;
    const work = open(backend).update(
      async (head) => {
        decisions += 1;
        await open(backend).append(head, 'always faster');
        return 'mine';
      },
      { tries: 3 },
    );
    expect(await codeOf(work)).to.equal('CONFLICT');
    expect(decisions).to.equal(3);
  });

  it('keeps logs with similar, escaped and long names apart', async () => {
    const backend = createMemoryBackend();
    const repo = 'acme/x' as RepoName;
    const names = [
      'a',
      'a/1',
      'A',
      'a b',
      'a%2F1',
      '~x/main',
      'ö',
      'x'.repeat(400),
      'x'.repeat(401),
    ];
    for (const name of names) await open(backend, branchLog(repo, name)).append(null, name);
    for (const name of names) {
      expect(await events(open(backend, branchLog(repo, name))), name).to.deep.equal([`1 ${name}`]);
    }
  });
});

describe('log, when acknowledgements are lost', () => {
  it('knows its own entry by reading it back', async () => {
    const memory = createMemoryBackend();
    const plan = new FaultPlan().loseAcknowledgement('putIfAbsent', 1);
    const entry = await open(createFaultyBackend(memory, plan)).append(null, 'mine');
    expect(entry.n).to.equal(1);
    expect(await open(memory).head()).to.deep.equal(entry);
  });

  it('knows its own entry where the disk was full when its folder was flushed', async () => {
    const memory = createMemoryBackend();
    const full = new DatamonError('NO_SPACE', 'no room');
    const plan = new FaultPlan().loseAcknowledgement('putIfAbsent', 1, full);
    const entry = await open(createFaultyBackend(memory, plan)).append(null, 'mine');
    expect(await open(memory).head()).to.deep.equal(entry);
    const before = new FaultPlan().fail('putIfAbsent', 1, full);
    const work = open(createFaultyBackend(memory, before)).append(entry, 'again');
    expect(await codeOf(work)).to.equal('NO_SPACE');
    const still = new FaultPlan()
      .loseAcknowledgement('putIfAbsent', 1, full)
      .loseAcknowledgement('putIfAbsent', 2, full);
    const never = open(createFaultyBackend(memory, still)).append(entry, 'again');
    expect(await codeOf(never)).to.equal('NO_SPACE');
  });

  it('knows its own entry where a second try found it there', async () => {
    const memory = createMemoryBackend();
    const repeating: Backend = {
      ...memory,
      async putIfAbsent(key, body) {
        await memory.putIfAbsent(key, body);
        return memory.putIfAbsent(key, body);
      },
    };
    await open(repeating).append(null, 'mine');
    expect(await events(open(memory))).to.deep.equal(['1 mine']);
  });

  it('reports CONFLICT where the entry that stands there is another’s', async () => {
    const memory = createMemoryBackend();
    const plan = new FaultPlan().fail('putIfAbsent', 1);
    await open(memory).append(null, 'rival');
    const work = open(createFaultyBackend(memory, plan)).append(null, 'mine');
    expect(await codeOf(work)).to.equal('CONFLICT');
  });

  it('throws the failure on where nothing was written, and a second append succeeds', async () => {
    const memory = createMemoryBackend();
    const log = open(createFaultyBackend(memory, new FaultPlan().fail('putIfAbsent', 1)));
    const error = await errorOf(log.append(null, 'mine'));
    expect(error.code).to.equal('UNAVAILABLE');
    expect(error.message).to.contain('putIfAbsent 1 fails');
    await log.append(null, 'mine');
    expect(await events(log)).to.deep.equal(['1 mine']);
  });

  it('does not call it written where reading back fails too', async () => {
    const memory = createMemoryBackend();
    const plan = new FaultPlan().loseAcknowledgement('putIfAbsent', 1).fail('get', 1);
    const work = open(createFaultyBackend(memory, plan)).append(null, 'mine');
    expect(await codeOf(work)).to.equal('UNAVAILABLE');
  });

  it('does not look again after a refusal that is no lost acknowledgement', async () => {
    const metered = createMeteredBackend(createMemoryBackend());
    const plan = new FaultPlan().fail('putIfAbsent', 1, new DatamonError('FORBIDDEN', 'no'));
    const work = open(createFaultyBackend(metered.backend, plan)).append(null, 'mine');
    expect(await codeOf(work)).to.equal('FORBIDDEN');
    expect(metered.counts().requestCount).to.equal(0);
  });
});

describe('log, damaged', () => {
  const readAll = async (backend: Backend): Promise<unknown> => events(open(backend));
  const zeros = '0'.repeat(64);

  it('refuses an entry that does not follow its predecessor (CORRUPT)', async () => {
    const backend = createMemoryBackend();
    await filled(backend, 'a', 'b', 'c');
    await forge(backend, 2, { n: 2, previous: zeros, nonce: 'n', event: 'b' });
    const error = await errorOf(readAll(backend));
    expect(error.code).to.equal('CORRUPT');
    expect(error.message).to.contain('entry 3 of things/ does not follow entry 2');
  });

  it('yields what is sound before it refuses', async () => {
    const backend = createMemoryBackend();
    await filled(backend, 'a', 'b', 'c');
    await forge(backend, 1, { n: 1, previous: null, nonce: 'n', event: 'forged' });
    const seen: string[] = [];
    const error = await errorOf(async () => {
      for await (const { event } of open(backend).entries()) seen.push(event);
    });
    expect(error.code).to.equal('CORRUPT');
    expect(seen).to.deep.equal(['c', 'b']);
  });

  it('refuses a log with a missing entry (CORRUPT)', async () => {
    const backend = createMemoryBackend();
    await filled(backend, 'a', 'b', 'c');
    await backend.remove(logKey(PREFIX, 2));
    const error = await errorOf(readAll(backend));
    expect(error.code).to.equal('CORRUPT');
    expect(error.message).to.contain('entry 2 of things/ is missing');
  });

  it('refuses entries that are none (CORRUPT)', async () => {
    const forgeries: readonly Json[] = [
      { n: 2, previous: null, nonce: 'n', event: 'wrong number' },
      { n: 1, previous: zeros, nonce: 'n', event: 'a first one with a predecessor' },
      { n: 1, previous: null, event: 'no nonce' },
      { n: 1, previous: null, nonce: 'n', event: 7 },
      { n: 1, nonce: 'n', event: 'no predecessor said' },
    ];
    for (const forgery of forgeries) {
      const backend = createMemoryBackend();
      await forge(backend, 1, forgery);
      expect(await codeOf(open(backend).head()), canonicalJson(forgery)).to.equal('CORRUPT');
    }
  });

  it('refuses an entry of which one bit is wrong, wherever it is', async () => {
    const memory = createMemoryBackend();
    await filled(memory, 'a', 'b', 'c');
    const size = (await readText(memory, logKey(PREFIX, 2))).length;
    for (let bit = 0; bit < size * 8; bit += 1) {
      // Reads: head (1), entry 2 (2), entry 1 (3).
      const backend = createFaultyBackend(memory, new FaultPlan().flipBit(2, bit));
      expect(await codeOf(readAll(backend)), `bit ${bit}`).to.equal('CORRUPT');
    }
  });

  it('names a key among its entries that is no entry (CORRUPT)', async () => {
    const backend = createMemoryBackend();
    await backend.putIfAbsent(`${PREFIX}0notes` as never, bytesBody(Buffer.from('hello')));
    const error = await errorOf(open(backend).head());
    expect(error.code).to.equal('CORRUPT');
    expect(error.message).to.contain('things/0notes');
  });

  it('does not append behind a head that it cannot read', async () => {
    const memory = createMemoryBackend();
    await filled(memory, 'a');
    const backend = createFaultyBackend(memory, new FaultPlan().flipBit(1, 5));
    expect(await codeOf(open(backend).update(() => 'b'))).to.equal('CORRUPT');
    expect(await events(open(memory))).to.deep.equal(['1 a']);
  });
});
