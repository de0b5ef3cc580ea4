/** A repo through a server: blobs, pages, history and locks over one HTTP session. */
import type { BlobStore, PageStore } from '../core/cas/blob-store.ts';
import type { RepoName } from '../core/keys.ts';
import type { History, Locks, Repository } from '../core/meta/repository.ts';
import { RemoteBlobStore, type RemoteStoreOptions } from './remote-blob-store.ts';
import { RemoteHistory } from './remote-history.ts';
import { RemoteLocks } from './remote-locks.ts';
import { RemotePageStore } from './remote-page-store.ts';
import type { RepoClient } from './repo-client.ts';

export interface RemoteRepositoryOptions extends RemoteStoreOptions {
  readonly webUrl: string | null;
  /** Called once by `close`: frees what was made for this repository. */
  readonly onClose: () => Promise<void>;
}

export class RemoteRepository implements Repository {
  readonly name: RepoName;
  readonly webUrl: string | null;
  readonly blobs: BlobStore;
  readonly pages: PageStore;
  readonly history: History;
  readonly locks: Locks;
  #closing: Promise<void> | null = null;
  readonly #onClose: () => Promise<void>;

  constructor(repo: RepoClient, options: RemoteRepositoryOptions) {
    this.name = repo.name;
    this.webUrl = options.webUrl;
    this.blobs = new RemoteBlobStore(repo, options);
    this.pages = new RemotePageStore(repo, options);
    this.history = new RemoteHistory(repo);
    this.locks = new RemoteLocks(repo);
    this.#onClose = options.onClose;
  }

  close(): Promise<void> {
    this.#closing ??= this.#onClose();
    return this.#closing;
  }
}
