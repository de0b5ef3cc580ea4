/** The command line of the benchmark. */
import { expect } from 'chai';
import { parseOptions } from '../../bench/options.ts';
import { WORKS } from '../../bench/programs.ts';
import { codeOf } from '../support/code-of.ts';

describe('bench: options', () => {
  it('runs everything in full unless told otherwise', () => {
    expect(parseOptions([])).to.deep.equal({
      kind: 'run',
      only: WORKS.map(({ id }) => id),
      size: 'full',
      rounds: null,
      peers: 'all',
      programs: null,
      jsonFile: null,
      dir: null,
      profileDir: null,
      writeDocs: false,
    });
  });

  it('takes works in either case, rounds and places', () => {
    const given = ['--only', 'w3, W10', '--quick', '--rounds', '7', '--no-peers', '--json', 'x'];
    expect(parseOptions(given)).to.include({
      size: 'quick',
      rounds: 7,
      peers: 'none',
      jsonFile: 'x',
    });
    expect(parseOptions(given).only).to.deep.equal(['W3', 'W10']);
    const programs = ['datamon-server', 'borg'];
    expect(parseOptions(['--programs', programs.join(', ')]).programs).to.deep.equal(programs);
  });

  for (const [what, given] of [
    ['an unknown work', ['--only', 'W13']],
    ['an unknown program', ['--programs', 'datamon-server,rsync']],
    ['no rounds', ['--rounds', '0']],
    ['half a round', ['--rounds', '1.5']],
    ['an unknown option', ['--fast']],
    ['docs of quick figures', ['--quick', '--write-docs']],
    ['docs of profiled figures', ['--profile', 'x', '--write-docs']],
  ] as const) {
    it(`refuses ${what}`, async () => {
      expect(await codeOf(() => parseOptions(given))).to.equal('INVALID');
    });
  }
});
