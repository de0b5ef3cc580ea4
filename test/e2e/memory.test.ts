/** Agent and server, each a process of its own, stay within their memory while a file passes. `npm run figures` does it with 4 GiB. */
import { expect } from 'chai';
import { type GeneratedFile, generateFile, passBothWays } from './support/memory-pass.ts';
import { Stage } from './support/stage.ts';

const SIZE_MIB = 256;
const PEAK_MAX_MIB = 300;
const ANSWER_TIMEOUT_MS = 60_000;

describe('end to end: memory', function () {
  this.timeout(2 * ANSWER_TIMEOUT_MS);
  let stage: Stage;
  let file: GeneratedFile;
  before(async () => {
    stage = await Stage.set({ server: 'running' });
    file = await generateFile(stage.world.root, SIZE_MIB);
  });
  after(() => stage.strike());

  for (const way of ['basic', 'datamon', 'standalone'] as const) {
    it(`${way}: ${SIZE_MIB} MiB up and down take each process less than ${PEAK_MAX_MIB} MiB`, async () => {
      const passes = await passBothWays(stage, { way, file, timeoutMs: ANSWER_TIMEOUT_MS });
      expect(passes.map(({ direction }) => direction)).to.deep.equal(['upload', 'download']);
      for (const { direction, agentPeakMib, serverPeakMib } of passes) {
        expect(agentPeakMib, direction).to.be.below(PEAK_MAX_MIB);
        expect(serverPeakMib ?? 0, direction).to.be.below(PEAK_MAX_MIB);
      }
    });
  }
});
