/** Store URL → Backend. Each implementation but a folder's, which needs no SDK, is loaded when its scheme is first used. */
import { fileURLToPath } from 'node:url';
import type { Backend } from '../core/backend/backend.ts';
import { DatamonError, type ErrorDetails } from '../core/errors.ts';
import { isKeySegment } from '../core/keys.ts';
import { openLocalBackend } from './local.ts';

const SCHEMES_HINT =
  'Store URLs are file:///absolute/folder (or just the absolute path), gs://bucket/prefix, s3://bucket/prefix and memory:.';
const PREFIX_HINT =
  'The part behind the bucket is made of lower-case letters, digits, dots, dashes and underscores, in folders: s3://bucket/teams/vision';
/** What the clouds agree on. */
const BUCKET_NAME = /^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/;
const MEMORY_NAME = /^[A-Za-z0-9._-]*$/;

/** One store per name, as long as the process lives. */
const memoryStores = new Map<string, Promise<Backend>>();

/** INVALID for what is no store URL. Nothing is created yet, and no bucket asked. */
export async function openBackend(url: string): Promise<Backend> {
  if (url.startsWith('/')) return openFolder(url);
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*:)/.exec(url)?.[1]?.toLowerCase() ?? '';
  if (scheme === 'file:') return openFolder(pathOfUrl(url));
  if (scheme === 'memory:') return openMemory(url.slice(scheme.length));
  if (scheme === 'gs:' || scheme === 's3:') return openBucket(scheme, url);
  throw notAStore(url);
}

/** Whether a store stands in a cloud's bucket: a service whose promises are worth proving. */
export const isBucketUrl = (url: string): boolean => /^(gs|s3):/i.test(url);

async function openBucket(scheme: 'gs:' | 's3:', url: string): Promise<Backend> {
  const rest = url.slice(scheme.length);
  const [name = '', ...segments] = rest.slice(2).replace(/\/+$/, '').split('/');
  if (!rest.startsWith('//') || !BUCKET_NAME.test(name)) throw notAStore(url);
  if (!segments.every(isKeySegment)) throw notAStore(url, { hint: PREFIX_HINT });
  const bucket = await openNamed(scheme, name);
  if (segments.length === 0) return bucket;
  const { createPrefixedBackend } = await import('../core/backend/prefixed.ts');
  return createPrefixedBackend(bucket, `${segments.join('/')}/`);
}

async function openNamed(scheme: 'gs:' | 's3:', name: string): Promise<Backend> {
  if (scheme === 'gs:') {
    const { openGcsBackend } = await import('./gcs.ts');
    return openGcsBackend(name);
  }
  const { openS3Backend } = await import('./s3.ts');
  return openS3Backend(name);
}

async function openFolder(path: string): Promise<Backend> {
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
    throw notAStore(url, { cause });
  }
}

function notAStore(url: string, details: ErrorDetails = {}): DatamonError {
  return new DatamonError('INVALID', `not a store URL: ${JSON.stringify(url.slice(0, 200))}`, {
    hint: SCHEMES_HINT,
    ...details,
  });
}
