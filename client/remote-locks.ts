/** `Locks` over the API. */
import type { Lock } from '../core/meta/model.ts';
import type { Locks } from '../core/meta/repository.ts';
import { parseLock } from '../core/meta/wire.ts';
import { listOf, record } from '../core/shape.ts';
import type { RepoClient } from './repo-client.ts';

const parseLocks = record<{ locks: readonly Lock[] }>({ locks: listOf(parseLock) });
const parseOne = record<{ lock: Lock }>({ lock: parseLock });

export class RemoteLocks implements Locks {
  readonly #repo: RepoClient;

  constructor(repo: RepoClient) {
    this.#repo = repo;
  }

  async list(): Promise<readonly Lock[]> {
    return (await this.#repo.get('/locks', parseLocks)).locks;
  }

  /** The server takes the owner from the token where there is one. */
  async lock(request: {
    readonly path: string;
    readonly owner: string;
    readonly ref: string | null;
  }): Promise<Lock> {
    const call = { method: 'POST', path: '/locks', json: request } as const;
    return (await this.#repo.send(call, parseOne)).lock;
  }

  async unlock(request: {
    readonly id: string;
    readonly owner: string;
    readonly force: boolean;
  }): Promise<Lock> {
    const { id, ...json } = request;
    const path = `/locks/${encodeURIComponent(id)}/unlock`;
    return (await this.#repo.send({ method: 'POST', path, json }, parseOne)).lock;
  }
}
