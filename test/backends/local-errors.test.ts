/** What system errors are reported as: a code, the path, why, and what to do. */
import { expect } from 'chai';
import { type Doing, localError, systemCode } from '../../backends/local-errors.ts';
import { DatamonError } from '../../core/errors.ts';

const system = (code: string): Error => Object.assign(new Error('raw'), { code });

const EXPECTED: readonly (readonly [string, Doing, string])[] = [
  ['ENOSPC', 'write', 'NO_SPACE'],
  ['EDQUOT', 'write', 'NO_SPACE'],
  ['EFBIG', 'write', 'NO_SPACE'],
  ['EACCES', 'read', 'FORBIDDEN'],
  ['EPERM', 'write', 'FORBIDDEN'],
  ['EROFS', 'write', 'FORBIDDEN'],
  ['EMFILE', 'read', 'UNAVAILABLE'],
  ['ENFILE', 'write', 'UNAVAILABLE'],
  ['EIO', 'read', 'CORRUPT'],
  ['EIO', 'write', 'UNAVAILABLE'],
  ['ESTALE', 'read', 'UNAVAILABLE'],
  ['ENOENT', 'read', 'NOT_FOUND'],
  ['ENOENT', 'write', 'UNAVAILABLE'],
  ['ENOTDIR', 'write', 'INVALID'],
  ['ELOOP', 'read', 'CORRUPT'],
  ['EXDEV', 'write', 'UNSUPPORTED'],
  ['ESOMETHINGNEW', 'write', 'UNAVAILABLE'],
];

describe('local errors', () => {
  for (const [code, doing, expected] of EXPECTED) {
    it(`reports ${code} of a ${doing} as ${expected}, naming path and cause`, () => {
      const cause = system(code);
      const error = localError(doing, '/store/a/b', cause);
      expect(error.code).to.equal(expected);
      expect(error.message).to.match(new RegExp(`^cannot ${doing} /store/a/b: .+ \\(${code}\\)$`));
      expect(error.cause).to.equal(cause);
    });
  }

  it('says what to do about a full disk and a closed folder', () => {
    expect(localError('write', '/s', system('ENOSPC')).hint).to.contain('Free space');
    expect(localError('write', '/s', system('EACCES')).hint).to.contain('datamon doctor');
  });

  it('leaves an error that is translated already as it is', () => {
    const error = new DatamonError('NOT_FOUND', 'gone');
    expect(localError('read', '/s', error)).to.equal(error);
  });

  it('takes what carries no system code for none', () => {
    expect(systemCode(new Error('plain'))).to.equal('');
    expect(systemCode('text')).to.equal('');
    expect(systemCode(Object.assign(new Error('odd'), { code: 7 }))).to.equal('');
  });
});
