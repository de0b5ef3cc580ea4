/** The S3 backend keeps the port's promises, with servers of others at the other end. */
import { openS3Backend } from '../../backends/s3.ts';
import { describeBucketBackend } from '../support/bucket-conformance.ts';
import { hasProgram } from '../support/bucket-server.ts';
import { startS3Server } from '../support/s3-server.ts';

describeBucketBackend('s3, on Versity’s gateway', {
  start: () => startS3Server('versity'),
  open: openS3Backend,
});

if (hasProgram('minio')) {
  describeBucketBackend('s3, on MinIO', {
    start: () => startS3Server('minio'),
    open: openS3Backend,
  });
} else {
  it('s3 is not tried on MinIO, which takes minutes to build: sh .ci/test-servers minio', () => {});
}
