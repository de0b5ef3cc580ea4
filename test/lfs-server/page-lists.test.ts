/** Pages of much and of odd things: long lists come in pages, commands can be copied without harm, incomplete bundles say so. */
import { execFileSync } from 'node:child_process';
import { expect } from 'chai';
import { digestOf } from '../../core/digest.ts';
import type { PushId } from '../../core/keys.ts';
import { datamonCommand, shellWord } from '../../lfs-server/pages/shell.ts';
import { FOLDER_ROWS_MAX } from '../../lfs-server/pages/tree-pages.ts';
import {
  moveTo,
  pushVersion,
  READER,
  REPO,
  type ServerWorld,
  startServer,
} from './support/server-world.ts';

async function page(world: ServerWorld, path: string): Promise<string> {
  const response = await world.call(path, { token: READER, headers: { Accept: 'text/html' } });
  expect(response.status, path).to.equal(200);
  return await response.text();
}

const text = (html: string): string =>
  html
    .replace(/<[^>]*>/g, '')
    .replaceAll('&#39;', "'")
    .replaceAll('&#96;', '`')
    .replaceAll('&quot;', '"')
    .replaceAll('&gt;', '>')
    .replaceAll('&lt;', '<')
    .replaceAll('&amp;', '&');

describe('commands on pages', () => {
  const ODD = [
    "it's",
    '$(touch x)',
    '`x`',
    'a b',
    'a;b',
    '>x',
    '"',
    '',
    '-rf',
    'ünï',
    '*',
    '~',
    '\\',
  ];

  it('are one word in the shell for each that was meant', () => {
    const printed = execFileSync('sh', ['-c', `printf '%s\\n' ${ODD.map(shellWord).join(' ')}`]);
    expect(printed.toString().slice(0, -1).split('\n')).to.deep.equal(ODD);
  });

  it('name a path the way the command line reads it', () => {
    expect(datamonCommand('ls', 'http://x/a/b', 'main:odd')).to.equal(
      'datamon ls --repo http://x/a/b main:odd',
    );
  });

  it('carry no file or branch name into the shell unquoted', async () => {
    const world = await startServer();
    const name = 'x $(touch owned) `id`.csv';
    await pushVersion(world, { files: { [`d/${name}`]: 'a' }, branch: '$(id)' });
    const ref = encodeURIComponent('$(id)');
    const blob = text(await page(world, `/${REPO}/blob/${ref}/d/${encodeURIComponent(name)}`));
    expect(blob).to.contain(`'$(id):d/${name}' > './${name}'`);
    expect(text(await page(world, `/${REPO}/tree/${ref}/d`))).to.contain(`'$(id):d'`);
    expect(text(await page(world, `/${REPO}/commits/${ref}`))).to.match(
      /datamon log .* '\$\(id\)'/,
    );
  });
});

describe('long lists', () => {
  it('of a folder come in pages, each row once', async () => {
    const world = await startServer();
    const names = Array.from(
      { length: FOLDER_ROWS_MAX + 5 },
      (_, index) => `f${String(index).padStart(5, '0')}`,
    );
    await pushVersion(world, { files: Object.fromEntries(names.map((name) => [name, 'same'])) });
    const first = await page(world, `/${REPO}/tree/main`);
    const next = /href="([^"]*\?skip=\d+)">More</.exec(first)?.[1] ?? '';
    const second = await page(world, next);
    const rows = [first, second].flatMap((html) =>
      [...html.matchAll(/>(f\d{5})<\/a>/g)].map((match) => match[1]),
    );
    expect(rows).to.deep.equal(names);
    expect(second).to.contain('Before').and.not.contain('>More<');
    expect(await page(world, `/${REPO}/tree/main?skip=999999`)).to.contain('Before');
  });

  it('of branches are cut and say so, and the main branch is found all the same', async () => {
    const world = await startServer();
    const pushed = await pushVersion(world, { files: { a: 'x' }, message: 'On main' });
    const { history } = await world.repository();
    for (let index = 0; index < 105; index += 1) {
      const branch = `a-${String(index).padStart(3, '0')}`;
      await history.recordMove({
        ...moveTo(pushed, pushed.commit, { files: {}, branch }),
        pushId: digestOf(branch).slice(0, 32) as PushId,
      });
    }
    const overview = await page(world, `/${REPO}`);
    expect(text(overview)).to.contain('Newest bundles of main').and.contain('the first 100');
  });
});

describe('a bundle with bytes that were not stored', () => {
  it('says so on its page and its commit’s', async () => {
    const world = await startServer();
    const pushed = await pushVersion(world, { files: { a: 'x' } });
    const { history } = await world.repository();
    await history.recordMove({
      ...moveTo(pushed, pushed.commit, { files: {}, branch: 'broken' }),
      pushId: 'cd'.repeat(16) as PushId,
      missing: [digestOf('lost')],
    });
    const marked = await page(world, `/${REPO}/commits/broken`);
    expect(marked).to.contain('1 missing');
    for (const path of [`bundle/${pushed.bundle}`, `commit/${pushed.commit}`]) {
      expect(await page(world, `/${REPO}/${path}`)).to.contain(
        'Incomplete: 1 object was not stored',
      );
    }
    const { blobs } = await world.repository();
    await blobs.put({
      oid: digestOf('lost'),
      sizeBytes: 4,
      async *open() {
        yield Buffer.from('lost');
      },
    });
    const healed = await page(world, `/${REPO}/commits/broken`);
    expect(healed, 'what came later counts as there').to.not.contain('1 missing');
  });
});
