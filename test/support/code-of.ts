/** The code of the DatamonError that a promise or a call fails with; anything else fails the test. */
import { DatamonError, type ErrorCode } from '../../core/errors.ts';

export async function codeOf(work: Promise<unknown> | (() => unknown)): Promise<ErrorCode> {
  return (await errorOf(work)).code;
}

export async function errorOf(work: Promise<unknown> | (() => unknown)): Promise<DatamonError> {
  try {
    await (typeof work === 'function' ? work() : work);
  } catch (error) {
    if (error instanceof DatamonError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}
