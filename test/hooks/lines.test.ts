/** The words a push prints, and the lines git gives a hook. */
import { expect } from 'chai';
import type { Digest } from '../../core/digest.ts';
import { DatamonError } from '../../core/errors.ts';
import type { GitSha } from '../../core/keys.ts';
import { parsePushLines } from '../../hooks/push-plan.ts';
import { Progress, sayReceipt } from '../../hooks/receipt.ts';
import { sayError, warn } from '../../hooks/world.ts';
import { hookWorld } from '../support/hook-world.ts';

const world = (more: { readonly isTerminal?: boolean; readonly nowMs?: number } = {}) =>
  hookWorld({ env: {}, cwd: '/', ...more });
const SHA = 'a'.repeat(40) as GitSha;

describe('hooks: lines', () => {
  it('reads pushes, deletions and new refs, and skips what is neither', () => {
    const zero = '0'.repeat(40);
    const text = [
      `refs/heads/main ${SHA} refs/heads/main ${zero}`,
      `(delete) ${zero} refs/heads/old ${SHA}`,
      `HEAD ${'b'.repeat(64)} refs/for/x ${'0'.repeat(64)}`,
      'nonsense',
      '',
    ].join('\n');
    const lines = parsePushLines(text);
    expect(
      lines.map(({ localSha, remoteRef, remoteSha }) => [localSha, remoteRef, remoteSha]),
    ).to.deep.equal([
      [SHA, 'refs/heads/main', null],
      [null, 'refs/heads/old', SHA],
      ['b'.repeat(64), 'refs/for/x', null],
    ]);
  });

  it('says bundle, sizes and reuse, rounded down, then where to look', () => {
    const recorded = world();
    sayReceipt(recorded, 'url', {
      bundle: '5c81f0d0'.repeat(8) as Digest,
      commit: SHA,
      totals: { fileCount: 3, sizeBytes: 1_200_000_000 },
      receipt: {
        newBytes: 30_100_000,
        resumedBytes: 0,
        storedBytes: 1,
        packCount: 1,
        requestCount: 1,
        durationMs: 1,
        reusedFrom: '2b6e9aa0'.repeat(8) as Digest,
        measured: true,
      },
      webUrl: 'https://datamon.example/acme/weather',
    });
    expect(recorded.said()).to.equal(
      'datamon: bundle 5c81f0d · 1.2 GB, 30.1 MB new · 97 % reused from 2b6e9aa\n' +
        `datamon: https://datamon.example/acme/weather/commit/${SHA.slice(0, 12)}\n`,
    );
  });

  it('rewrites its line on a terminal and adds lines elsewhere, never beyond 99 %', () => {
    const plain = world({ nowMs: 0 });
    new Progress(plain, 100).update('x' as Digest, 50);
    expect(plain.said()).to.equal('');
    let nowMs = 0;
    const terminal = { ...world({ isTerminal: true }), nowMs: () => nowMs };
    const shown = new Progress(terminal, 100);
    nowMs = 1000;
    shown.update('x' as Digest, 100);
    shown.update('x' as Digest, 40);
    shown.end();
    expect(terminal.said()).to.equal('\r\u001b[Kdatamon: 99% (100 bytes of 100 bytes)\r\u001b[K');
  });

  it('warns in yellow only where a person reads', () => {
    const plain = world();
    warn(plain, 'careful');
    const terminal = world({ isTerminal: true });
    warn(terminal, 'careful');
    expect(plain.said()).to.equal('datamon: careful\n');
    expect(terminal.said()).to.equal('datamon: \u001b[33mcareful\u001b[0m\n');
  });

  it('says message and hint of an error, and never a stack', () => {
    const recorded = world();
    sayError(recorded, new DatamonError('NO_SPACE', 'the store is full', { hint: 'Make room.' }));
    sayError(recorded, new TypeError('undefined is not a function'));
    expect(recorded.said()).to.include('datamon: the store is full\ndatamon: Make room.\n');
    expect(recorded.said()).to.include('datamon: unexpected: undefined is not a function\n');
    expect(recorded.said()).to.not.match(/\bat /);
  });
});
