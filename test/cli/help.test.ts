/** Every verb explains itself; the screen lists them all; exit statuses are one table. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { parseOptions, splitVerb } from '../../cli/args.ts';
import { exitStatusOf, STATUS_MEANINGS, STATUS_OF_CODE } from '../../cli/exit-status.ts';
import { DATAMON_VERSION } from '../../cli/runtime.ts';
import { VERBS, visibleVerbs } from '../../cli/verbs.ts';
import { DatamonError, ERROR_CODES } from '../../core/errors.ts';
import { EXIT } from '../../core/io.ts';
import { datamon } from './support/cli.ts';

const REQUIRED =
  'install uninstall init login doctor status log show ls diff cat get put label repo record serve token config version help';

describe('help', () => {
  it('has every verb of this version, and hides what people do not need', () => {
    const names = VERBS.map(({ name }) => name);
    expect(names).to.include.members(REQUIRED.split(' '));
    expect(visibleVerbs().map(({ name }) => name)).to.not.include.members([
      'hook',
      'agent',
      'credential',
    ]);
  });

  it('the screen fits one: every visible verb on a line of its own, no line too long', async () => {
    const { stdout, status } = await datamon(['help']);
    const lines = stdout.split('\n');
    expect(status).to.equal(0);
    expect(lines.length).to.be.at.most(45);
    expect(lines.filter((line) => line.length > 100)).to.deep.equal([]);
    for (const { name } of visibleVerbs()) {
      expect(
        lines.filter((line) => new RegExp(`^(\\w+ +| +)${name}\\b`).test(line)),
        name,
      ).to.have.lengthOf.at.least(1);
    }
  });

  it('the screen lists every exit status', async () => {
    const { stdout } = await datamon(['help']);
    for (const status of Object.values(EXIT))
      expect(stdout).to.match(new RegExp(`\\b${status} \\w`));
  });

  it('datamon outside of a clone is the same screen', async () => {
    expect((await datamon([], { cwd: '/' })).stdout).to.equal((await datamon(['help'])).stdout);
  });

  for (const verb of VERBS) {
    it(`${verb.name}: examples first, then usage, options and statuses`, async () => {
      const { stdout, status } = await datamon([verb.name, '--help']);
      expect(status).to.equal(0);
      const order = ['Examples:', 'Usage:', 'Everywhere:', 'Exit statuses:'].map((title) =>
        stdout.indexOf(title),
      );
      expect(order).to.deep.equal([...order].sort((a, b) => a - b));
      expect(order[0]).to.be.greaterThan(0);
      expect(stdout).to.contain(`datamon ${verb.name}`);
    });
  }

  it('the examples of every verb parse', async () => {
    for (const verb of VERBS.filter(({ program }) => program === undefined)) {
      const command = await verb.load();
      for (const [line] of command.examples) {
        const words = [
          ...((line.split(' | ')[0] ?? '').split(' < ')[0]?.matchAll(/"([^"]*)"|(\S+)/g) ?? []),
        ].map((match) => match[1] ?? match[2] ?? '');
        if (words.length === 0) continue;
        expect(
          () => parseOptions(splitVerb(words), command.options, command.operands, verb.name),
          line,
        ).to.not.throw();
      }
    }
  });

  it('-h works anywhere before --, and is an operand behind it', async () => {
    expect((await datamon(['log', 'main', '-h'])).stdout).to.contain('Usage:');
    expect((await datamon(['-h', 'log'])).stdout).to.contain('Usage:');
    expect((await datamon(['log', '-R', 'memory:none//a', '--', '-h'])).status).to.equal(
      EXIT.notFound,
    );
  });

  it('help of an unknown verb is a usage error', async () => {
    expect((await datamon(['help', 'nope'])).status).to.equal(EXIT.usage);
  });

  it('every error code has an exit status, and every status a meaning', () => {
    expect(Object.keys(STATUS_OF_CODE)).to.have.members([...ERROR_CODES]);
    expect(STATUS_MEANINGS.map(([status]) => status)).to.have.members(Object.values(EXIT));
    expect(exitStatusOf(new DatamonError('LOCKED', 'x'))).to.equal(11);
    expect(exitStatusOf(new Error('x'))).to.equal(1);
  });

  it('the version is the package’s', async () => {
    const file = join(import.meta.dirname, '../../package.json');
    expect((JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version).to.equal(
      DATAMON_VERSION,
    );
    expect((await datamon(['--version'])).stdout).to.match(/^datamon \d+\.\d+\.\d+ \(.*\)\n$/);
    const [row] = (await datamon(['version', '--json'])).json;
    expect(row).to.include.keys('datamon', 'node', 'git', 'gitLfs', 'format');
  });

  it('docs/cli.md lists every visible verb and every exit status', () => {
    const text = readFileSync(join(import.meta.dirname, '../../docs/cli.md'), 'utf8');
    for (const { name } of visibleVerbs()) expect(text).to.match(new RegExp(`\`${name}\\b`));
    for (const status of Object.values(EXIT)) expect(text).to.contain(`| ${status} |`);
  });
});
