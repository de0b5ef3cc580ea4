/** fake-gcs-server: Google Cloud Storage's JSON API, in memory. */
import { type BucketServer, startProgram } from './bucket-server.ts';

export async function startGcsServer(): Promise<BucketServer> {
  const { endpoint, stop } = await startProgram({
    name: 'fake-gcs-server',
    args: (port) => [
      '-backend=memory',
      '-scheme=http',
      '-host=127.0.0.1',
      `-port=${port}`,
      `-public-host=127.0.0.1:${port}`,
      '-log-level=error',
    ],
  });
  let count = 0;
  return {
    endpoint,
    env: { STORAGE_EMULATOR_HOST: endpoint },
    async bucket() {
      count += 1;
      const name = `bucket-${count}`;
      const answer = await fetch(`${endpoint}/storage/v1/b?project=test`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ name }),
      });
      if (!answer.ok) throw new Error(`no bucket: ${answer.status} ${await answer.text()}`);
      return name;
    },
    async putForeign(bucket, name) {
      const query = `uploadType=media&name=${encodeURIComponent(name)}`;
      const answer = await fetch(`${endpoint}/upload/storage/v1/b/${bucket}/o?${query}`, {
        method: 'POST',
        body: 'foreign',
      });
      if (!answer.ok) throw new Error(`no object: ${answer.status} ${await answer.text()}`);
    },
    stop,
  };
}
