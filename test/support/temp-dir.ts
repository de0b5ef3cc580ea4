/** Temporary folders that are gone when the test is. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const made: string[] = [];

/** An empty folder, removed after the test that asked for it. */
export async function makeTempDir(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'datamon-test-'));
  made.push(path);
  return path;
}

/** An empty folder for as long as `work` runs. */
export async function withTempDir<T>(work: (path: string) => Promise<T>): Promise<T> {
  const path = await mkdtemp(join(tmpdir(), 'datamon-test-'));
  try {
    return await work(path);
  } finally {
    await rm(path, { recursive: true, force: true });
  }
}

afterEach('remove temporary folders', async () => {
  for (const path of made.splice(0)) await rm(path, { recursive: true, force: true });
});
