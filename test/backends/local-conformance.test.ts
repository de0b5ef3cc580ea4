/** The local backend keeps the port's promises, with hard links and on file systems without them. */
import { openLocalBackend } from '../../backends/local.ts';
import { type LocalFs, nodeFs } from '../../backends/local-fs.ts';
import { describeBackend } from '../conformance/backend.ts';
import { makeTempDir } from '../support/temp-dir.ts';

const linklessFs: LocalFs = {
  ...nodeFs,
  link: async () => {
    throw Object.assign(new Error('no links here'), { code: 'EPERM' });
  },
};

describeBackend('local', {
  open: async () => ({ backend: await openLocalBackend(await makeTempDir()) }),
});

describeBackend('local, without hard links', {
  open: async () => ({ backend: await openLocalBackend(await makeTempDir(), { fs: linklessFs }) }),
});
