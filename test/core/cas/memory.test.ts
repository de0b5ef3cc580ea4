/** Memory does not grow with the file: a generated stream of 1 GiB passes in a process of its own. `test/figures/memory.ts` does 4 GiB. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';

const SCRIPT = fileURLToPath(new URL('../../figures/memory.ts', import.meta.url));
const PEAK_MAX_MIB = 300;

describe('memory', () => {
  it(`stays below ${PEAK_MAX_MIB} MiB while 1 GiB is stored`, async function () {
    this.timeout(120_000);
    const { stdout } = await promisify(execFile)(process.execPath, [SCRIPT, '1024']);
    const { peakMib, newBytes } = JSON.parse(stdout);
    expect(newBytes).equal(1024 ** 3);
    expect(peakMib).below(PEAK_MAX_MIB);
  });
});
