/** The pages in a real browser: the way from a repo to the bytes of a file by its links alone, in the dark, and past hostile names. */
import { expect } from 'chai';
import {
  pushVersion,
  REPO,
  type ServerWorld,
  startServer,
} from '../lfs-server/support/server-world.ts';
import { cornerOf, domOf, findBrowser } from './support/browser.ts';

const EVIL = '<script>document.title="owned"<∕script><img src=x onerror=document.title="owned">';
const browser = findBrowser();

/** What the browser makes of a page; without one the page as it is sent, which shows less. */
async function look(world: ServerWorld, path: string): Promise<string> {
  if (browser !== null) return await domOf(browser, world.origin + path);
  return await (await world.call(path, { headers: { Accept: 'text/html' } })).text();
}

/** Where the first link of that text leads; what a person clicks on. */
function linkOf(dom: string, text: string | RegExp): string {
  for (const [, href = '', words = ''] of dom.matchAll(
    /<a\b[^>]*href="([^"]*)"[^>]*>(.*?)<\/a>/gs,
  )) {
    const shown = words.replace(/<[^>]*>/g, '').trim();
    if (typeof text === 'string' ? shown === text : text.test(shown)) {
      return href.replaceAll('&amp;', '&');
    }
  }
  throw new Error(`no link ${text} in ${dom.slice(0, 2000)}`);
}

describe('end to end: pages in a browser', function () {
  this.timeout(60_000);

  before('say what is looked with', () => {
    if (browser !== null) return;
    process.stderr.write(
      'no Chromium on this machine (Debian: apt-get install chromium): the pages are checked as HTML, not as a browser shows them\n',
    );
  });

  it('lead by links from the repo to its bundles, one bundle, a file, and its bytes', async () => {
    const world = await startServer({ anonymous: 'read' });
    const files = { 'data/readings.csv': 'a,b\n1,2\n', 'README.md': '# Weather' };
    const { commit, bundle } = await pushVersion(world, { files, message: 'The first readings' });
    const overview = await look(world, `/${REPO}`);
    expect(overview).to.contain('# Weather').and.contain('git clone');
    const log = await look(world, linkOf(overview, 'All bundles of main'));
    const row = /<tr>(?:(?!<\/tr>).)*The first readings.*?<\/tr>/s.exec(log)?.[0] ?? '';
    expect(row, 'bundle next to its commit')
      .to.contain(bundle.slice(0, 7))
      .and.contain(commit.slice(0, 7));
    const page = await look(world, linkOf(log, bundle.slice(0, 7)));
    const folder = await look(world, linkOf(page, 'data'));
    const file = await look(world, linkOf(folder, 'readings.csv'));
    expect(file).to.contain('a,b');
    const response = await world.call(linkOf(file, 'Download'));
    expect(response.headers.get('content-disposition')).to.contain('readings.csv');
    expect(await response.text()).to.equal(files['data/readings.csv']);
  });

  it('run nothing of what people call their files, branches and commits', async () => {
    const world = await startServer({ anonymous: 'read' });
    const { commit } = await pushVersion(world, {
      files: { [`${EVIL}.txt`]: EVIL, 'README.md': EVIL.replace('∕', '/') },
      message: EVIL.replace('∕', '/'),
      branch: 'main',
    });
    for (const path of [`/${REPO}`, `/${REPO}/tree/main`, `/${REPO}/commit/${commit}`]) {
      const dom = await look(world, path);
      expect(dom).to.contain('&lt;script&gt;');
      expect(dom, path).not.to.match(/<script|<img|<title>owned/);
    }
  });

  it('are dark where the visitor likes it dark', async () => {
    const world = await startServer({ anonymous: 'read' });
    await pushVersion(world, { files: { a: 'x' } });
    const style = /href="(\/assets\/style[^"]*)"/.exec(await look(world, `/${REPO}`))?.[1] ?? '';
    const response = await world.call(style);
    expect(await response.text()).to.contain('@media (prefers-color-scheme:dark)');
    if (browser === null) return;
    const url = `${world.origin}/${REPO}`;
    const [light, dark] = await Promise.all([
      cornerOf(browser, url, 'light'),
      cornerOf(browser, url, 'dark'),
    ]);
    expect(Math.min(...light), `light: ${light}`).to.be.above(220);
    expect(Math.max(...dark), `dark: ${dark}`).to.be.below(60);
  });
});
