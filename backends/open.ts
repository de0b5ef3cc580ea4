/** Store URL → Backend. Each implementation is loaded when its scheme is first used. */
import { fileURLToPath } from 'node:url';
import type { Backend } from '../core/backend/backend.ts';
import { DatamonError } from '../core/errors.ts';

const SCHEMES_HINT =
  'Store URLs are file:///absolute/folder (or just the absolute path) and memory:; gs:// and s3:// come later.';
const LATER_SCHEMES = new Set(['gs:', 's3:']);
const MEMORY_NAME = /^[A-Za-z0-9._-]*$/;

/** One store per name, as long as the process lives. */
const memoryStores = new Map<string, Promise<Backend>>();

/** INVALID for what is no store URL, UNSUPPORTED for one of a later version. Nothing is created yet. */
export async function openBackend(url: string): Promise<Backend> {
  if (url.startsWith('/')) return openFolder(url);
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*:)/.exec(url)?.[1]?.toLowerCase() ?? '';
  if (scheme === 'file:') return openFolder(pathOfUrl(url));
  if (scheme === 'memory:') return openMemory(url.slice(scheme.length));
  if (LATER_SCHEMES.has(scheme)) {
    throw new DatamonError('UNSUPPORTED', `${scheme}// stores are not in this version`, {
      hint: SCHEMES_HINT,
    });
  }
  throw notAStore(url);
}

async function openFolder(path: string): Promise<Backend> {
  const { openLocalBackend } = await import('./local.ts');
  return openLocalBackend(path);
}

function openMemory(name: string): Promise<Backend> {
  if (!MEMORY_NAME.test(name)) throw notAStore(`memory:${name}`);
  const opened = memoryStores.get(name) ?? createMemory(name);
  memoryStores.set(name, opened);
  return opened;
}

async function createMemory(name: string): Promise<Backend> {
  const { createMemoryBackend } = await import('../core/backend/memory.ts');
  return createMemoryBackend({ url: `memory:${name}` });
}

function pathOfUrl(url: string): string {
  const absolute = /^file:(\/\/)?\/(?!\/)/i.test(url);
  if (!absolute || /[?#]/.test(url)) throw notAStore(url);
  try {
    return fileURLToPath(url);
  } catch (cause) {
    throw notAStore(url, cause);
  }
}

function notAStore(url: string, cause?: unknown): DatamonError {
  return new DatamonError('INVALID', `not a store URL: ${JSON.stringify(url.slice(0, 200))}`, {
    hint: SCHEMES_HINT,
    ...(cause === undefined ? {} : { cause }),
  });
}
