/** The import whitelist of biome.json fires: for every folder a planted violation is caught, and what is allowed passes. */
import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';

const root = resolve(import.meta.dirname, '..');

interface Room {
  readonly file: string;
  readonly allowed: readonly string[];
  readonly forbidden: readonly string[];
}

const ROOMS: readonly Room[] = [
  {
    file: 'core/planted.ts',
    allowed: ['node:fs', './errors.ts', './backend/backend.ts'],
    forbidden: ['express', '../client/open.ts', './cas/direct-store.ts', './meta/history.ts'],
  },
  {
    file: 'core/open-repository.ts',
    allowed: ['./cas/direct-store.ts', './meta/history.ts'],
    forbidden: ['../backends/open.ts', 'express'],
  },
  {
    file: 'core/backend/planted.ts',
    allowed: ['../keys.ts', 'node:stream/promises'],
    forbidden: ['../cas/pool.ts', '../meta/model.ts', '../../backends/local.ts'],
  },
  {
    file: 'core/cas/planted.ts',
    allowed: ['../keys.ts', '../backend/backend.ts'],
    forbidden: ['../meta/model.ts', '../lfs/pointer.ts', 'split2'],
  },
  {
    file: 'core/meta/planted.ts',
    allowed: ['../cas/blob-store.ts', '../log.ts'],
    forbidden: ['../lfs/pointer.ts', '../../git/commit.ts', 'yaml'],
  },
  {
    file: 'core/scrub/planted.ts',
    allowed: ['../cas/frame.ts', '../meta/bundle.ts', '../backend/backend.ts'],
    forbidden: ['../lfs/pointer.ts', '../../git/commit.ts', '../../client/open.ts'],
  },
  {
    file: 'core/collect/planted.ts',
    allowed: ['../cas/blob-store.ts', '../meta/bundle.ts', '../log.ts'],
    forbidden: ['../lfs/pointer.ts', '../../backends/local.ts', '../../client/open.ts'],
  },
  {
    file: 'core/replication/planted.ts',
    allowed: ['../cas/condemned.ts', '../scrub/prove-object.ts', '../backend/replicated.ts'],
    forbidden: ['../lfs/pointer.ts', '../../git/commit.ts', '../../backends/open.ts'],
  },
  {
    file: 'core/lfs/planted.ts',
    allowed: ['../digest.ts', '../errors.ts'],
    forbidden: ['../keys.ts', '../cas/pool.ts'],
  },
  {
    file: 'backends/planted.ts',
    allowed: ['../core/errors.ts', './local.ts'],
    forbidden: ['../client/open.ts', '../git/config.ts', 'simple-git'],
  },
  {
    file: 'client/planted.ts',
    allowed: ['../core/meta/model.ts', '../backends/open.ts'],
    forbidden: ['../backends/local.ts', '../git/config.ts', 'jsonwebtoken', 'express'],
  },
  {
    file: 'client/tokens.ts',
    allowed: ['jsonwebtoken', '../core/errors.ts'],
    forbidden: ['express', '../git/config.ts'],
  },
  {
    file: 'git/planted.ts',
    allowed: ['simple-git', 'yaml', '../core/keys.ts'],
    forbidden: ['../client/open.ts', '../backends/open.ts', '../hooks/main.ts'],
  },
  {
    file: 'agent/planted.ts',
    allowed: ['split2', '../client/open.ts', '../git/config.ts'],
    forbidden: [
      'express',
      'simple-git',
      '../backends/local.ts',
      '../hooks/main.ts',
      '../cli/main.ts',
      '../lfs-server/main.ts',
    ],
  },
  {
    file: 'hooks/planted.ts',
    allowed: ['../client/open.ts', '../git/config.ts'],
    forbidden: [
      'split2',
      'simple-git',
      '../agent/main.ts',
      '../cli/main.ts',
      '../lfs-server/app.ts',
    ],
  },
  {
    file: 'lfs-server/planted.ts',
    allowed: ['express', './routes/batch.ts', '../core/cas/blob-store.ts'],
    forbidden: ['jsonwebtoken', 'simple-git', '../agent/main.ts', '../cli/main.ts'],
  },
  {
    file: 'lfs-server/routes/planted.ts',
    allowed: ['express', '../auth.ts', '../../core/keys.ts', '../../client/tokens.ts'],
    forbidden: ['jsonwebtoken', '../../hooks/main.ts', '../../backends/local.ts'],
  },
  {
    file: 'cli/planted.ts',
    allowed: ['./commands/log.ts', '../client/open.ts'],
    forbidden: ['express', 'simple-git', '../agent/main.ts', '../lfs-server/main.ts'],
  },
  {
    file: 'cli/commands/planted.ts',
    allowed: ['../output.ts', '../../client/open.ts', '../../git/config.ts'],
    forbidden: ['../../hooks/main.ts', '../../lfs-server/main.ts', 'split2'],
  },
  {
    file: 'cli/main.ts',
    allowed: ['../agent/main.ts', '../hooks/main.ts', '../lfs-server/main.ts'],
    forbidden: ['../agent/session.ts', '../lfs-server/app.ts'],
  },
  {
    file: 'bench/planted.ts',
    allowed: ['../core/digest.ts', '../client/open.ts', '../test/support/splitmix64.ts'],
    forbidden: ['express', '../cli/run.ts', '../agent/main.ts', '../test/support/git-repo.ts'],
  },
  {
    file: 'bench/works/planted.ts',
    allowed: ['../bench.ts', '../ours/datamon-put.ts', '../../core/keys.ts', './names.ts'],
    forbidden: ['../../backends/local.ts', '../../client/session.ts', '../../git/config.ts'],
  },
  {
    file: 'core/imports-test.ts',
    allowed: ['node:assert'],
    forbidden: ['../test/support/temp-dir.ts'],
  },
];

