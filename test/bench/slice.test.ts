/** The whole benchmark at tiny sizes, datamon and `cp` alone, for what it says to be right; how long anything takes is not looked at. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { LfsProgram } from '../../bench/lfs-program.ts';
import type { Report, WorkReport } from '../../bench/model.ts';
import { datamonPut } from '../../bench/ours/datamon-put.ts';
import { datamonBasic, datamonServer } from '../../bench/ours/datamon-server.ts';
import { datamonStandalone } from '../../bench/ours/datamon-standalone.ts';
import { lfsTestServer } from '../../bench/peers/lfs-test-server.ts';
import { copyAndSync } from '../../bench/peers/plain-tools.ts';
import { WORKS } from '../../bench/programs.ts';
import { formatReport } from '../../bench/report-text.ts';
import { merge } from '../../bench/results.ts';
import { Rig } from '../../bench/rig.ts';
import { runBench } from '../../bench/run.ts';
import { SIZES } from '../../bench/sizes.ts';
import { summarise } from '../../bench/statistics.ts';

const TIMEOUT_MS = 420_000;
/** Who takes part in what: each way of each work is gone once, by the programs that start fastest where any would do. */
const PARTS: readonly { readonly ids: readonly string[]; readonly programs: LfsProgram[] }[] = [
  { ids: ['W1'], programs: [datamonStandalone, lfsTestServer] },
  { ids: ['W2'], programs: [datamonServer, datamonBasic] },
  { ids: ['W11'], programs: [datamonBasic] },
  { ids: ['W3', 'W4', 'W5', 'W6', 'W7', 'W8', 'W9', 'W10', 'W12'], programs: [datamonServer] },
];

describe('bench: a slice of everything', function () {
  this.timeout(TIMEOUT_MS);
  let parent: string;
  let report: Report;
  let reportOfPeers: Report;

  before(async () => {
    parent = await mkdtemp(join(tmpdir(), 'datamon-bench-test-'));
    const rig = await Rig.open({
      parent,
      nodePath: process.execPath,
      path: process.env['PATH'] ?? '',
      programs: 'sources',
      // Without peers that were installed there: the same run on every machine.
      toolsDir: join(parent, 'tools'),
      signal: new AbortController().signal,
    });
    try {
      const reports: Report[] = [];
      for (const { ids, programs } of PARTS) {
        reports.push(
          await runBench({
            rig,
            sizes: SIZES.tiny,
            rounds: 1,
            works: WORKS.filter(({ id }) => ids.includes(id)),
            lfsPrograms: programs,
            archivers: [datamonPut, copyAndSync],
            say: () => {},
          }),
        );
      }
      [reportOfPeers] = reports as [Report];
      report = reports.reduce(merge);
    } finally {
      await rig.close();
    }
  });
  after(() => rm(parent, { recursive: true, force: true }));

  const workOf = (id: string): WorkReport => {
    const work = report.works.find((one) => one.id === id);
    if (work === undefined) throw new Error(`${id} was not run`);
    return work;
  };
  const medianOf = (id: string, name: string, program: string, metric: string): number => {
    const series = workOf(id).series.find(
      (one) => one.case === name && one.program === program && one.metric === metric,
    );
    return summarise(series?.samples ?? []).median;
  };

  it('runs every work without a failure, and leaves nothing behind', async () => {
    expect(report.works.map(({ id }) => id)).to.deep.equal(WORKS.map(({ id }) => id));
    expect(report.works.flatMap(({ id, failures }) => failures.map((text) => `${id} ${text}`))).to
      .be.empty;
    expect(await readdir(parent)).to.deep.equal([]);
  });

  it('measures every absolute target, but for programs that take no part here', () => {
    for (const { verdicts, id } of report.works) {
      for (const { target, outcome } of verdicts) {
        if (target.against !== undefined || target.program === 'datamon-standalone') continue;
        const name = `${id} ${target.case}, ${target.program}, ${target.metric}`;
        expect(outcome, name).to.not.equal('not measured');
      }
    }
  });

  it('names the peer that is not there', () => {
    const absent = reportOfPeers.programs.find(({ name }) => name === 'lfs-test-server');
    expect(absent?.presence.kind).to.equal('absent');
    expect(formatReport(reportOfPeers)).to.match(
      /lfs-test-server +\| not available here: not installed/,
    );
  });

  it('counts bytes on the wire: an insertion costs us little, and basic transfers the file', () => {
    const edited = 'push of the edited file';
    const whole = SIZES.tiny.bigFileBytes;
    expect(medianOf('W2', edited, 'datamon-basic', 'sentBytes')).to.be.within(whole, 1.2 * whole);
    expect(medianOf('W2', edited, 'datamon-server', 'sentBytes')).to.be.within(
      SIZES.tiny.insertedBytes,
      0.5 * whole,
    );
  });

  it('counts what is stored: a copy keeps each version, we keep them once', () => {
    const copied = medianOf('W6', 'all versions', 'cp+sync', 'storedBytes');
    expect(copied).to.be.within(2 * SIZES.tiny.rowFileBytes, 2.1 * SIZES.tiny.rowFileBytes);
    expect(medianOf('W6', 'all versions', 'datamon-put', 'storedBytes')).to.be.below(copied / 2);
  });

  it('clones and pushes from far away', () => {
    for (const [id, name, program] of [
      ['W3', 'push, 5 ms away', 'datamon-server'],
      ['W4', 'clone of the small files, 5 ms away', 'datamon-server'],
    ] as const) {
      expect(medianOf(id, name, program, 'seconds'), name).to.be.above(0.01);
    }
  });

  it('reads no less than was asked for, and counts it', () => {
    for (const program of ['datamon-server', 'datamon-standalone']) {
      const ratio = medianOf('W8', 'random reads of 1 %', program, 'fetchedBytesPerByteRead');
      expect(ratio, program).to.be.above(1);
    }
  });

  it('sees the memory of hook, agent and server', () => {
    const peaks = new Map(
      workOf('W12').series.map(({ case: name, program, samples }) => [
        `${name} ${program}`,
        samples[0],
      ]),
    );
    for (const name of [
      'hook, push of the large file datamon-server',
      'agent, large file up and down datamon-server',
      'server, several clients at once datamon-server',
      'largest process of a save without git datamon-put',
    ]) {
      expect(peaks.get(name), `${name} of ${[...peaks.keys()]}`).to.be.above(0);
    }
    expect(peaks.get('agent, large file up and down datamon-server')).to.be.above(30);
  });
});
