/** Our endpoint is git-lfs's own: each case asks `git lfs env` of the installed client as well. */
import { unlink } from 'node:fs/promises';
import { expect } from 'chai';
import { lfsEndpoint } from '../../git/lfs-endpoint.ts';
import { openGitRepo } from '../../git/repository.ts';
import { type GitRepo, GitWorld } from '../support/git-repo.ts';

/** What git-lfs says it would use for downloads from its default remote. */
async function saidByGitLfs(repo: GitRepo): Promise<string> {
  const env = await repo.git('lfs', 'env');
  return /^Endpoint(?: \([^)]*\))?=(\S*)/m.exec(env)?.[1] ?? '';
}

interface Case {
  readonly says: string;
  readonly config?: readonly (readonly [string, string])[];
  readonly lfsconfig?: string;
}

const CASES: readonly Case[] = [
  { says: 'https clone URL', config: [['remote.origin.url', 'https://h.example/acme/w']] },
  {
    says: 'https clone URL with .git',
    config: [['remote.origin.url', 'https://h.example/a/w.git']],
  },
  { says: 'a final slash', config: [['remote.origin.url', 'https://h.example/a/w/']] },
  { says: 'scp-like URL', config: [['remote.origin.url', 'git@h.example:a/w.git']] },
  { says: 'scp-like URL, absolute path', config: [['remote.origin.url', 'git@h.example:/a/w']] },
  {
    says: 'ssh URL with a port',
    config: [['remote.origin.url', 'ssh://git@h.example:2222/a/w.git']],
  },
  { says: 'git URL', config: [['remote.origin.url', 'git://h.example/a/w.git']] },
  { says: 'a local path', config: [['remote.origin.url', '<root>/bare.git']] },
  { says: 'a file URL', config: [['remote.origin.url', 'file:///srv/git/w.git']] },
  {
    says: 'remote.origin.lfsurl',
    config: [
      ['remote.origin.url', 'https://h.example/a/w'],
      ['remote.origin.lfsurl', 'https://lfs.example/a/w'],
    ],
  },
  {
    says: 'lfs.url before the remote’s own',
    config: [
      ['remote.origin.lfsurl', 'https://no.example/a'],
      ['lfs.url', 'https://lfs.example/a/w'],
    ],
  },
  { says: 'a store', config: [['lfs.url', 'datamon::file:///srv/store//acme/w']] },
  { says: '.lfsconfig', lfsconfig: '[lfs]\n\turl = datamon::gs://bucket/prefix//acme/w\n' },
  {
    says: 'git configuration before .lfsconfig',
    config: [['lfs.url', 'https://mine.example/a']],
    lfsconfig: '[lfs]\n\turl = https://committed.example/a\n',
  },
  {
    says: 'remote.origin.lfsurl in .lfsconfig',
    config: [['remote.origin.url', 'https://h.example/a/w']],
    lfsconfig: '[remote "origin"]\n\tlfsurl = https://lfs.example/a\n',
  },
  {
    says: 'files that .lfsconfig includes',
    config: [['remote.origin.url', 'https://h.example/a/w']],
    lfsconfig: '[include]\n\tpath = evil\n',
  },
  {
    says: 'insteadOf',
    config: [
      ['remote.origin.url', 'gh:a/w'],
      ['url.https://h.example/.insteadOf', 'gh:'],
    ],
  },
  {
    says: 'the longest insteadOf',
    config: [
      ['lfs.url', 'gh:a/w'],
      ['url.https://short.example/.insteadOf', 'gh:'],
      ['url.https://long.example/.insteadOf', 'gh:a/'],
    ],
  },
  { says: 'no remote at all' },
];