interface Report {
  readonly diagnostics: readonly {
    readonly category: string;
    readonly location: { readonly path: string | { readonly file: string } };
  }[];
}

const planted = (specifiers: readonly string[]): string =>
  specifiers.map((specifier, index) => `export { x as x${index} } from '${specifier}';\n`).join('');

describe('import direction (biome.json)', () => {
  let folder: string;
  let findings: Map<string, number>;

  before(async function () {
    this.timeout(60_000);
    folder = await mkdtemp(join(tmpdir(), 'datamon-lint-'));
    const config = JSON.parse(await readFile(join(root, 'biome.json'), 'utf8'));
    delete config.vcs;
    config.linter.rules = { preset: 'none' };
    await writeFile(join(folder, 'biome.json'), JSON.stringify(config));
    for (const room of ROOMS) {
      for (const [name, specifiers] of [
        ['allowed', room.allowed],
        ['forbidden', room.forbidden],
      ] as const) {
        // A file of its own name keeps its rule only at its own path, so each half gets a tree of its own.
        const file = join(folder, name, room.file);
        await mkdir(dirname(file), { recursive: true });
        await writeFile(file, planted(specifiers));
      }
    }
    findings = new Map();
    for (const half of ['allowed', 'forbidden']) {
      await copyFile(join(folder, 'biome.json'), join(folder, half, 'biome.json'));
      await symlink(join(root, 'node_modules'), join(folder, half, 'node_modules'));
      for (const [file, count] of await lint(join(folder, half)))
        findings.set(`${half}/${file}`, count);
    }
  });

  after(() => rm(folder, { recursive: true, force: true }));

  for (const room of ROOMS) {
    it(`${room.file}: allows ${room.allowed.join(', ')}`, () => {
      expect(findings.get(`allowed/${room.file}`) ?? 0).to.equal(0);
    });
    it(`${room.file}: refuses ${room.forbidden.join(', ')}`, () => {
      expect(findings.get(`forbidden/${room.file}`) ?? 0).to.equal(room.forbidden.length);
    });
  }
});

/** Findings of the import rule by file, relative to `folder`. */
async function lint(folder: string): Promise<Map<string, number>> {
  const biome = join(root, 'node_modules', '.bin', 'biome');
  const args = [
    'lint',
    '--only=style/noRestrictedImports',
    '--reporter=json',
    '--max-diagnostics=none',
    '.',
  ];
  const output = await promisify(execFile)(biome, args, {
    cwd: folder,
    maxBuffer: 64 * 1024 * 1024,
  }).catch((failed: { readonly stdout: string }) => failed);
  const report = JSON.parse(output.stdout.slice(output.stdout.indexOf('{'))) as Report;
  const counts = new Map<string, number>();
  for (const { category, location } of report.diagnostics) {
    expect(category).to.equal('lint/style/noRestrictedImports');
    const path = typeof location.path === 'string' ? location.path : location.path.file;
    counts.set(path, (counts.get(path) ?? 0) + 1);
  }
  return counts;
}
