/** Repo URLs: what parses, what is refused in words, and that formatting undoes parsing. */
import { expect } from 'chai';
import fc from 'fast-check';
import { formatRepoUrl, lfsUrl, parseEndpoint, parseRepoUrl } from '../../client/repo-url.ts';
import { DatamonError } from '../../core/errors.ts';

function refusal(text: string): DatamonError {
  try {
    parseRepoUrl(text);
  } catch (error) {
    if (error instanceof DatamonError) return error;
  }
  throw new Error(`${JSON.stringify(text)} was not refused`);
}

describe('repo URLs of stores', () => {
  for (const [text, storeUrl, repo] of [
    ['datamon::file:///srv/data//acme/weather', 'file:///srv/data', 'acme/weather'],
    ['file:///srv/data//weather', 'file:///srv/data', 'weather'],
    ['file:///srv/data///acme/weather/', 'file:///srv/data', 'acme/weather'],
    ['file:///a//b//acme/weather', 'file:///a//b', 'acme/weather'],
    ['datamon::gs://bucket/prefix//acme/weather', 'gs://bucket/prefix', 'acme/weather'],
    ['s3://bucket//weather', 's3://bucket', 'weather'],
    ['memory:x//r', 'memory:x', 'r'],
    ['memory://r', 'memory:', 'r'],
    ['/srv/my data//acme/weather', 'file:///srv/my%20data', 'acme/weather'],
  ] as const) {
    it(`parses ${text}`, () => {
      expect(parseRepoUrl(text)).to.deep.equal({ kind: 'store', storeUrl, repo });
    });
  }

  it('wants the repo behind two slashes, and says so', () => {
    expect(refusal('gs://bucket/prefix').hint).to.include('gs://bucket/prefix//owner/name');
  });
});

describe('repo URLs of servers', () => {
  for (const text of [
    'https://datamon.acme.io/acme/weather',
    'https://datamon.acme.io/acme/weather/',
    'https://datamon.acme.io/acme/weather.git',
    'https://datamon.acme.io/acme/weather.git/info/lfs',
    'https://datamon.acme.io/acme/weather.git/info/lfs/',
    'https://datamon.acme.io/acme/weather/info/lfs',
    'https://DATAMON.acme.io:443/acme/weather',
    'HTTPS://datamon.acme.io/acme/weather',
  ]) {
    it(`parses ${text}`, () => {
      expect(parseRepoUrl(text)).to.deep.equal({
        kind: 'server',
        origin: 'https://datamon.acme.io',
        repo: 'acme/weather',
        url: 'https://datamon.acme.io/acme/weather',
      });
    });
  }

  it('keeps a port', () => {
    const parsed = parseRepoUrl('http://127.0.0.1:41873/demo/weather');
    expect(parsed).to.deep.include({ origin: 'http://127.0.0.1:41873' });
  });
});

describe('repo URLs that are refused', () => {
  for (const text of [
    '',
    '-upload-pack=x//a/b',
    'https://host',
    'https://host/',
    'https://host/a/b/c',
    'https://host/a/../b',
    'https://host/a/%2e%2e/b',
    'https://host/a/b?token=x',
    'https://host/a/b#c',
    'https://host/api/v1',
    'https://host\\evil/a/b',
    'https:///a/b',
    'https://ho st/a/b',
    'https:/host/a/b',
    'ftp://host/a/b',
    'ssh://git@host/a/b',
    'git@host:a/b',
    'datamon::https://host/a/b',
    'datamon:://host//a/b',
    'file://host/dir//a/b',
    'file:relative//a/b',
    'file:////a/b',
    'gs:////a/b',
    'gs://bucket//a/b/c',
    'gs://bucket//../b',
    'relative/path//a/b',
    `https://host/${'a'.repeat(5000)}`,
  ]) {
    it(`refuses ${JSON.stringify(text.slice(0, 40))}`, () => {
      expect(refusal(text).code).to.equal('INVALID');
    });
  }

  for (const control of ['\n', '\r', '\0', '\u0085', '\u2028', '\u001b[2J']) {
    it(`refuses ${JSON.stringify(control)} anywhere`, () => {
      expect(refusal(`https://host/a/b${control}`).code).to.equal('INVALID');
      expect(refusal(`file:///srv${control}//a/b`).code).to.equal('INVALID');
    });
  }

  for (const text of [
    'https://ada:canary@host/a/b',
    'https://canary@host/a/b',
    'gs://ada:canary@bucket//a/b',
    'ftp://ada:canary@host//a/b',
  ]) {
    it(`refuses the credentials in ${text.replace('canary', '…')} without repeating them`, () => {
      const error = refusal(text);
      expect(error.code).to.equal('INVALID');
      expect(`${error.message} ${error.hint}`).not.to.include('canary');
    });
  }
});

describe('repo URLs, formatted', () => {
  const part = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_-]{0,20}$/);
  const repo = fc
    .tuple(
      fc.option(part.map((owner) => `o${owner}`)),
      part.map((name) => `n${name}`),
    )
    .map(([owner, name]) => (owner === null ? name : `${owner}/${name}`));
  const store = fc.oneof(
    fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => `file:///${parts.join('/')}`),
    fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => `gs://${parts.join('/')}`),
    part.map((name) => `memory:${name}`),
  );
  const server = fc
    .tuple(
      fc.constantFrom('http', 'https'),
      fc.domain(),
      fc.option(fc.integer({ min: 1, max: 65535 })),
    )
    .map(([scheme, host, port]) => `${scheme}://${host}${port === null ? '' : `:${port}`}`);

  it('parse back to the same store and repo', () => {
    fc.assert(
      fc.property(store, repo, (storeUrl, name) => {
        const parsed = parseRepoUrl(`${storeUrl}//${name}`);
        expect(parsed).to.deep.equal({ kind: 'store', storeUrl, repo: name });
        expect(parseRepoUrl(formatRepoUrl(parsed))).to.deep.equal(parsed);
        expect(parseRepoUrl(lfsUrl(parsed))).to.deep.equal(parsed);
        expect(parseEndpoint(lfsUrl(parsed))).to.deep.equal({ kind: 'store', storeUrl });
      }),
    );
  });

  it('parse back to the same server and repo, whatever git-lfs hangs on', () => {
    const tail = fc.constantFrom('', '/', '.git', '.git/info/lfs', '/info/lfs/');
    fc.assert(
      fc.property(server, repo, tail, (origin, name, end) => {
        const parsed = parseRepoUrl(`${origin}/${name}${end}`);
        expect(parsed.repo).to.equal(name);
        expect(parseRepoUrl(formatRepoUrl(parsed))).to.deep.equal(parsed);
        expect(lfsUrl(parsed)).to.equal(formatRepoUrl(parsed));
      }),
    );
  });

  it('never throw anything but INVALID, whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        try {
          parseRepoUrl(`https://host/${text}`);
        } catch (error) {
          expect(error).to.be.instanceOf(DatamonError);
        }
      }),
    );
  });

  it('name a store or server alone', () => {
    expect(parseEndpoint('file:///srv/data')).to.deep.equal({
      kind: 'store',
      storeUrl: 'file:///srv/data',
    });
    expect(parseEndpoint('https://host:8080/')).to.deep.equal({
      kind: 'server',
      origin: 'https://host:8080',
    });
    expect(parseEndpoint('memory:')).to.deep.equal({ kind: 'store', storeUrl: 'memory:' });
  });
});
