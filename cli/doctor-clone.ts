/** This clone: where each remote's data goes, hooks, what is committed in `.lfsconfig`, and whether HEAD's data can be had. */
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { formatCount } from '../client/format.ts';
import { displayPath } from '../core/meta/raw-path.ts';
import { storedOid } from '../core/meta/record.ts';
import { peelToCommit } from '../git/commit.ts';
import { getConfig, listConfig } from '../git/config.ts';
import { inspectHooks, installHooks } from '../git/hook-shims.ts';
import { type LfsEndpoint, lfsEndpoint } from '../git/lfs-endpoint.ts';
import { openLfsStore } from '../git/lfs-store.ts';
import { pointersOfCommit } from '../git/pointers.ts';
import type { GitRepository } from '../git/repository.ts';
import { copiedUrl, copyUrl, lfsConfigFile, strayKeys } from './clone-settings.ts';
import type { Context } from './context.ts';
import { type Finding, finding } from './doctor-check.ts';
import { HOOKS_KEY, hookLauncher } from './install-plan.ts';
import { cloneRepoUrl } from './repo-address.ts';

const inClone = finding('clone');
/** Pointers of HEAD asked for in one go. */
const OID_BATCH_COUNT = 10_000;

export async function cloneFindings(
  context: Context,
  clone: GitRepository,
  { asksStore }: { readonly asksStore: boolean },
): Promise<readonly Finding[]> {
  return [
    ...(await endpointFindings(clone)),
    await hooksFinding(context, clone),
    await strayFinding(clone),
    ...(await committedFindings(clone)),
    ...(await locksFindings(clone)),
    await fileSystemFinding(clone),
    ...(asksStore ? [await dataFinding(context, clone)] : []),
  ];
}

async function endpointFindings(clone: GitRepository): Promise<Finding[]> {
  const remotes = (await clone.git.text(['remote'])).split('\n').filter((name) => name !== '');
  const findings: Finding[] = [];
  for (const remote of remotes.length === 0 ? ['origin'] : remotes) {
    const endpoint = await lfsEndpoint({ repo: clone, remote, operation: 'upload' });
    findings.push(endpointFinding(remote, endpoint));
  }
  return findings;
}

function endpointFinding(remote: string, { url, kind }: LfsEndpoint): Finding {
  const name = `endpoint-${remote}`;
  if (url === '') {
    return inClone(name, false, `git-lfs knows no place for the data of ${remote}`, {
      fix: 'datamon init URL',
    });
  }
  const shown = url.replace(/\/\/[^/@]*@/, '//…@');
  if (kind === 'datamon-store')
    return inClone(name, true, `${remote}: straight on a store, ${shown}`);
  if (kind === 'http') return inClone(name, true, `${remote}: through a server, ${shown}`);
  return inClone(name, false, `${remote}: ${shown} is nothing datamon speaks`, {
    fix: 'datamon init URL',
  });
}

async function hooksFinding(context: Context, clone: GitRepository): Promise<Finding> {
  const { state, snippet } = await inspectHooks(clone);
  if (state === 'ours') return inClone('hooks', true, 'the hooks are datamon’s');
  if ((await getConfig(clone.git, HOOKS_KEY)) === 'off') {
    return inClone('hooks', null, 'no hooks, as datamon.hooks says; after a push: datamon record');
  }
  if (snippet !== null) {
    return inClone(
      'hooks',
      false,
      `${snippet.manager} has the hooks of this clone; put this into ${snippet.file}:\n${snippet.text.trimEnd()}`,
      { fix: 'datamon record' },
    );
  }
  const says =
    state === 'stock'
      ? 'fast push is off: the hook is git-lfs’s own'
      : 'there are no hooks: pushes leave no bundle';
  return inClone('hooks', false, says, {
    fix: 'datamon init',
    repair: async () => {
      await installHooks(clone, { launcher: await hookLauncher(context.io, context.runtime) });
    },
  });
}

async function strayFinding(clone: GitRepository): Promise<Finding> {
  const keys = await strayKeys(clone);
  if (keys.length === 0)
    return inClone('lfsconfig-keys', true, '.lfsconfig holds nothing git-lfs warns of');
  return inClone(
    'lfsconfig-keys',
    false,
    `.lfsconfig holds ${keys.join(', ')}: git-lfs ignores it and warns on every command`,
    {
      fix: `git config --file .lfsconfig --unset-all ${keys[0]}`,
      repair: async () => {
        for (const key of keys) {
          await clone.git.bytes(['config', '--file', lfsConfigFile(clone), '--unset-all', key]);
        }
      },
    },
  );
}