describe('git/lfs-endpoint', () => {
  let world: GitWorld;
  before(async () => {
    world = await GitWorld.create();
    await world.bare('bare.git');
  });
  after(() => world.remove());

  for (const [index, { says, config, lfsconfig }] of CASES.entries()) {
    it(`agrees with git-lfs: ${says}`, async () => {
      const repo = await world.init(`case-${index}`);
      await repo.write('evil', '[lfs]\n\turl = https://evil.example/a\n');
      for (const [key, value] of config ?? [])
        await repo.git('config', key, value.replace('<root>', world.root));
      if (lfsconfig !== undefined) await repo.write('.lfsconfig', lfsconfig);
      const opened = await openGitRepo(repo.dir, world.env);
      const endpoint = await lfsEndpoint({ repo: opened, remote: 'origin', operation: 'download' });
      expect(endpoint.url).to.equal(await saidByGitLfs(repo));
    });
  }

  it('reads .lfsconfig of the index, then of HEAD, and of HEAD in a bare repo', async () => {
    const repo = await world.init('places');
    await repo.write('.lfsconfig', '[lfs]\n\turl = https://head.example/a\n');
    await repo.commit('one');
    await repo.write('.lfsconfig', '[lfs]\n\turl = https://index.example/a\n');
    await repo.git('add', '.lfsconfig');
    await unlink(repo.path('.lfsconfig'));
    const opened = await openGitRepo(repo.dir, world.env);
    const ask = () => lfsEndpoint({ repo: opened, remote: 'origin', operation: 'download' });
    expect((await ask()).url).to.equal('https://index.example/a');
    expect((await ask()).url).to.equal(await saidByGitLfs(repo));
    await repo.git('rm', '-q', '--cached', '-f', '.lfsconfig');
    expect((await ask()).url).to.equal('https://head.example/a');
    const bare = await world.clone(repo, 'places.git', '--bare');
    const bareRepo = await openGitRepo(bare.dir, world.env);
    const inBare = await lfsEndpoint({ repo: bareRepo, remote: 'origin', operation: 'download' });
    expect(inBare.url).to.equal('https://head.example/a');
  });

  it('prefers push keys for uploads only', async () => {
    const repo = await world.init('push');
    await repo.git('config', 'remote.origin.url', 'https://h.example/a/w');
    await repo.git('config', 'remote.origin.pushurl', 'https://p.example/a/w');
    const opened = await openGitRepo(repo.dir, world.env);
    const ask = async (operation: 'upload' | 'download') =>
      (await lfsEndpoint({ repo: opened, remote: 'origin', operation })).url;
    expect(await ask('upload')).to.equal('https://p.example/a/w.git/info/lfs');
    expect(await ask('download')).to.equal('https://h.example/a/w.git/info/lfs');
    await repo.git('config', 'remote.origin.lfspushurl', 'https://lp.example/a');
    expect(await ask('upload')).to.equal('https://lp.example/a');
    await repo.git('config', 'lfs.pushurl', 'https://all.example/a');
    expect(await ask('upload')).to.equal('https://all.example/a');
    expect(await ask('download')).to.equal('https://h.example/a/w.git/info/lfs');
  });

  it('tells what kind of place it is', async () => {
    const kinds = [
      ['datamon::memory:x//a/b', 'datamon-store'],
      ['https://h.example/a', 'http'],
      ['file:///srv/x', 'other'],
      ['ftp://x/y', 'other'],
    ] as const;
    for (const [index, [url, kind]] of kinds.entries()) {
      const repo = await world.init(`kind-${index}`);
      await repo.git('config', 'lfs.url', url);
      const opened = await openGitRepo(repo.dir, world.env);
      const endpoint = await lfsEndpoint({ repo: opened, remote: 'origin', operation: 'upload' });
      expect(endpoint).to.deep.equal({ url, kind });
    }
  });

  it('uses a URL given in place of a remote’s name', async () => {
    const repo = await world.init('bare-url');
    const opened = await openGitRepo(repo.dir, world.env);
    const remote = 'https://h.example/a/w.git';
    const endpoint = await lfsEndpoint({ repo: opened, remote, operation: 'upload' });
    expect(endpoint.url).to.equal('https://h.example/a/w.git/info/lfs');
  });
});
