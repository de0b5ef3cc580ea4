/** The data of the benchmark: the same bytes each time, and edited in the way the works say. */
import { expect } from 'chai';
import {
  bigFile,
  bigFileWithInsertion,
  clientFile,
  type GeneratedFile,
  RowFile,
  smallFiles,
  treePaths,
} from '../../bench/data.ts';
import { collect } from '../../core/bytes.ts';

const bytesOf = (file: GeneratedFile): Promise<Buffer> => collect(file.open(), file.sizeBytes);
const ROW = 64;

describe('bench: data', () => {
  it('is as long as it says, and the same each time', async () => {
    const table = new RowFile(10_000);
    table.edit();
    for (const file of [
      bigFile(100_001),
      bigFileWithInsertion(100_001, 777),
      clientFile(3, 5000),
      table.file,
      ...smallFiles(2, 300),
    ]) {
      const bytes = await bytesOf(file);
      expect(bytes.length, file.path).to.equal(file.sizeBytes);
      expect((await bytesOf(file)).equals(bytes), file.path).to.equal(true);
    }
  });

  it('inserts bytes into the middle and changes no others', async () => {
    const before = await bytesOf(bigFile(100_001));
    const after = await bytesOf(bigFileWithInsertion(100_001, 777));
    expect(after.subarray(0, 50_000).equals(before.subarray(0, 50_000))).to.equal(true);
    expect(after.subarray(50_777).equals(before.subarray(50_000))).to.equal(true);
    expect(after.subarray(50_000, 50_777).equals(before.subarray(50_000, 50_777))).to.equal(false);
  });

  it('makes small files and clients that have nothing in common', async () => {
    const files = [...smallFiles(150, 64), clientFile(0, 64), clientFile(1, 64)];
    const contents = await Promise.all(
      files.map(async (file) => (await bytesOf(file)).toString('hex')),
    );
    expect(new Set(contents).size).to.equal(files.length);
    expect(new Set(files.slice(0, 150).map(({ path }) => path)).size).to.equal(150);
  });

  it('appends 1 % of rows, then corrects 1 % of rows in 16 places', async () => {
    const table = new RowFile(320_000);
    const first = await bytesOf(table.file);
    expect(first.length / ROW).to.equal(5000);
    table.edit();
    const appended = await bytesOf(table.file);
    expect(appended.length / ROW).to.equal(5050);
    expect(appended.subarray(0, first.length).equals(first)).to.equal(true);
    table.edit();
    const corrected = await bytesOf(table.file);
    expect(corrected.length).to.equal(appended.length);
    const changed = Array.from({ length: 5050 }, (_, row) => row).filter(
      (row) =>
        !corrected
          .subarray(row * ROW, (row + 1) * ROW)
          .equals(appended.subarray(row * ROW, (row + 1) * ROW)),
    );
    expect(changed.length).to.be.within(40, 64);
    const runs = changed.filter((row, index) => changed[index - 1] !== row - 1);
    expect(runs.length).to.be.within(10, 16);
  });

  it('writes rows of 64 bytes, each a line of five fields', async () => {
    const lines = (await bytesOf(new RowFile(64 * 300).file)).toString('latin1').split('\n');
    expect(lines.pop()).to.equal('');
    for (const line of lines) {
      expect(line).to.match(/^2026-01-01T00:00:0\d,station-00\d\d,\d+\.\d{3},\d+\.\d{3} *$/);
      expect(line.length).to.equal(ROW - 1);
    }
  });

  it('names tree files in byte order', () => {
    const paths = [...treePaths(2500)];
    expect(paths.toSorted()).to.deep.equal(paths);
    expect(new Set(paths).size).to.equal(2500);
  });
});
