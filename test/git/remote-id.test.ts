/** One repo, one remote id, however its URL is spelled. */
import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { normaliseRemote, remoteId } from '../../git/remote-id.ts';
import { GitWorld } from '../support/git-repo.ts';

const SAME = [
  'git@github.com:acme/weather.git',
  'github.com:acme/weather',
  'git@github.com:/acme/weather.git/',
  'ssh://git@github.com/acme/weather.git',
  'ssh://git@github.com:2222/acme/weather',
  'git+ssh://git@github.com/acme/weather',
  'https://github.com/acme/weather',
  'https://github.com:443/acme/weather.git',
  'https://ada:secret@GitHub.com/acme/weather.git/',
  'http://github.com/acme//weather.git',
  'git://github.com/acme/weather.git',
  'https://github.com/acme/weather%2Egit',
];

describe('git/remote-id', () => {
  for (const url of SAME) {
    it(`${url} is github.com/acme/weather`, () => {
      expect(normaliseRemote(url, '/w')).to.equal('github.com/acme/weather');
    });
  }

  it('tells servers on other ports apart', () => {
    expect(normaliseRemote('http://localhost:3000/a/b', '/')).to.equal('localhost:3000/a/b');
    expect(normaliseRemote('http://localhost:4000/a/b', '/')).to.equal('localhost:4000/a/b');
  });

  it('keeps the case of the path, not of the host', () => {
    expect(normaliseRemote('https://Host.example/Acme/W', '/')).to.equal('host.example/Acme/W');
  });

  it('takes local paths, relative ones too, for files', () => {
    const expected = 'file:///srv/git/w';
    for (const url of [
      '/srv/git/w.git',
      'file:///srv/git/w.git/',
      '../git/w',
      '/srv/git//w/.git',
    ]) {
      expect(normaliseRemote(url, '/srv/work')).to.equal(expected);
    }
    expect(normaliseRemote('./host:path', '/srv')).to.equal('file:///srv/host:path');
  });

  it('never keeps a password', () => {
    for (const url of [
      'https://u:pw-canary@h/x',
      'ssh://u:pw-canary@h/x',
      'odd://u:pw-canary@h/x',
    ]) {
      expect(normaliseRemote(url, '/')).to.not.include('canary');
    }
  });

  it('follows links of local paths', async () => {
    const world = await GitWorld.create();
    try {
      const bare = await world.bare('real.git');
      await symlink(bare.dir, join(world.root, 'link.git'));
      expect(await remoteId(join(world.root, 'link.git'), '/')).to.equal(
        await remoteId(bare.dir, '/'),
      );
    } finally {
      await world.remove();
    }
  });
});
