/** .ci/test counts all its lanes: the sum in the last line, a broken-off lane as a failure, and with arguments those tests alone. */
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { delimiter, join, resolve } from 'node:path';
import { expect } from 'chai';
import { type Ran, runProgram } from './support/git-repo.ts';
import { makeTempDir } from './support/temp-dir.ts';

const ROOT = resolve(import.meta.dirname, '..');

/** Runs it with an `npx` that plays each lane by a line of sh; `*` is every other one. */
async function lanes(
  played: Readonly<Record<string, string>>,
  args: readonly string[] = [],
): Promise<Ran> {
  const folder = await makeTempDir();
  const [bin, temp] = [join(folder, 'bin'), join(folder, 'temp')];
  await mkdir(bin);
  await mkdir(temp);
  const cases = Object.entries(played).map(([kind, script]) => `${kind}) ${script} ;;`);
  const npx = [
    '#!/bin/sh',
    '[ "$1" = mocha ] || exit 0',
    'echo "on $DATAMON_TEST_STORE$DATAMON_FAST_PATHS_OFF: $*"',
    'case "$DATAMON_TEST_STORE $*" in',
    '*--ignore*) lane=unit ;;',
    "*'/e2e/**'*) lane=e2e ;;",
    '*core/meta*) lane=plain ;;',
    '*) lane=$DATAMON_TEST_STORE ;;',
    'esac',
    'case $lane in',
    ...cases,
    'esac',
  ];
  await writeFile(join(bin, 'npx'), `${npx.join('\n')}\n`);
  await chmod(join(bin, 'npx'), 0o755);
  const env = { PATH: [bin, process.env['PATH'] ?? ''].join(delimiter), TMPDIR: temp };
  return runProgram('sh', [join(ROOT, '.ci/test'), ...args], { cwd: ROOT, env });
}

const lastLine = ({ stdout }: Ran): string => stdout.trimEnd().split('\n').at(-1) ?? '';

const FINE = 'printf "  ✔ 1 passed, 9 failed\\n\\n3 passed, 0 failed\\n"';

describe('.ci/test', () => {
  it('runs everything on a folder and part of it on each other store, named, and adds up', async () => {
    const ran = await lanes({ unit: 'echo "1000 passed, 0 failed"', '*': FINE });
    expect(ran.status, ran.stderr).to.equal(0);
    expect(lastLine(ran)).to.equal('1015 passed, 0 failed');
    const runs = ran.stdout.split('\n').filter((line) => /^(?:==|on )/.test(line));
    const onStores = runs.filter((line) => line.includes('test/e2e/crash.test.ts'));
    expect(onStores.map((line) => line.split(':')[0]).sort()).to.deep.equal([
      'on gcs',
      'on replicated',
      'on s3',
    ]);
    expect(runs[0]).to.equal('== lint and types');
    for (const [lane, tests] of [
      ['unit', 'test/**/*.test.ts --ignore test/e2e/**'],
      ['e2e', 'test/e2e/**/*.test.ts'],
    ]) {
      // What a lane said stands behind its name, in one piece.
      const at = runs.indexOf(`== tests: ${lane}`);
      expect(runs[at + 1]).to.equal(`on local: mocha ${tests}`);
    }
    const plain = runs[runs.indexOf('== tests: plain') + 1];
    expect(plain).to.match(/^on all: mocha .*core\/cas.* test\/e2e\/push.test.ts /);
  });

  it('a failed test in any lane is in the sum and in the status', async () => {
    const said = 'printf "early\\n  1 failing\\n  1) the one\\n\\n2 passed, 1 failed\\n"';
    const ran = await lanes({ s3: `${said}; exit 1`, '*': FINE });
    expect(lastLine(ran)).to.equal('17 passed, 1 failed');
    // Which one, told again at the end.
    const [, end = ''] = ran.stdout.split('== failed in the lane s3\n');
    expect(end).to.match(/^ {2}1 failing\n {2}1\) the one\n/);
    expect(ran.status).to.equal(1);
  });

  it('a lane that breaks off counts as a failure, whatever it said', async () => {
    for (const script of [
      'exit 7',
      'kill -9 $$',
      'exit 0',
      'echo "3 passed, 0 failed"; exit 7',
      'echo "3 passed, 0 failed"; kill -9 $$',
    ]) {
      const ran = await lanes({ gcs: script, '*': FINE });
      const passed = script.startsWith('echo') ? 18 : 15;
      expect(lastLine(ran), script).to.equal(`${passed} passed, 1 failed`);
      expect(ran.status, script).to.equal(1);
    }
  });

  it('with arguments runs those tests alone, with mocha’s own end', async () => {
    const ran = await lanes({ '*': 'echo "5 passed, 2 failed"; exit 2' }, ['test/a.test.ts', '-b']);
    expect(ran.stdout).to.contain('on : mocha test/a.test.ts -b');
    expect(lastLine(ran)).to.equal('5 passed, 2 failed');
    expect(ran.status).to.equal(2);
  });
});
