/** Finding records: every one, each time it is asked for, however many were asked for before it. */
import { expect } from 'chai';
import type { ContainerTables } from '../../../core/cas/container-reader.ts';
import {
  encodeSegmentTables,
  openSegmentTables,
  type SegmentRecord,
} from '../../../core/cas/segment-tables.ts';
import { digestOf, digestToBytes } from '../../../core/digest.ts';
import { FAST_PATHS_OFF, switchOffFastPaths } from '../../../core/fast-paths.ts';

/** More than are kept decoded. */
const RECORD_COUNT = 3_000;

describe('core/cas/segment-tables', () => {
  const records = Array.from({ length: RECORD_COUNT }, (_, index): SegmentRecord => {
    const run = {
      container: null,
      frameCount: 1,
      offset: 64 + index,
      storedLength: 65,
      rawLength: index,
    };
    return {
      oid: digestOf(`record ${index}`),
      sizeBytes: index,
      kind: index % 5 === 0 ? 'page' : 'blob',
      state: index % 7 === 0 ? 'claimed' : 'verified',
      runs: Array.from({ length: index % 8 }, () => run),
    };
  });
  const sections = new Map(
    encodeSegmentTables(records, []).map(({ type, bytes }) => [type, bytes]),
  );
  const open = () => openSegmentTables({ sections } as unknown as ContainerTables, 'a segment');
  afterEach(() => switchOffFastPaths(process.env));

  for (const off of ['', 'decoded-records']) {
    it(`finds each record again and again${off === '' ? '' : `, without ${off}`}`, () => {
      switchOffFastPaths({ [FAST_PATHS_OFF]: off });
      const tables = open();
      for (let round = 0; round < 2; round += 1) {
        for (const record of records) {
          expect(tables.find(record.oid, record.kind)).to.deep.equal([record]);
          expect(tables.find(digestToBytes(record.oid), record.kind)).to.deep.equal([record]);
          expect(tables.find(record.oid, record.kind === 'page' ? 'blob' : 'page')).to.be.empty;
        }
      }
    });
  }
});