/** `.lfsconfig` reaches the team only when committed, and old commits have none: there the local copy stands in. */
async function committedFindings(clone: GitRepository): Promise<Finding[]> {
  if (clone.topLevel === null) return [];
  const exists = await stat(lfsConfigFile(clone)).then(
    () => true,
    () => false,
  );
  if (!exists) return [];
  const changed = await clone.git.run(['status', '--porcelain', '-z', '--', ':/.lfsconfig']);
  const isCommitted = changed.stdout.length === 0;
  const [entry] = (
    await listConfig(clone.git, ['--no-includes', '--file', lfsConfigFile(clone)])
  ).filter(({ key }) => key === 'lfs.url');
  const own = await getConfig(clone.git, 'lfs.url', 'local');
  const url = entry?.value ?? null;
  return [
    inClone(
      'lfsconfig-committed',
      isCommitted,
      isCommitted
        ? '.lfsconfig is committed'
        : '.lfsconfig is not committed, so the team does not have it',
      {
        fix: 'git add .lfsconfig && git commit -m "Data in datamon"',
      },
    ),
    ...(url === null
      ? []
      : [
          inClone(
            'old-commits',
            own !== null,
            own === null
              ? 'commits from before .lfsconfig look for their data elsewhere'
              : own === url
                ? `old commits find their data too${(await copiedUrl(clone)) === null ? '' : ' (datamon init copied the URL)'}`
                : 'this clone overrides .lfsconfig with its own lfs.url',
            { fix: 'datamon init', repair: () => copyUrl(clone, url) },
          ),
        ]),
  ];
}

/** git-lfs turns lock checks off for good when a server was down once. */
async function locksFindings(clone: GitRepository): Promise<Finding[]> {
  const off = (await listConfig(clone.git)).filter(
    ({ key, value }) => /^lfs\..+\.locksverify$/.test(key) && value === 'false',
  );
  return off.map(({ key }) =>
    inClone('locks-verify', false, `${key} is false: pushes do not look at locks`, {
      fix: `git config --unset-all ${key}`,
      repair: async () => {
        await clone.git.run(['config', '--local', '--unset-all', key]);
      },
    }),
  );
}

async function fileSystemFinding(clone: GitRepository): Promise<Finding> {
  const folder = dirname((await openLfsStore(clone)).folder);
  const [lfs, git] = await Promise.all(
    [folder, clone.commonDir].map((path) =>
      stat(path).then(
        ({ dev }) => dev,
        () => null,
      ),
    ),
  );
  if (lfs == null || git == null) return inClone('lfs-folder', null, 'no LFS objects here yet');
  const same = lfs === git;
  return inClone(
    'lfs-folder',
    same ? true : null,
    same ? 'LFS objects lie beside git’s' : `LFS objects lie on another file system, ${folder}`,
  );
}

/** Files of HEAD whose bytes are neither here nor in the store. */
async function dataFinding(context: Context, clone: GitRepository): Promise<Finding> {
  const head = await peelToCommit(clone.git, 'HEAD');
  if (head === null || (await cloneRepoUrl(clone)) === null) {
    return inClone(
      'data',
      null,
      head === null ? 'no commits yet' : 'this clone’s data is not in datamon',
    );
  }
  const { blobs } = await context.repository();
  const store = await openLfsStore(clone);
  const absent = new Map<string, string>();
  let count = 0;
  let batch = new Map<Parameters<typeof store.find>[0], string>();
  const ask = async (): Promise<void> => {
    const held = await blobs.has([...batch.keys()]);
    for (const [oid, path] of batch) if (!held.has(oid)) absent.set(oid, path);
    batch = new Map();
  };
  for await (const entry of (await pointersOfCommit(clone, head)).entries) {
    const oid = entry.kind === 'lfs' ? storedOid(entry) : null;
    if (oid === null) continue;
    count += 1;
    if ((await store.find(oid, entry.sizeBytes)) === null) batch.set(oid, displayPath(entry.path));
    if (batch.size >= OID_BATCH_COUNT) await ask();
  }
  if (batch.size > 0) await ask();
  if (absent.size === 0)
    return inClone('data', true, `${formatCount(count, 'file')} of HEAD can be had`);
  const [first = ''] = absent.values();
  return inClone(
    'data',
    false,
    `${formatCount(absent.size, 'file')} of HEAD are neither here nor in the store, such as ${first}`,
    { fix: 'git lfs fetch --all' },
  );
}
