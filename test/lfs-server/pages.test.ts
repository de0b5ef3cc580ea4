/** Pages: what they show, and that nothing anyone named or wrote becomes markup, a script or a header. */
import { expect } from 'chai';
import fc from 'fast-check';
import { formatBytes } from '../../client/format.ts';
import type { RawPath } from '../../core/meta/model.ts';
import { html } from '../../lfs-server/pages/html.ts';
import { pathOfSegments, rawSegments } from '../../lfs-server/pages/path-url.ts';
import { ago, bytes } from '../../lfs-server/pages/units.ts';
import { attachment } from '../../lfs-server/routes/disposition.ts';
import {
  pushVersion,
  READER,
  REPO,
  type ServerWorld,
  startServer,
} from './support/server-world.ts';

const EVIL = `"><img src=x onerror=alert(1)><script>alert('1')</script>`;

async function page(world: ServerWorld, path: string): Promise<string> {
  const response = await world.call(path, { token: READER, headers: { Accept: 'text/html,*/*' } });
  const text = await response.text();
  expect(response.status, `${path}\n${text.slice(0, 600)}`).to.equal(200);
  expect(response.headers.get('content-type')).to.equal('text/html; charset=utf-8');
  expect(response.headers.get('content-security-policy')).to.contain("default-src 'none'");
  expect(response.headers.get('x-content-type-options')).to.equal('nosniff');
  return text;
}

/** A repo with two versions. */
async function twoVersions() {
  const world = await startServer();
  const v1 = await pushVersion(world, {
    files: {
      'README.md': '# Weather <b>',
      'data/a.csv': 'x,y\n1,2\n',
      'data/b.bin': Buffer.from([0, 1, 2]),
    },
    message: 'First version',
    at: new Date(Date.now() - 3 * 86_400_000),
  });
  const v2 = await pushVersion(world, {
    files: { 'README.md': '# Weather <b>', 'data/a.csv': 'x,y\n1,2\n3,4\n', 'c.txt': '' },
    message: 'Second version\n\nWith a reason.\n',
    parent: v1.commit,
    newBytes: 4,
  });
  return { world, v1, v2 };
}

