/** Real writers and real collectors under seeded schedules: nothing that was acknowledged and has to be kept is lost. */
import { expect } from 'chai';
import { makeTempDir } from '../../support/temp-dir.ts';
import { runReal } from './real-run.ts';

const SEED = 1;
/** More of them: test/figures/collection.ts. */
const SCHEDULES = 100;

describe('collection beside writers', function () {
  this.timeout(240_000);

  it(`loses nothing in ${SCHEDULES} schedules of the real code (F37 F38)`, async () => {
    const spoolDir = await makeTempDir();
    const { lost, acknowledged, deleted } = await runReal({
      seed: SEED,
      schedules: SCHEDULES,
      spoolDir,
    });
    expect(lost).equal(null);
    expect(acknowledged).greaterThan(SCHEDULES);
    expect(deleted).greaterThan(SCHEDULES);
  });
});
