/** The table of mistakes fits the code as it is, and the runner tells a mistake that is seen from one that is not. */
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect } from 'chai';
import { makeScratch, withMistake } from './apply.ts';
import { IMPOSSIBLE } from './impossible.ts';
import type { Mutant } from './mutant.ts';
import { MUTANTS } from './table.ts';

const root = resolve(import.meta.dirname, '../..');

describe('mutants', () => {
  it('stand in the code exactly once, and name tests that exist', () => {
    const misplaced = MUTANTS.filter(
      (mutant) => withMistake(readFileSync(join(root, mutant.file), 'utf8'), mutant) === null,
    );
    expect(misplaced.map(({ name }) => name)).to.deep.equal([]);
    const absent = MUTANTS.flatMap(({ tests }) => tests).filter(
      (file) => !existsSync(join(root, file)),
    );
    expect(absent).to.deep.equal([]);
  });

  it('are forty and more, each another', () => {
    expect(MUTANTS.length).to.be.at.least(40);
    const names = [...MUTANTS, ...IMPOSSIBLE].map(({ name }) => name);
    expect(new Set(names).size).to.equal(names.length);
    expect(MUTANTS.filter(({ find, replace }) => find === replace)).to.deep.equal([]);
  });

  it('are caught, survive or are misplaced, and leave the tree as it was', async () => {
    const mutant: Mutant = {
      name: 'a digest is that of nothing',
      file: 'core/digest.ts',
      find: "hash('sha256', bytes, 'hex')",
      replace: "hash('sha256', '', 'hex')",
      tests: ['test/core/digest.test.ts'],
    };
    const before = readFileSync(join(root, mutant.file), 'utf8');
    const scratch = await makeScratch();
    try {
      expect(await scratch.isGreen(mutant.tests)).to.equal(null);
      expect(await scratch.judge(mutant)).to.equal('caught');
      expect(
        await scratch.judge({ ...mutant, tests: ['test/core/json.test.ts'], replace: mutant.find }),
      ).to.equal('SURVIVED');
      expect(await scratch.judge({ ...mutant, find: 'nowhere' })).to.equal('MISPLACED');
      expect(await scratch.isGreen(mutant.tests), 'the mistake is gone').to.equal(null);
    } finally {
      await scratch.remove();
    }
    expect(readFileSync(join(root, mutant.file), 'utf8')).to.equal(before);
  }).timeout(60_000);
});
