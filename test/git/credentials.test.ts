/** Tokens come from where users keep them, go to the host they are for, and nobody is asked where nobody watches. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  approveToken,
  credentialSource,
  hasCredentialHelper,
  tokenOfHeader,
} from '../../git/credentials.ts';
import { type Git, openGit } from '../../git/git.ts';
import { GitWorld } from '../support/git-repo.ts';

const URL = 'https://datamon.example/acme/weather';

describe('git/credentials', () => {
  let world: GitWorld;
  let git: Git;
  let stored: string;
  beforeEach(async () => {
    world = await GitWorld.create();
    git = await openGit({ cwd: world.root, env: world.env });
    stored = join(world.root, 'credentials');
  });
  afterEach(() => world.remove());

  const source = (env: Record<string, string> = {}) =>
    credentialSource({ git, env: { ...world.env, ...env }, isTerminal: false });
  const useStore = () => world.setGlobal('credential.helper', `store --file=${stored}`);

  it('prefers DATAMON_TOKEN, then the extra header, then the helper', async () => {
    await useStore();
    await approveToken(git, URL, 'from-helper');
    expect(await source().get(URL)).to.equal('from-helper');
    await world.setGlobal(
      `http.https://datamon.example/.extraHeader`,
      'Authorization: Bearer from-header',
    );
    expect(await source().get(URL)).to.equal('from-header');
    expect(await source({ DATAMON_TOKEN: 'from-env' }).get(URL)).to.equal('from-env');
    expect(await source({ DATAMON_TOKEN: '' }).get(URL)).to.equal('from-header');
  });

  it('gives a token to its own host only', async () => {
    await useStore();
    await approveToken(git, URL, 'mine');
    await world.setGlobal('http.https://other.example/.extraHeader', 'Authorization: Bearer other');
    expect(await source().get('https://evil.example/acme/weather')).to.equal(null);
    expect(await source().get(URL)).to.equal('mine');
  });

  it('answers null where nobody can be asked, without waiting', async () => {
    await world.setGlobal('core.askPass', '/bin/cat');
    const asking = source({ GIT_ASKPASS: '/bin/cat', SSH_ASKPASS: '/bin/cat' });
    expect(await asking.get(URL)).to.equal(null);
  });

  it('gives a refused token back to the helper, under the name it was kept', async () => {
    await useStore();
    const input = 'protocol=https\nhost=datamon.example\nusername=anything\npassword=old\n\n';
    await world.run('git', ['credential', 'approve'], { input });
    const tokens = source();
    expect(await tokens.get(URL)).to.equal('old');
    await tokens.reject(URL, 'old');
    expect(await tokens.get(URL)).to.equal(null);
    expect(await readFile(stored, 'utf8')).to.equal('');
  });

  it('does not touch the helper for a refused token that was not its own', async () => {
    await useStore();
    await approveToken(git, URL, 'kept');
    const tokens = source({ DATAMON_TOKEN: 'wrong' });
    expect(await tokens.get(URL)).to.equal('wrong');
    await tokens.reject(URL, 'wrong');
    expect(await tokens.get(URL)).to.equal(null);
    expect(await readFile(stored, 'utf8')).to.include('kept');
  });

  it('takes no URL or token that could speak of another host', async () => {
    await useStore();
    await approveToken(git, 'https://datamon.example/x\nhost=evil.example', 'secret');
    await approveToken(git, URL, 'secret\nhost=evil.example');
    expect(await readFile(stored, 'utf8').catch(() => '')).to.equal('');
    expect(await source().get('file:///etc/passwd')).to.equal(null);
  });

  it('knows whether anything would be stored', async () => {
    expect(await hasCredentialHelper(git, URL)).to.equal(false);
    await world.setGlobal('credential.https://datamon.example.helper', '!datamon credential');
    expect(await hasCredentialHelper(git, URL)).to.equal(true);
    expect(await hasCredentialHelper(git, 'https://other.example/x')).to.equal(false);
  });

  it('reads bearer tokens and basic passwords', () => {
    const basic = Buffer.from('anyone:pass:word').toString('base64');
    expect(tokenOfHeader('Authorization: Bearer abc')).to.equal('abc');
    expect(tokenOfHeader(`authorization: basic ${basic}`)).to.equal('pass:word');
    expect(tokenOfHeader('X-Other: Bearer abc')).to.equal(null);
    expect(tokenOfHeader('Authorization: Bearer')).to.equal(null);
  });
});