describe('pages', () => {
  it('list the repos one may read', async () => {
    const { world } = await twoVersions();
    const text = await page(world, '/');
    expect(text).to.contain('href="/acme/weather"').and.contain('git.example.org/acme/weather');
  });

  it('invite where there is nothing yet', async () => {
    const world = await startServer();
    expect(await page(world, '/'))
      .to.contain('No repos yet')
      .and.contain('lfs.url');
    await world.repository();
    expect(await page(world, `/${REPO}`)).to.contain('Nothing was pushed yet');
  });

  it('show a repo: bundles next to their commits, branches, labels, README, how to clone', async () => {
    const { world, v1, v2 } = await twoVersions();
    await (await world.repository()).history.setLabel('v1.0', v1.bundle, 'ada');
    const text = await page(world, `/${REPO}`);
    expect(text).to.contain('Second version').and.contain('First version');
    expect(text).to.contain(v2.bundle.slice(0, 7)).and.contain(`/commit/${v2.commit}`);
    expect(text).to.contain('/tree/main').and.contain('/tree/v1.0');
    expect(text).to.contain('# Weather &lt;b&gt;');
    expect(text).to.contain(
      `git clone -c lfs.url=${world.origin}/acme/weather https://git.example.org/acme/weather`,
    );
    expect(text).to.match(/8\d %/);
  });

  it('show a branch’s bundles, older ones behind a link', async () => {
    const { world, v1, v2 } = await twoVersions();
    const text = await page(world, `/${REPO}/commits/main`);
    expect(text).to.contain(v1.bundle).and.contain(v2.bundle);
    expect(await page(world, `/${REPO}/commits/main?before=2`)).not.to.contain(v2.bundle);
  });

  it('show a bundle by id and by prefix', async () => {
    const { world, v1 } = await twoVersions();
    for (const id of [v1.bundle, v1.bundle.slice(0, 7)]) {
      const text = await page(world, `/${REPO}/bundle/${id}`);
      expect(text).to.contain(v1.bundle).and.contain('First version').and.contain('3 files');
    }
  });

  it('show a commit: message, parents, push, and what changed', async () => {
    const { world, v1, v2 } = await twoVersions();
    const text = await page(world, `/${REPO}/commit/${v2.commit}`);
    expect(text)
      .to.contain('With a reason.')
      .and.contain(`/commit/${v1.commit}`)
      .and.contain('Ada Lovelace');
    expect(text).to.match(/title="added">\+<\/td>\s*<td class="name"><a [^>]*>c\.txt/);
    expect(text).to.match(/title="changed">~<\/td>\s*<td class="name"><a [^>]*>data\/a\.csv/);
    expect(text).to.match(/title="removed">−<\/td>\s*<td class="name"><a [^>]*>data\/b\.bin/);
    expect(await page(world, `/${REPO}/commit/${v2.commit.slice(0, 10)}`)).to.equal(
      text.replaceAll('just now', 'just now'),
    );
    expect(await page(world, `/${REPO}/commit/${v1.commit}`)).to.contain('3 added');
  });

  it('show folders first, then files, at any ref', async () => {
    const { world, v1 } = await twoVersions();
    for (const ref of ['main', v1.bundle, v1.commit, v1.commit.slice(0, 7)]) {
      const text = await page(world, `/${REPO}/tree/${ref}`);
      expect(text.indexOf('>data<'), ref).to.be.above(0).and.below(text.indexOf('>README.md<'));
    }
    expect(await page(world, `/${REPO}/tree/${v1.bundle}/data`))
      .to.contain('a.csv')
      .and.contain('b.bin');
  });

  it('find branches with slashes, escaped or not', async () => {
    const world = await startServer();
    await pushVersion(world, { files: { 'data/a.csv': '1' }, branch: 'feature/x/y' });
    for (const ref of ['feature/x/y', 'feature%2Fx%2Fy']) {
      expect(await page(world, `/${REPO}/tree/${ref}`)).to.contain('>data<');
      expect(await page(world, `/${REPO}/blob/${ref}/data/a.csv`)).to.contain('a.csv');
      expect(await page(world, `/${REPO}/commits/${ref}`)).to.contain('feature/x/y');
    }
  });

  it('show a file: text as text, the rest as a download', async () => {
    const { world, v1 } = await twoVersions();
    expect(await page(world, `/${REPO}/blob/main/data/a.csv`))
      .to.contain('3,4')
      .and.contain('/raw/main/data/a.csv');
    expect(await page(world, `/${REPO}/blob/${v1.bundle}/data/b.bin`)).to.contain('binary');
    expect(await page(world, `/${REPO}/blob/main/c.txt`)).to.contain('empty');
  });

  it('hand out a file’s bytes as a download that no browser opens', async () => {
    const { world } = await twoVersions();
    const response = await world.call(`/${REPO}/raw/main/data/a.csv`, { token: READER });
    expect(await response.text()).to.equal('x,y\n1,2\n3,4\n');
    expect(response.headers.get('content-type')).to.equal('application/octet-stream');
    expect(response.headers.get('content-disposition')).to.equal(
      `attachment; filename="a.csv"; filename*=UTF-8''a.csv`,
    );
    expect(response.headers.get('content-security-policy')).to.equal("default-src 'none'; sandbox");
    expect(response.headers.get('x-content-type-options')).to.equal('nosniff');
    const part = await world.call(`/${REPO}/raw/main/data/a.csv`, {
      token: READER,
      headers: { Range: 'bytes=0-2' },
    });
    expect([part.status, await part.text()]).to.deep.equal([206, 'x,y']);
  });

  for (const name of [
    'x.html',
    'x.svg',
    'x.xml',
    'x.pdf',
    'x.mhtml',
    'x.js',
    'x.css',
    'x.htm',
    'x.xhtml',
    'x.swf',
  ]) {
    it(`never hand out ${name} as what it could do harm as`, async () => {
      const world = await startServer();
      await pushVersion(world, { files: { [name]: '<script>alert(1)</script>' } });
      const { headers } = await world.call(`/${REPO}/raw/main/${name}`, { token: READER });
      expect(headers.get('content-type')).to.equal('application/octet-stream');
      expect(headers.get('content-disposition')).to.match(/^attachment;/);
      expect(await page(world, `/${REPO}/blob/main/${name}`)).not.to.contain('<script>');
    });
  }

  it('compare two refs', async () => {
    const { world, v1 } = await twoVersions();
    const text = await page(world, `/${REPO}/compare/${v1.bundle.slice(0, 10)}...main`);
    expect(text)
      .to.contain('1 added')
      .and.contain('1 changed')
      .and.contain('1 removed')
      .and.contain('Swap');
    expect(await page(world, `/${REPO}/compare/main...main`)).to.contain('No file differs');
  });

  it('say that a commit came inside a push and has no bundle', async () => {
    const { world } = await twoVersions();
    const response = await world.call(`/${REPO}/commit/${'d'.repeat(40)}`, { token: READER });
    expect(response.status).to.equal(404);
    expect(await response.text()).to.contain('Only the tip of a push');
  });

  for (const path of [
    '/tree/nothing',
    '/tree/main/nothing',
    '/blob/main/nothing',
    '/raw/main/data',
    '/bundle/ffffffff',
    '/compare/main',
    '/compare/main...x',
    '/compare/a...b...c',
    '/blob/main',
    '/commits/nothing',
    '/tree/%ff',
    '/tree/main/%2e%2e%2f%2e%2e',
    '/tree/..%2f..%2fetc',
  ]) {
    it(`answer ${path} with a page that helps`, async () => {
      const { world } = await twoVersions();
      const response = await world.call(`/${REPO}${path}`, {
        token: READER,
        headers: { Accept: 'text/html' },
      });
      const text = await response.text();
      expect(response.status).to.be.oneOf([400, 404]);
      expect(text).to.contain('<h1>').and.contain('Request <code>');
      expect(text).not.to.match(/at .*\.ts:\d/);
    });
  }

  it('escape whatever people name and write', async () => {
    const world = await startServer();
    const pushed = await pushVersion(world, {
      files: {
        [`${EVIL.replaceAll('/', '')}.txt`]: EVIL,
        'README.md': EVIL,
        [`${EVIL.split('/')[0]}/b`]: EVIL,
      },
      message: `${EVIL}\n\n${EVIL}\n\nDatamon-Input: ${EVIL}\n`,
      branch: 'evil',
      pushedBy: `${EVIL.replace(/[<>]/g, '')} <a@b>`,
    });
    const links = new Set([
      `/${REPO}`,
      `/${REPO}/commit/${pushed.commit}`,
      `/${REPO}/bundle/${pushed.bundle}`,
      `/${REPO}/commits/evil`,
      `/${REPO}/tree/evil`,
    ]);
    for (const link of links) {
      const text = await page(world, link);
      // Attribute values aside, which may hold anything but a quote.
      const tags = text.replaceAll(/="[^"<>]*"/g, '');
      expect(tags, link).not.to.match(/<script|<img|<[a-z]+[^>]* on\w+/i);
      for (const [, found = ''] of text.matchAll(/href="(\/acme[^"]*)"/g)) {
        if (links.size < 60 && !found.includes('/raw/'))
          links.add(found.replaceAll('&amp;', '&').replaceAll('&#39;', "'"));
      }
    }
    expect(links.size).to.be.above(8);
  });

  it('leave nothing of a hostile address in the answer', async () => {
    const world = await startServer({ anonymous: 'read' });
    for (const path of [
      `/${REPO}/tree/${encodeURIComponent(EVIL)}`,
      `/${encodeURIComponent(EVIL)}`,
      `/x/y/${encodeURIComponent(EVIL)}`,
      '/x%0d%0aSet-Cookie:%20a=b',
    ]) {
      const response = await world.call(path, { headers: { Accept: 'text/html' } });
      expect(await response.text()).not.to.match(/<script|<img/);
      expect(response.headers.get('set-cookie')).to.equal(null);
    }
  });

  it('are HTML for people and JSON for those who ask for it, errors too', async () => {
    const world = await startServer();
    const type = async (Accept: string) =>
      (await world.call('/no/such/thing', { headers: { Accept } })).headers.get('content-type');
    expect(await type('text/html,application/xhtml+xml,*/*;q=0.8')).to.contain('text/html');
    expect(await type('application/json')).to.contain('application/json');
    expect(await type('application/vnd.git-lfs+json')).to.contain('application/vnd.git-lfs+json');
  });

  it('ask a browser without a token to log in', async () => {
    const world = await startServer();
    const response = await world.call(`/${REPO}`, { headers: { Accept: 'text/html' } });
    expect(response.status).to.equal(401);
    expect(response.headers.get('www-authenticate')).to.match(/^Basic/);
    expect(await response.text()).to.contain('Log in');
  });

  it('bring their style with them and nothing from elsewhere', async () => {
    const { world } = await twoVersions();
    const text = await page(world, `/${REPO}`);
    const [, style = ''] = /<link rel="stylesheet" href="([^"]+)"/.exec(text) ?? [];
    const response = await world.call(style);
    expect(response.headers.get('content-type')).to.contain('text/css');
    expect(await response.text())
      .to.contain('prefers-color-scheme:dark')
      .and.not.contain('url(');
    expect(text).not.to.match(/(?:src|href)="https?:/);
    expect(text).not.to.match(/<script|style="/);
  });
});

