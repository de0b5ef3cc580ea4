/** What lint cannot hold: headers, sizes, leftovers, where `process` may appear, and docs that name what the code has. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect } from 'chai';
import { ERROR_CODES } from '../core/errors.ts';

const root = resolve(import.meta.dirname, '..');
const FILE_LINES_MAX = 350;
/** Split, so that this file does not name what it looks for. */
const LEFTOVERS = new RegExp(
  ['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX', 'HA' + 'CK'].map((w) => `\\b${w}\\b`).join('|'),
);
const REGISTRY_HOSTS = new RegExp(
  [
    'registry\\.' + 'npmjs',
    'deb\\.' + 'debian\\.org',
    'proxy\\.' + 'golang',
    'pypi\\.' + 'org',
  ].join('|'),
);

const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const tracked = execFileSync(
  'git',
  ['ls-files', '-z', '--cached', '--others', '--exclude-standard'],
  { cwd: root, encoding: 'utf8' },
)
  .split('\0')
  .filter((file) => file !== '');
const sources = tracked.filter((file) => file.endsWith('.ts'));
const product = sources.filter((file) => !file.startsWith('test/'));
const folders = [...new Set(product.map((file) => file.split('/')[0] ?? ''))];

const offenders = (
  files: readonly string[],
  isBad: (text: string, file: string) => boolean,
): string[] => files.filter((file) => isBad(read(file), file));

describe('tidiness', () => {
  it('every source file opens by saying what it promises', () => {
    expect(offenders(sources, (text) => !/^(#!.*\n)?\/\*\*/.test(text))).to.deep.equal([]);
  });

  it(`no product file is longer than ${FILE_LINES_MAX} lines`, () => {
    expect(
      offenders(product, (text) => text.split('\n').length - 1 > FILE_LINES_MAX),
    ).to.deep.equal([]);
  });

  it('no leftovers', () => {
    expect(
      offenders(
        tracked.filter((file) => /\.(ts|mjs|sh|md)$/.test(file)),
        (text) => LEFTOVERS.test(text),
      ),
    ).to.deep.equal([]);
  });

  it('no test is skipped or run alone', () => {
    expect(
      offenders(sources, (text) => /\b(it|describe)\.(only|skip)\(|this\.skip\(/.test(text)),
    ).to.deep.equal(
      ['test/tidy.test.ts'].filter((file) => /\b(it|describe)\.(only|skip)\(/.test(read(file))),
    );
  });

  it('`process` appears in main.ts files only', () => {
    expect(
      offenders(
        product,
        (text, file) =>
          !file.endsWith('/main.ts') &&
          /(^|[^.\w'"`-])process\.(env|argv|stdin|stdout|stderr|cwd|exit|on)\b/m.test(
            stripComments(text),
          ),
      ),
    ).to.deep.equal([]);
  });

  it('no default exports, no barrels', () => {
    expect(offenders(product, (text) => /^export default/m.test(text))).to.deep.equal([]);
    expect(product.filter((file) => file.endsWith('/index.ts'))).to.deep.equal([]);
  });

  it('file names are kebab-case', () => {
    expect(
      sources.filter((file) => !/^([a-z0-9.-]+\/)*[a-z0-9]+(-[a-z0-9]+)*(\.test)?\.ts$/.test(file)),
    ).to.deep.equal([]);
  });

  it('names no package registry host and no absolute path of a build machine', () => {
    const texts = tracked.filter((file) => !/\.(bin|png)$/.test(file));
    expect(offenders(texts, (text) => REGISTRY_HOSTS.test(text))).to.deep.equal([]);
    expect(read('package-lock.json')).to.not.match(/"resolved": *"http/);
  });

  it('docs/errors.md has a section for every error code, and no other', () => {
    expect(
      [...read('docs/errors.md').matchAll(/^## ([A-Z_]+)$/gm)].map((match) => match[1]),
    ).to.have.members([...ERROR_CODES]);
  });

  it('docs/reliability.md names tests that are there', () => {
    const rows = [
      ...read('docs/reliability.md').matchAll(/^\| (F\d\d) \|[^|]*\| `([^`]+)` \| ([^|]+) \|$/gm),
    ];
    expect(rows.length).to.be.at.least(50);
    const stale = rows.filter(([, , file = '', title = '']) => {
      const isKind = title.startsWith('kind ');
      return !tracked.includes(file) || !(isKind || read(file).includes(title.trim()));
    });
    expect(stale.map(([, fault]) => fault)).to.deep.equal([]);
  });

  it('ARCHITECTURE.md names every folder of the product', () => {
    const text = read('ARCHITECTURE.md');
    expect(folders.filter((folder) => !text.includes(`${folder}/`))).to.deep.equal([]);
  });

  it('every folder of the product has an import rule and is type-checked', () => {
    const rules = read('biome.json');
    const config = JSON.parse(read('tsconfig.json')) as { readonly include: readonly string[] };
    expect(
      folders.filter(
        (folder) => !rules.includes(`"${folder}/`) || !config.include.includes(folder),
      ),
    ).to.deep.equal([]);
  });

  it('the first two commands of the README are the demo and the tests', () => {
    const commands = [...read('README.md').matchAll(/^ {4}(\.\/install\.sh.*)$/gm)].map((match) =>
      match[1]?.split('#')[0]?.trim(),
    );
    expect(commands.slice(0, 2)).to.deep.equal(['./install.sh --demo', './install.sh --test']);
  });
});

const stripComments = (text: string): string =>
  text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
