/** The GCS backend keeps the port's promises, with a server of others at the other end. */
import { openGcsBackend } from '../../backends/gcs.ts';
import { describeBucketBackend } from '../support/bucket-conformance.ts';
import { startGcsServer } from '../support/gcs-server.ts';

describeBucketBackend('gcs, on fake-gcs-server', { start: startGcsServer, open: openGcsBackend });
