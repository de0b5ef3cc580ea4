/** What `datamon serve` accepts, and what it refuses to start with. */
import { expect } from 'chai';
import { parseServeConfig } from '../../lfs-server/config.ts';

const parse = (flags: string, env: Record<string, string> = {}) =>
  parseServeConfig(flags === '' ? [] : flags.split(' '), env);

const SECRET = { DATAMON_JWT_SECRET_FILE: '/s' };

describe('the configuration of serve', () => {
  it('comes from the environment', () => {
    const config = parse('', {
      DATAMON_STORE: 'memory:',
      DATAMON_REPLICAS: 'file:///srv/eu, gs://backup/us',
      DATAMON_LISTEN: '0.0.0.0:80',
      DATAMON_PUBLIC_URL: 'https://d.acme.io',
      DATAMON_JWT_SECRET_FILE: '/a, /b',
      DATAMON_JWT_ISSUERS: 'acme,ci',
      DATAMON_JWT_AUDIENCE: 'data',
    });
    expect(config).to.deep.equal({
      store: 'memory:',
      replicas: ['file:///srv/eu', 'gs://backup/us'],
      listen: { host: '0.0.0.0', port: 80 },
      publicUrl: 'https://d.acme.io',
      anonymous: 'none',
      secretFiles: ['/a', '/b'],
      issuers: ['datamon', 'acme', 'ci'],
      audience: 'data',
    });
  });

  it('comes from flags first', () => {
    const env = {
      DATAMON_STORE: 'memory:',
      DATAMON_LISTEN: '127.0.0.1:1',
      DATAMON_ANONYMOUS: 'read',
    };
    const config = parse('--store file:///x --listen [::1]:0 --anonymous write', env);
    expect(config.store).to.equal('file:///x');
    expect(config.listen).to.deep.equal({ host: '::1', port: 0 });
    expect(config.anonymous).to.equal('write');
  });

  it('takes what belongs to clients for theirs', () => {
    const env = {
      ...SECRET,
      DATAMON_TOKEN: 'x',
      DATAMON_URL: 'y',
      DATAMON_PUSH: 'z',
      DATAMON_LAUNCHER: 'l',
    };
    expect(parse('--store memory:', env).store).to.equal('memory:');
  });

  for (const [what, flags, env, message] of [
    ['no store', '', SECRET, 'which store'],
    [
      'an unknown variable of the server',
      '--store memory:',
      { ...SECRET, DATAMON_JWT_SECRET: 'x' },
      'DATAMON_JWT_SECRET',
    ],
    [
      'a misspelt variable',
      '--store memory:',
      { ...SECRET, DATAMON_ANONYMUS: 'read' },
      'DATAMON_ANONYMUS',
    ],
    ['an unknown flag', '--store memory: --secret x', SECRET, '--secret'],
    ['an operand', '--store memory: x', SECRET, 'serve'],
    ['a flag twice', '--store memory: --store memory:x', SECRET, 'more than once'],
    ['a port that is none', '--store memory: --listen 127.0.0.1:99999', SECRET, 'listen'],
    ['an address without port', '--store memory: --listen 127.0.0.1', SECRET, 'listen'],
    [
      'anonymous callers from anywhere',
      '--store memory: --listen 0.0.0.0:80 --anonymous read',
      {},
      'loopback',
    ],
    [
      'anonymous callers by a name',
      '--store memory: --listen example.org:80 --anonymous write',
      SECRET,
      'loopback',
    ],
    [
      'anonymous callers on every address',
      '--store memory: --listen :80 --anonymous write',
      SECRET,
      'loopback',
    ],
    ['another anonymity', '--store memory: --anonymous yes', {}, 'yes'],
    ['nobody to let in', '--store memory:', {}, 'nobody could get in'],
    ['a public URL with a path', '--store memory: --public-url https://x/y', SECRET, 'public URL'],
    ['a public URL of files', '--store memory: --public-url file:///x', SECRET, 'public URL'],
    [
      'a public URL with a password',
      '--store memory: --public-url https://a:b@x',
      SECRET,
      'public URL',
    ],
    ['the audience of actions', '--store memory: --jwt-audience datamon-action', SECRET, 'own'],
  ] as const) {
    it(`refuses ${what}`, () => {
      expect(() => parse(flags, env as Record<string, string>)).to.throw(message);
    });
  }
});
