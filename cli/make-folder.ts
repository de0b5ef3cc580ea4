/** The folder a person named to write into: made where it is absent, and a sentence where it cannot be. */
import { mkdir } from 'node:fs/promises';
import { DatamonError } from '../core/errors.ts';

export async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : null;
    if (code === 'EEXIST' || code === 'ENOTDIR') {
      throw new DatamonError('INVALID', `${folder} is not a folder, or lies below a file`, {
        cause,
        hint: 'Name a folder to write into; it is made where it is absent.',
      });
    }
    if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
      throw new DatamonError('FORBIDDEN', `${folder} cannot be made: not allowed (${code})`, {
        cause,
        hint: 'Name another folder to write into.',
      });
    }
    throw cause;
  }
}
