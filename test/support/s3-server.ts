/** S3 servers: Versity's gateway on a folder, and MinIO where somebody brought it. */
import { CreateBucketCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { type BucketServer, type ServerProgram, startProgram } from './bucket-server.ts';

const ACCESS_KEY = 'datamon-tests';
const SECRET_KEY = 'not-a-secret-for-tests-only';
const REGION = 'us-east-1';

const VERSITY: ServerProgram = {
  name: 'versitygw',
  args: (port, folder) => [
    `--port=127.0.0.1:${port}`,
    `--access=${ACCESS_KEY}`,
    `--secret=${SECRET_KEY}`,
    '--keep-alive',
    '--quiet',
    'posix',
    folder,
  ],
};

const MINIO: ServerProgram = {
  name: 'minio',
  args: (port, folder) => ['server', '--quiet', `--address=127.0.0.1:${port}`, folder],
  env: { MINIO_ROOT_USER: ACCESS_KEY, MINIO_ROOT_PASSWORD: SECRET_KEY },
};

export async function startS3Server(which: 'versity' | 'minio'): Promise<BucketServer> {
  const { endpoint, stop } = await startProgram(which === 'versity' ? VERSITY : MINIO);
  const client = new S3Client({
    endpoint,
    region: REGION,
    forcePathStyle: true,
    credentials: { accessKeyId: ACCESS_KEY, secretAccessKey: SECRET_KEY },
  });
  let count = 0;
  return {
    endpoint,
    env: {
      AWS_ENDPOINT_URL_S3: endpoint,
      AWS_ACCESS_KEY_ID: ACCESS_KEY,
      AWS_SECRET_ACCESS_KEY: SECRET_KEY,
      AWS_REGION: REGION,
      AWS_EC2_METADATA_DISABLED: 'true',
    },
    async bucket() {
      count += 1;
      const name = `bucket-${count}`;
      await client.send(new CreateBucketCommand({ Bucket: name }));
      return name;
    },
    async putForeign(bucket, name) {
      await client.send(new PutObjectCommand({ Bucket: bucket, Key: name, Body: 'foreign' }));
    },
    stop,
  };
}