describe('the parts of pages', () => {
  it('escape every text that goes through `html` (property)', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const made = html`<p title="${text}">${text}</p>`.text;
        expect(made.match(/[<>"]/g)?.join('')).to.equal('<""><>');
      }),
    );
  });

  it('carry any path through a URL and back (property)', () => {
    const rawPaths = fc
      .array(fc.uint8Array({ minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 4 })
      .map(
        (parts) =>
          parts
            .map((part) => Buffer.from(part).toString('latin1').replace(/[\0/]/g, '_'))
            .join('/') as RawPath,
      );
    fc.assert(
      fc.property(rawPaths, (path) => {
        const url = rawSegments(path).map(encodeURIComponent).join('/');
        expect(pathOfSegments(url.split('/').map(decodeURIComponent))).to.equal(path);
        expect(new URL(`http://h/${url}`).pathname).to.equal(
          `/${url.replaceAll("'", '%27')}`.replaceAll('%27', "'"),
        );
      }),
    );
  });

  it('keep a download’s name inside its header (property)', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (name) => {
        expect(attachment(name)).to.match(
          /^attachment; filename="[ -!#-~]*"; filename\*=UTF-8''[\w.~%-]*$/,
        );
      }),
    );
    expect(attachment('Übersicht "1".csv')).to.equal(
      `attachment; filename="_bersicht _1_.csv"; filename*=UTF-8''%C3%9Cbersicht%20%221%22.csv`,
    );
  });

  it('say sizes and times as people do', () => {
    expect(bytes).to.equal(formatBytes);
    const now = new Date('2026-06-15T12:00:00Z');
    const words = (time: string) => ago(time, now).text.replace(/<[^>]+>/g, '');
    expect(words('2026-06-15T11:59:30Z')).to.equal('just now');
    expect(words('2026-06-15T11:58:00Z')).to.equal('2 minutes ago');
    expect(words('2026-06-14T12:00:00Z')).to.equal('1 day ago');
    expect(words('2024-01-01T12:00:00Z')).to.equal('2 years ago');
    expect(words('2027-01-01T12:00:00Z')).to.equal('just now');
    expect(words('nonsense')).to.equal('just now');
  });
});
