/** What a push stores, and in which order: files go while the bundle that lists them is stored, and no further than that goes. */
import { expect } from 'chai';
import { openRepositoryUrl } from '../../client/open.ts';
import { DatamonError } from '../../core/errors.ts';
import { FAST_PATHS_OFF, switchOffFastPaths } from '../../core/fast-paths.ts';
import type { Repository } from '../../core/meta/repository.ts';
import { openGitRepo } from '../../git/repository.ts';
import { parsePushLines, planPush } from '../../hooks/push-plan.ts';
import { storePush } from '../../hooks/store-push.ts';
import { errorOf } from '../support/code-of.ts';
import { HookStage } from '../support/hook-stage.ts';
import { hookWorld } from '../support/hook-world.ts';
import { seededBytes } from '../support/splitmix64.ts';

const REMOTE = 'example.org/acme/data';

describe('hooks: storing a push', function () {
  this.timeout(60_000);
  let stage: HookStage;
  let count = 0;
  before(async () => {
    stage = await HookStage.create();
  });
  after(() => stage.remove());
  afterEach(() => switchOffFastPaths(process.env));

  /** Stores a first commit of one file in a repo that `wrap` changes. */
  async function store(wrap: (repository: Repository) => Repository): Promise<unknown> {
    count += 1;
    const { repo, url } = await stage.project(`s${count}`);
    await repo.write('a.bin', seededBytes(count, 200_000));
    const commit = await repo.commit('first');
    const opened = await openGitRepo(repo.dir, stage.world.env);
    const ref = 'refs/heads/main';
    const lines = parsePushLines(`${ref} ${commit} ${ref} ${'0'.repeat(40)}\n`);
    const { moved } = await planPush(opened, lines, 'origin');
    const repository = await openRepositoryUrl(url, { create: { by: 'ada', remote: REMOTE } });
    try {
      return await storePush(
        {
          world: hookWorld({ env: stage.world.env, cwd: repo.dir }),
          repo: opened,
          repository: wrap(repository),
          remote: REMOTE,
          remoteName: 'origin',
          lockOwner: null,
          signal: new AbortController().signal,
        },
        moved,
      );
    } finally {
      await repository.close();
    }
  }

  /** A repo that refuses bundles, once files are on their way where `after` says so, and files that are never done. */
  function refusing(log: string[], after: Promise<void>, begun: () => void) {
    return (repository: Repository): Repository => {
      const { blobs, history } = repository;
      const never: Repository['blobs']['putMany'] = async function* (_sources, { signal } = {}) {
        log.push('files begun');
        begun();
        await new Promise<void>((resolve) => {
          signal?.addEventListener('abort', () => resolve(), { once: true });
        });
        log.push('files stopped');
        throw new DatamonError('CANCELLED', 'stopped');
      };
      return withChanged(repository, {
        blobs: withChanged(blobs, { putMany: never }),
        history: withChanged(history, {
          putBundle: async () => {
            await after;
            throw new DatamonError('INVALID', 'no such bundle here');
          },
        }),
      });
    };
  }

  it('stops the files where their bundle is refused, and says why', async () => {
    switchOffFastPaths({});
    const log: string[] = [];
    let begun = (): void => {};
    const after = new Promise<void>((resolve) => {
      begun = resolve;
    });
    const error = await errorOf(store(refusing(log, after, begun)));
    expect(error).include({ code: 'INVALID', message: 'no such bundle here' });
    expect(log).deep.equal(['files begun', 'files stopped']);
  });

  it('sends no file before the bundle is stored where that is switched off', async () => {
    switchOffFastPaths({ [FAST_PATHS_OFF]: 'beside-bundle' });
    const log: string[] = [];
    const error = await errorOf(store(refusing(log, Promise.resolve(), () => {})));
    expect(error).include({ code: 'INVALID' });
    expect(log).deep.equal([]);
  });
});

/** The same but for some of its members. */
const withChanged = <T extends object>(original: T, changed: Partial<T>): T =>
  new Proxy(original, {
    get: (target, name) => {
      if (name in changed) return changed[name as keyof T];
      const value = Reflect.get(target, name) as unknown;
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
