/** Store URLs: what opens which backend, and what is refused by which words. */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect } from 'chai';
import { openBackend } from '../../backends/open.ts';
import { put, readText } from '../conformance/bodies.ts';
import { errorOf } from '../support/code-of.ts';
import { makeTempDir } from '../support/temp-dir.ts';

describe('openBackend', () => {
  it('opens a file: URL and a plain absolute path as the same store', async () => {
    const root = join(await makeTempDir(), 'my store');
    await put(await openBackend(pathToFileURL(root).href), 'a/b');
    expect(await readText(await openBackend(root), 'a/b')).to.equal('a/b');
    expect(await readText(await openBackend(`file:${root.replace(' ', '%20')}/`), 'a/b')).to.equal(
      'a/b',
    );
    expect((await openBackend(root)).url).to.equal(pathToFileURL(root).href);
  });

  it('opens one memory store per name', async () => {
    await put(await openBackend('memory:one'), 'a/b');
    expect(await readText(await openBackend('memory:one'), 'a/b')).to.equal('a/b');
    expect(await (await openBackend('memory:two')).stat('a/b' as never)).to.equal(null);
    expect(await openBackend('memory:')).to.equal(await openBackend('memory:'));
    expect((await openBackend('memory:one')).url).to.equal('memory:one');
  });

  it('opens buckets by URL, below their prefix, without asking them anything', async () => {
    for (const [url, opened] of [
      ['gs://bucket/teams/vision', 'gs://bucket/teams/vision'],
      ['gs://bucket/', 'gs://bucket'],
      ['s3://bucket', 's3://bucket'],
      ['S3://my.bucket-1/a_b/c.d/', 's3://my.bucket-1/a_b/c.d'],
    ] as const) {
      expect((await openBackend(url)).url).to.equal(opened);
    }
  });

  it('says what a prefix is made of', async () => {
    for (const url of ['s3://bucket/Team', 'gs://bucket/a//b', 'gs://bucket/a/../b']) {
      const error = await errorOf(openBackend(url));
      expect(error.code).to.equal('INVALID');
      expect(error.hint).to.contain('lower-case');
    }
  });

  const wrong = [
    '',
    'relative/path',
    './x',
    'http://host/x',
    'C:\\x',
    'file:',
    'file:relative',
    'file://host/abs',
    'file:////abs',
    'file:///a%2Fb',
    'file:///a%ZZ',
    'file:///a?b',
    'file:///a#b',
    'gs:',
    'gs://',
    'gs:bucket',
    's3:///prefix',
    's3://Bucket',
    's3://b',
    's3://key:secret@bucket',
    'memory:a/b',
    'memory://x',
  ];
  for (const url of wrong) {
    it(`refuses ${JSON.stringify(url)} and lists what it takes`, async () => {
      const error = await errorOf(openBackend(url));
      expect(error.code).to.equal('INVALID');
      expect(error.message).to.contain(JSON.stringify(url));
      expect(error.hint).to.match(/file:\/\/\/absolute.*gs:\/\/.*s3:\/\/.*memory:/);
    });
  }
});
