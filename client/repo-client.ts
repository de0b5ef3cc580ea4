/** One repo's part of the API: URLs below its base, its description, the pool parameters a writer needs. */
import type { PoolParameters } from '../core/cas/pool.ts';
import { DatamonError } from '../core/errors.ts';
import type { RepoName } from '../core/keys.ts';
import { parseRepoAnswer, type RepoAnswer } from '../core/meta/api-wire.ts';
import type { Parse } from '../core/shape.ts';
import type { ApiClient, Call } from './api-client.ts';

/** A call below the repo's base: `path` begins with a slash and is escaped. */
export type RepoCall = Omit<Call, 'url'> & { readonly path: string };

export class RepoClient {
  readonly name: RepoName;
  readonly api: ApiClient;
  readonly #base: string;
  #description: RepoAnswer | null = null;

  constructor(api: ApiClient, base: string, name: RepoName) {
    this.api = api;
    this.#base = base;
    this.name = name;
  }

  url(path: string): string {
    return `${this.#base}${path}`;
  }

  async get<T>(path: string, parse: Parse<T>): Promise<T> {
    return await this.api.json({ method: 'GET', url: this.url(path) }, parse);
  }

  async send<T>(call: RepoCall & { readonly json: unknown }, parse: Parse<T>): Promise<T> {
    return await this.api.send({ ...call, url: this.url(call.path) }, parse);
  }

  /** The repo as the server describes it to us. */
  async describe(): Promise<RepoAnswer> {
    this.#description ??= await this.get('', parseRepoAnswer);
    return this.#description;
  }

  /** Makes the repo where it is not there yet. */
  async create(remote: string | null): Promise<RepoAnswer> {
    const call = { method: 'PUT', path: '', json: { remote } } as const;
    this.#description = await this.send(call, parseRepoAnswer);
    return this.#description;
  }

  /** How to cut files for this repo. Logs in where the server tells the parameters to nobody unknown. */
  async pool(): Promise<PoolParameters> {
    const before = await this.describe();
    if (before.pool !== null) return before.pool;
    if (before.info === null) {
      throw new DatamonError('NOT_FOUND', `there is no repo ${this.name} on the server yet`, {
        hint: `Push into it, or run: datamon repo create ${this.name}`,
      });
    }
    const refusal = new DatamonError('FORBIDDEN', `you may read but not write ${this.name}`, {
      hint: 'Ask the operator for a token with write, then run: datamon login',
    });
    if (this.api.hasToken) throw refusal;
    await this.api.logIn(refusal);
    this.#description = null;
    const { pool } = await this.describe();
    if (pool === null) throw refusal;
    return pool;
  }
}
