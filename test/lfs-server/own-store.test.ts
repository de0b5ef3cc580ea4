/** A store that turns the server away: its callers are not sent to log in, and are told no place; whoever runs it reads why. */
import { expect } from 'chai';
import type { Backend } from '../../core/backend/backend.ts';
import { createMemoryBackend } from '../../core/backend/memory.ts';
import { DatamonError, type ErrorCode } from '../../core/errors.ts';
import { createOwnStore } from '../../lfs-server/own-store.ts';
import { describeBackend } from '../conformance/backend.ts';
import { asKey, listed, readText, textBody } from '../conformance/bodies.ts';
import { errorOf } from '../support/code-of.ts';

describeBackend('a server’s own store', {
  open: async () => ({ backend: createOwnStore(createMemoryBackend()) }),
});

describe('a server’s own store', () => {
  const refusing = (code: ErrorCode): Backend => {
    const refuse = async (): Promise<never> => {
      throw new DatamonError(code, 'gs://secret-place says no', { hint: 'gcloud auth login' });
    };
    async function* refuseStream(): AsyncGenerator<never> {
      yield await refuse();
    }
    return {
      url: 'gs://secret-place',
      putIfAbsent: refuse,
      get: refuseStream,
      stat: refuse,
      list: refuseStream,
      remove: refuse,
      now: refuse,
    };
  };
  const everyVerb = async (code: ErrorCode): Promise<readonly DatamonError[]> => {
    const store = createOwnStore(refusing(code));
    const calls = [
      store.putIfAbsent(asKey('a'), textBody('a')),
      readText(store, 'a'),
      store.stat(asKey('a')),
      listed(store, ''),
      store.remove(asKey('a')),
      store.now(),
    ];
    return Promise.all(calls.map(errorOf));
  };

  it('asks no caller to log in: the server’s credentials are not theirs', async () => {
    for (const error of await everyVerb('UNAUTHENTICATED')) {
      // Told to callers in other words (reply.ts), to the operator in these.
      expect([error.code, error.hint]).to.deep.equal(['UNAVAILABLE', undefined]);
      expect(error.message).to.contain('says no');
    }
  });

  it('names no place where the server lacks a permission', async () => {
    for (const error of await everyVerb('FORBIDDEN')) {
      expect(error.code).to.equal('FORBIDDEN');
      expect(`${error.message} ${error.hint}`).to.not.match(/secret-place|gcloud/);
      expect((error.cause as DatamonError).message).to.contain('secret-place');
    }
  });

  it('passes on everything else as it is', async () => {
    for (const error of await everyVerb('NO_SPACE')) expect(error.code).to.equal('NO_SPACE');
  });
});
