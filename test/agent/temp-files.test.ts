/** Temp files: named and placed as git-lfs needs them, swept only where their process is certainly gone. */
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { LEFTOVER_AGE_MAX_MS, sweepTempFiles } from '../../agent/leftovers.ts';
import {
  createTempFiles,
  fileError,
  isAliveByProc,
  KEPT_SIZE_MIN_BYTES,
  parseSharedMode,
  pidSpace,
  type SharedMode,
} from '../../agent/temp-files.ts';
import { digestOf } from '../../core/digest.ts';
import { secureRandom } from '../../core/random.ts';
import { makeTempDir } from '../support/temp-dir.ts';

const OID = digestOf('x');
const SPACE = 'aaaaaaaa';

describe('agent/temp-files', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await makeTempDir();
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const files = (sharedMode: SharedMode = null) =>
    createTempFiles({
      lfsDirectory: folder,
      pid: 42,
      sharedMode,
      random: secureRandom,
      pidSpace: SPACE,
    });
  const sweep = (isAlive: (pid: number) => boolean, nowMs = Date.now()) =>
    sweepTempFiles({ lfsDirectory: folder, pidSpace: SPACE, isAlive, nowMs });
  const modeOf = async (path: string) => (await stat(path)).mode & 0o777;

  it('creates with the mode the umask leaves', async () => {
    const umask = process.umask();
    const temp = await files().create(OID);
    expect(await modeOf(await temp.keep())).to.equal(0o666 & ~umask);
  });

  it('adds what core.sharedRepository asks for', async () => {
    const temp = await files(parseSharedMode('group')).create(OID);
    expect((await modeOf(await temp.keep())) & 0o660).to.equal(0o660);
    const exact = await files(parseSharedMode('0640')).create(OID);
    expect(await modeOf(await exact.keep())).to.equal(0o640);
  });

  it('reads core.sharedRepository as git does', () => {
    expect(parseSharedMode(null)).to.equal(null);
    expect(parseSharedMode('umask')).to.equal(null);
    expect(parseSharedMode('false')).to.equal(null);
    expect(parseSharedMode('TRUE')).to.deep.equal({ add: 0o660 });
    expect(parseSharedMode('world')).to.deep.equal({ add: 0o664 });
    expect(parseSharedMode('0770')).to.deep.equal({ exact: 0o660 });
  });

  it('removes what was not handed back, and only that', async () => {
    const made = files();
    const kept = await made.create(OID);
    const path = await kept.keep();
    await made.create(OID);
    made.removeAll();
    expect(await readdir(join(folder, 'datamon'))).to.deep.equal([
      path.slice(join(folder, 'datamon/').length),
    ]);
  });

  it('holds finished files: whole, with the mode asked for, handed over, discarded or removed', async () => {
    const bytes = Buffer.from('all of it');
    const made = files(parseSharedMode('0640'));
    const path = await made.hold(OID, bytes).keep();
    expect((await readFile(path)).equals(bytes)).to.equal(true);
    expect(await modeOf(path)).to.equal(0o640);
    expect(await modeOf(await files().hold(OID, bytes).keep())).to.equal(0o666 & ~process.umask());
    expect((await readFile(await made.hold(OID, Buffer.alloc(0)).keep())).length).to.equal(0);
    const before = await readdir(join(folder, 'datamon'));
    await made.hold(OID, bytes).discard();
    made.hold(OID, bytes);
    made.removeAll();
    expect(await readdir(join(folder, 'datamon'))).to.deep.equal(before);
  });

  it('leaves nothing of a file that it could not write', async () => {
    const made = files({ exact: -1 });
    expect(() => made.hold(OID, Buffer.from('x'))).to.throw(/cannot create a file in/);
    expect(await readdir(join(folder, 'datamon'))).to.deep.equal([]);
    await rm(join(folder, 'datamon'), { recursive: true });
    await writeFile(join(folder, 'datamon'), 'in the way');
    expect(() => files().hold(OID, Buffer.from('x'))).to.throw(/cannot create a file in/);
  });

  it('sweeps what dead processes of this machine left, and nothing else', async () => {
    const own = join(folder, 'datamon');
    await mkdir(own);
    const dead = `${OID}-datamon-100-${SPACE}01234567.part`;
    const others = [
      `${OID}-datamon-200-${SPACE}01234567.part`,
      `${OID}-datamon-100-bbbbbbbb01234567.part`,
      `${OID}-12345`,
      'datamon-100-notes.txt',
    ];
    for (const name of [dead, ...others]) await writeFile(join(own, name), 'x');
    const swept = await sweep((pid) => pid === 200);
    expect(swept.removedCount).to.equal(1);
    expect(swept.leftovers.size).to.equal(0);
    expect((await readdir(own)).sort()).to.deep.equal(others.sort());
  });

  it('keeps a beginning that is large enough, until the object is there or a week is over', async () => {
    const own = join(folder, 'datamon');
    await mkdir(own);
    const path = join(own, `${OID}-datamon-100-${SPACE}01234567.part`);
    const stranger = join(own, `${OID}-datamon-100-bbbbbbbb01234567.part`);
    for (const file of [path, stranger]) await writeFile(file, Buffer.alloc(KEPT_SIZE_MIN_BYTES));
    expect([...(await sweep(() => false)).leftovers]).to.deep.equal([[OID, [path]]]);
    const objects = join(folder, 'objects', OID.slice(0, 2), OID.slice(2, 4));
    await mkdir(objects, { recursive: true });
    await writeFile(join(objects, OID), 'x');
    expect((await sweep(() => false)).removedCount).to.equal(1);
    expect(await readdir(own)).to.have.length(1);
    const later = Date.now() + LEFTOVER_AGE_MAX_MS + 60_000;
    expect((await sweep(() => false, later)).removedCount).to.equal(1);
    expect(await readdir(own)).to.deep.equal([]);
  });

  it('sweeps nothing where there is no folder yet', async () => {
    expect((await sweep(() => false)).removedCount).to.equal(0);
  });

  it('knows the living, and tells one place of pids from another by eight digits', () => {
    expect(isAliveByProc(process.pid)).to.equal(true);
    expect(pidSpace()).to.match(/^[0-9a-f]{8}$/);
    expect(pidSpace()).to.equal(pidSpace());
  });

  it('says what to do about a full disk and a forbidden folder', () => {
    const of = (code: string) =>
      fileError(Object.assign(new Error(code), { code }), 'cannot write');
    expect(of('ENOSPC')).to.include({ code: 'NO_SPACE' });
    expect(of('EDQUOT')).to.include({ code: 'NO_SPACE' });
    expect(of('EACCES').hint).to.include('writable');
    expect(of('EIO')).to.include({ code: 'UNSUPPORTED' });
  });
});
