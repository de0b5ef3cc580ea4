/** The command line: what is taken, what is refused, and how the refusal helps. */
import { expect } from 'chai';
import fc from 'fast-check';
import {
  GLOBAL_OPTIONS,
  type OperandSpec,
  type OptionSpecs,
  type Options,
  parseOptions,
  splitVerb,
} from '../../cli/args.ts';
import { editDistance, nearest } from '../../cli/nearest.ts';
import { DatamonError } from '../../core/errors.ts';

const SPECS: OptionSpecs = {
  stat: { type: 'boolean', summary: '' },
  count: { type: 'string', short: 'n', summary: '' },
  include: { type: 'string', multiple: true, summary: '' },
};
const ANY: OperandSpec = { names: ['A', 'B'], min: 0, max: 2 };

const parse = (line: string[], operands: OperandSpec = ANY): Options =>
  parseOptions(splitVerb(line), SPECS, operands, 'log');

function refusal(line: string[], operands: OperandSpec = ANY): DatamonError {
  try {
    parse(line, operands);
  } catch (error) {
    if (error instanceof DatamonError) return error;
    throw error;
  }
  throw new Error(`${line.join(' ')} was taken`);
}

describe('arguments', () => {
  it('finds the verb behind global options and their values', () => {
    expect(splitVerb(['-R', 'log', '--json', 'show', 'x']).verb).to.equal('show');
    expect(splitVerb(['--repo=log', 'ls']).verb).to.equal('ls');
    expect(splitVerb(['--json']).verb).to.equal(null);
    expect(splitVerb([]).verb).to.equal(null);
  });

  it('takes global options before and behind the verb', () => {
    const options = parse(['-R', 'memory:a//b', 'log', '--json', '-vv']);
    expect(options.text('repo')).to.equal('memory:a//b');
    expect(options.flag('json')).to.equal(true);
    expect(options.count('verbose')).to.equal(2);
  });

  it('takes short options with their value apart and attached', () => {
    expect(parse(['log', '-n', '5']).text('count')).to.equal('5');
    expect(parse(['log', '-n5']).text('count')).to.equal('5');
    expect(parse(['log', '--count=5']).text('count')).to.equal('5');
  });

  it('collects options that may be given many times', () => {
    const options = parse(['log', '--include', '*.csv', '--include=*.bin']);
    expect(options.texts('include')).to.deep.equal(['*.csv', '*.bin']);
  });

  it('takes what follows -- for operands, whatever it looks like', () => {
    expect(parse(['log', '--', '--stat', '-h']).operands).to.deep.equal(['--stat', '-h']);
    const separate = parse(['log', 'a', '--', '--stat'], { ...ANY, separate: true });
    expect([separate.operands, separate.rest]).to.deep.equal([['a'], ['--stat']]);
  });

  it('names the nearest option for an unknown one', () => {
    expect(refusal(['log', '--sata']).message).to.equal(
      'unknown option --sata. Did you mean --stat?',
    );
    expect(refusal(['log', '--inc']).message).to.contain('--include?');
    expect(refusal(['log', '--jsno']).message).to.contain('--json?');
    expect(refusal(['log', '--zzzzzz']).message).to.equal('unknown option --zzzzzz.');
    expect(refusal(['log', '-x']).message).to.equal('unknown option -x.');
  });

  it('knows no option of the verb in front of the verb', () => {
    expect(() => parseOptions(splitVerb(['--stat', 'log']), SPECS, ANY, 'log')).to.throw('--stat');
  });

  it('refuses a forgotten value instead of eating the next option', () => {
    expect(refusal(['log', '--count', '--json']).message).to.contain('needs a value');
    expect(refusal(['log', '-n']).message).to.contain('needs a value');
    expect(parse(['log', '--count=-5']).text('count')).to.equal('-5');
  });

  it('refuses a value for what takes none, and a value twice', () => {
    expect(refusal(['log', '--stat=yes']).message).to.contain('takes no value');
    expect(refusal(['log', '-n', '1', '-n', '2']).message).to.contain('given twice');
  });

  it('refuses too few and too many operands by name', () => {
    const one = { names: ['FILE'], min: 1, max: 1 };
    expect(refusal(['log'], one).message).to.equal('log needs FILE');
    expect(refusal(['log', 'a', 'b'], one).message).to.contain('"b" is one too many');
    expect(refusal(['log', 'a'], { names: [], min: 0, max: 0 }).message).to.contain(
      'takes no operands',
    );
  });

  it('every refusal is INVALID and names the help to read', () => {
    const error = refusal(['log', '--nope']);
    expect([error.code, error.hint]).to.deep.equal(['INVALID', 'Run: datamon log --help']);
  });

  it('never takes names of Object.prototype for options', () => {
    for (const name of ['constructor', '__proto__', 'toString']) {
      expect(refusal(['log', `--${name}`]).code).to.equal('INVALID');
    }
  });

  it('whatever is typed parses or is INVALID', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ maxLength: 12 }), { maxLength: 6 }), (words) => {
        try {
          parse(['log', ...words]);
        } catch (error) {
          expect(error).to.be.instanceOf(DatamonError);
          expect((error as DatamonError).code).to.equal('INVALID');
        }
      }),
    );
  });

  it('the global options have summaries', () => {
    expect(Object.values(GLOBAL_OPTIONS).filter(({ summary }) => summary === '')).to.be.empty;
  });
});

describe('nearest word', () => {
  it('takes beginnings, swaps and small slips, and nothing far off', () => {
    const verbs = ['log', 'label', 'login', 'install', 'uninstall', 'status'];
    expect(nearest('lgo', verbs)).to.equal('log');
    expect(nearest('lable', verbs)).to.equal('label');
    expect(nearest('stat', verbs)).to.equal('status');
    expect(nearest('instal', verbs)).to.equal('install');
    expect(nearest('xyzzy', verbs)).to.equal(null);
    expect(nearest('q', verbs)).to.equal(null);
  });

  it('counts edits the same in both directions', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 8 }), fc.string({ maxLength: 8 }), (a, b) => {
        expect(editDistance(a, b)).to.equal(editDistance(b, a));
        expect(editDistance(a, b) === 0).to.equal(a === b);
      }),
    );
  });
});
