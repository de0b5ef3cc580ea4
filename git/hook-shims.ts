/**
 * Puts our hooks into a clone and takes them out. Invariants: git-lfs's own pre-push is replaced, anybody else's never unless
 * asked; what was there is kept beside it, bytes and mode, and stands there again after `removeHooks`.
 */
import { chmod, lstat, mkdir, readFile, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { randomHex, secureRandom } from '../core/random.ts';
import {
  type HookOwner,
  hookScript,
  OUR_HOOKS,
  type OurHook,
  ownerOf,
  SAVED_SUFFIX,
} from './hook-scripts.ts';
import { type Snippet, snippetFor } from './hook-snippets.ts';
import { ownFolder, unfinishedFolder } from './own-folder.ts';
import type { GitRepository } from './repository.ts';

export interface HookFound {
  readonly hook: OurHook;
  readonly path: string;
  readonly owner: HookOwner | 'absent';
  /** Ours hands on to the hook it replaced. */
  readonly chained: boolean;
}

export interface HookReport {
  /** `ours`: pre-push is our own. `refused`: something stands there that is not ours to touch. */
  readonly state: 'ours' | 'refused' | 'absent' | 'stock';
  readonly hooks: readonly HookFound[];
  /** What to paste, and where, if the state is `refused`. */
  readonly snippet: Snippet | null;
}

export interface InstallHooksOptions {
  /** Absolute path of the `datamon` launcher. */
  readonly launcher: string;
  /** Replace other people's hooks too, and hand on to them. */
  readonly chain?: boolean;
}

/** What is there now. */
export async function inspectHooks(repo: GitRepository): Promise<HookReport> {
  const hooks: HookFound[] = [];
  for (const hook of OUR_HOOKS) hooks.push(await find(repo, hook));
  const [prePush] = hooks;
  const isForeign = prePush?.owner === 'foreign';
  if (prePush?.owner !== 'ours' && (repo.hooksPath !== null || isForeign)) {
    const text = isForeign ? await readFile(prePush.path, 'utf8').catch(() => '') : null;
    return { state: 'refused', hooks, snippet: await snippetFor(repo, text) };
  }
  const state = prePush?.owner === 'ours' || prePush?.owner === 'stock' ? prePush.owner : 'absent';
  return { state, hooks, snippet: null };
}

/** Puts our hooks in. Where that would touch another's, nothing is changed and the report has the snippet. */
export async function installHooks(
  repo: GitRepository,
  options: InstallHooksOptions,
): Promise<HookReport> {
  const found = await inspectHooks(repo);
  if (repo.hooksPath !== null) return found;
  if (found.state === 'refused' && options.chain !== true) return found;
  await makeHooksFolder(repo);
  for (const { hook, owner, chained } of found.hooks) {
    if (owner === 'foreign' && options.chain !== true) continue;
    const text = hookScript(hook, {
      launcher: options.launcher,
      chained: chained || owner === 'foreign',
    });
    await replaceHook(join(repo.hooksDir, hook), text);
  }
  return inspectHooks(repo);
}

/** Takes our hooks out and puts back what they replaced; our folder in the clone goes too. */
export async function removeHooks(repo: GitRepository): Promise<HookReport> {
  for (const hook of OUR_HOOKS) {
    const { path, owner } = await find(repo, hook);
    const saved = `${path}${SAVED_SUFFIX}`;
    if (owner === 'ours' || owner === 'absent') {
      if (await exists(saved)) await rename(saved, path);
      else await rm(path, { force: true });
    } else await rm(saved, { force: true });
  }
  const madeFolder = await exists(join(ownFolder(repo), MADE_FOLDER));
  await rm(ownFolder(repo), { recursive: true, force: true });
  await rm(unfinishedFolder(repo), { recursive: true, force: true });
  if (madeFolder) await rmdir(repo.hooksDir).catch(() => {});
  return inspectHooks(repo);
}

/** Says that the hooks folder was not there before us: clones made without templates have none. */
const MADE_FOLDER = 'made-hooks-folder';

async function makeHooksFolder(repo: GitRepository): Promise<void> {
  if (await exists(repo.hooksDir)) return;
  await mkdir(repo.hooksDir, { recursive: true });
  await mkdir(ownFolder(repo), { recursive: true });
  await writeFile(join(ownFolder(repo), MADE_FOLDER), '');
}

async function find(repo: GitRepository, hook: OurHook): Promise<HookFound> {
  const path = join(repo.hooksDir, hook);
  const text = await readFile(path, 'utf8').catch(() => null);
  if (text === null) {
    // A link that leads nowhere is somebody's all the same.
    const owner = (await exists(path)) ? 'foreign' : 'absent';
    return { hook, path, owner, chained: false };
  }
  const owner = ownerOf(text);
  return { hook, path, owner, chained: owner === 'ours' && (await isForeignSaved(path)) };
}

async function isForeignSaved(path: string): Promise<boolean> {
  const saved = await readFile(`${path}${SAVED_SUFFIX}`, 'utf8').catch(() => null);
  return saved !== null && ownerOf(saved) === 'foreign';
}

/** The old hook is linked away before the new one takes its name, so that a crash leaves one of them in place. */
async function replaceHook(path: string, text: string): Promise<void> {
  const current = await readFile(path, 'utf8').catch(() => null);
  if (current === text) return;
  const temp = `${path}.${randomHex(secureRandom, 6)}`;
  await writeFile(temp, text, { flag: 'wx' });
  await chmod(temp, 0o755);
  const saved = `${path}${SAVED_SUFFIX}`;
  const isOurs = current !== null && ownerOf(current) === 'ours';
  if (!isOurs && (await exists(path)) && !(await exists(saved))) await rename(path, saved);
  await rename(temp, path);
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
