/** Reports: every target with its outcome, every program that did not take part with its reason, and a page that is written whole. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Report, Target, WorkReport } from '../../bench/model.ts';
import { WORKS } from '../../bench/programs.ts';
import { formatReport, formatValue } from '../../bench/report-text.ts';
import { merge, withGenerated, writeDocs } from '../../bench/results.ts';
import { judge } from '../../bench/statistics.ts';
import { codeOf } from '../support/code-of.ts';

const TARGET: Target = {
  case: 'push',
  program: 'datamon-server',
  metric: 'seconds',
  against: ['lfs-test-server', 'rudolfs'],
  bound: { atMost: 0.5 },
};

function work(id: WorkReport['id'], median = 1): WorkReport {
  const series = [
    { case: 'push', program: 'datamon-server', metric: 'seconds', samples: [median, median] },
    { case: 'push', program: 'rudolfs', metric: 'seconds', samples: [4] },
  ] as const;
  return {
    id,
    title: 'a work',
    at: '2026-01-02T03:04:05.000Z',
    datamon: 'datamon 0.1.0',
    rounds: 2,
    seconds: 3,
    load: [0.1, 1.5],
    series,
    verdicts: judge([TARGET], series),
    notes: ['giftless failed and is left out: why'],
    failures: [],
  };
}

function reportOf(works: readonly WorkReport[], cpu = 'a processor'): Report {
  return {
    format: 'datamon-bench',
    version: 1,
    at: '2026-01-02T03:04:05.000Z',
    size: 'full',
    machine: { cpu, cores: 2, memoryBytes: 2 ** 34, system: 'Linux', fileSystem: 'ext4' },
    programs: [
      { name: 'rudolfs', presence: { kind: 'here', version: '0.3.8' } },
      { name: 'lfs-test-server', presence: { kind: 'absent', why: 'no go here' } },
    ],
    works,
  };
}

const page = await readFile(join(import.meta.dirname, '../../docs/performance.md'), 'utf8');

describe('bench: report', () => {
  it('tells each target, who stood in, and whether it was met', () => {
    const text = formatReport(reportOf([work('W1')]));
    expect(text).to.match(
      /\| W1 +\| push \| datamon-server \| rudolfs, for lfs-test-server \| ≤ 0\.5 +\| 0\.25 \| met\\\* +\|/,
    );
    expect(text).to.include('another peer stands in');
    expect(formatReport(reportOf([work('W1', 3)]))).to.match(/0\.75 \| missed\\\*/);
  });

  it('names what is not available, what failed, and on what it was measured', () => {
    const failed = { ...work('W2'), failures: ['datamon-server: wrong bytes\nat line 3'] };
    const text = formatReport(reportOf([failed]));
    expect(text).to.match(/\| lfs-test-server +\| not available here: no go here +\|/);
    expect(text).to.include('- giftless failed and is left out: why');
    expect(text).to.include('- **failed:** datamon-server: wrong bytes\n');
    expect(text).to.include('a processor, 2 cores, 16.0 GiB of memory, Linux, ext4.');
    expect(text).to.include('load 0.1 before and 1.5 after');
  });

  it('writes values in units a reader can compare', () => {
    expect(formatValue(1.5 * 1024 * 1024, 'sentBytes')).to.equal('1.50 MiB');
    expect(formatValue(0.0123, 'seconds')).to.equal('0.012 s');
    expect(formatValue(5, 'requests')).to.equal('5');
    expect(formatValue(4232.4, 'requestsPerSecond')).to.equal('4232 /s');
  });

  it('replaces works on the same machine, keeps the others, and drops those of another machine', () => {
    const old = reportOf([work('W1'), work('W10'), work('W2')]);
    const merged = merge(old, reportOf([work('W2', 2)]));
    expect(merged.works.map(({ id }) => id)).to.deep.equal(['W1', 'W2', 'W10']);
    expect(merged.works[1]?.series[0]?.samples).to.deep.equal([2, 2]);
    const fewer = merge(old, { ...reportOf([work('W2')]), programs: [] });
    expect(fewer.programs).to.deep.equal(old.programs);
    const again = merge(old, reportOf([work('W2')]));
    expect(again.programs).to.deep.equal(old.programs);
    const elsewhere = merge(old, reportOf([work('W2')], 'another processor'));
    expect(elsewhere.works.map(({ id }) => id)).to.deep.equal(['W2']);
    expect(merge(null, old)).to.equal(old);
  });

  it('writes between the marks of docs/performance.md and nowhere else', async () => {
    const written = withGenerated(page, 'TABLES');
    expect(written).to.include('\n\nTABLES\n\n');
    expect(withGenerated(written, 'TABLES')).to.equal(written);
    const kept = (text: string) => text.split(/<!-- made by[^>]*-->|<!-- to here -->/);
    expect([kept(written)[0], kept(written)[2]]).to.deep.equal([kept(page)[0], kept(page)[2]]);
    expect(await codeOf(() => withGenerated('a page without marks', 'TABLES'))).to.equal('INVALID');
  });

  it('keeps the JSON that the page was made from beside it', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'datamon-bench-test-'));
    try {
      const files = { page: join(dir, 'performance.md'), json: join(dir, 'performance.json') };
      await writeFile(files.page, page);
      await writeDocs(files, reportOf([work('W1')]));
      await writeDocs(files, reportOf([work('W3')]));
      const kept = JSON.parse(await readFile(files.json, 'utf8')) as Report;
      expect(kept.works.map(({ id }) => id)).to.deep.equal(['W1', 'W3']);
      expect(await readFile(files.page, 'utf8'))
        .to.include('### W1: a work')
        .and.include('### W3');
    } finally {
      await rm(dir, { recursive: true });
    }
  });

  it('has a paragraph in docs/performance.md for every work', () => {
    expect(WORKS.map(({ id }) => id).filter((id) => !page.includes(`| ${id} |`))).to.deep.equal([]);
  });
});
