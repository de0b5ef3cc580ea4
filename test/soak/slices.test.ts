/** A short slice of each kind of soak run; and each kind sees the mistakes it is there to see. */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { KINDS } from './kinds.ts';
import { type LedgerLine, ledgerTable, PAGE_FILE, readLedger, withTable } from './ledger.ts';
import { parseSoakArgs, usage } from './options.ts';
import { runKind, type SoakRun } from './run.ts';

const SLICE_TIMEOUT_MS = 120_000;
/** Whether a kill falls where a mistake shows is chance: a slice that does not see it is run again, with the next seed. */
const TRIES_MAX = 5;

describe('soak slices', () => {
  for (const kind of KINDS) {
    const slice = async (planted?: string, seed = 1): Promise<{ run: SoakRun; said: string[] }> => {
      const said: string[] = [];
      const run = await runKind(kind, {
        count: kind.sliceCount,
        seed,
        starts: 'few',
        print: (line) => said.push(line),
        keep: 'never',
        ...(planted === undefined ? {} : { planted }),
      });
      return { run, said };
    };

    it(`${kind.name}: ${kind.promise}`, async () => {
      const { run, said } = await slice();
      expect(run.broken).to.deep.equal([]);
      // What this machine cannot do it has said.
      if (said.length === 0) expect(run.done).to.be.at.least(kind.sliceCount);
    }).timeout(SLICE_TIMEOUT_MS);

    for (const plant of kind.plants) {
      it(`${kind.name} sees a planted mistake (${plant}), and says how to see it again`, async () => {
        let { run, said } = await slice(plant);
        for (let seed = 2; run.broken.length === 0 && seed <= TRIES_MAX; seed += 1) {
          ({ run, said } = await slice(plant, seed));
        }
        if (run.done === 0 && said.some((line) => line.includes('there is no strace'))) return;
        expect(run.broken).to.not.have.length(0);
        expect(run.broken[0]?.replay).to.match(/^npm run soak -- --only /);
      }).timeout(SLICE_TIMEOUT_MS);
    }
  }
});

describe('npm run soak', () => {
  const asked = (...args: readonly string[]) => parseSoakArgs(args, KINDS);

  it('says how it is used, and names every kind with its mistakes', () => {
    expect(asked('--help')).to.deep.equal({ say: usage(KINDS), status: 0 });
    for (const { name, plants } of KINDS) {
      for (const word of [name, ...plants]) expect(usage(KINDS)).to.contain(word);
    }
  });

  it('says what there is instead of what it does not know', () => {
    const cases: readonly (readonly [readonly string[], string])[] = [
      [['--only', 'power,none'], 'no kind is called none; there are kill, '],
      [['--only', 'power', '--plant', 'none'], 'there are power: '],
      [['--count', 'many'], '--count wants a whole number, not many'],
      [['--none'], '--only KIND'],
      [['none'], '--only KIND'],
    ];
    for (const [args, say] of cases) {
      const answer = asked(...args);
      expect(answer, args.join(' ')).to.include({ status: 2 });
      expect('say' in answer && answer.say, args.join(' ')).to.contain(say);
    }
  });

  it('takes kinds, count and seed, and keeps nothing of planted mistakes', () => {
    const { name, plants } = KINDS[0] as (typeof KINDS)[number];
    const plain = { kinds: [KINDS[0]], count: 7, seed: 2, planted: undefined };
    expect(asked('--only', name, '--count', '7', '--seed', '2')).to.deep.equal({
      run: { ...plain, keep: 'in the ledger' },
    });
    expect(
      asked('--only', name, '--count', '7', '--seed', '2', '--plant', `${plants[0]}`),
    ).to.deep.equal({ run: { ...plain, planted: plants[0], keep: 'nowhere' } });
  });
});

describe('soak ledger', () => {
  const line = (change: Partial<LedgerLine>): LedgerLine => ({
    at: '2026-01-01T00:00:00.000Z',
    commit: 'abcdef012345',
    kind: 'kill',
    seed: 1,
    count: 1000,
    unit: 'kills',
    seconds: 200,
    result: 'held',
    facts: {},
    ...change,
  });

  it('sums up runs by kind and does not hide what broke', () => {
    const table = ledgerTable(KINDS, [line({}), line({ count: 2500, result: 'broken' })]);
    expect(table)
      .to.contain('3,500 kills')
      .and.contain('2,500 in 200 s')
      .and.match(/\| 1 \|$/m);
    expect(table.split('\n')).to.have.length(KINDS.length + 2);
  });

  it('docs/reliability.md has the table that the ledger makes: npm run soak -- --table', () => {
    const page = readFileSync(PAGE_FILE, 'utf8');
    expect(withTable(page, ledgerTable(KINDS, readLedger()))).to.equal(page);
  });

  it('holds nothing but runs of a clean tree', () => {
    const dirty = readLedger().filter(({ commit }) => !/^[0-9a-f]{12}$/.test(commit));
    expect(dirty).to.deep.equal([]);
  });

  it('has each kind tell its mistakes and counts', () => {
    expect(new Set(KINDS.map(({ name }) => name)).size).to.equal(KINDS.length);
    for (const { plants, sliceCount, defaultCount } of KINDS) {
      expect(plants).to.not.have.length(0);
      expect(defaultCount).to.be.greaterThan(sliceCount);
    }
  });
});
