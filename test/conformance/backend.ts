/** What every backend and decorator must do. `describeBackend` runs it on one of them; excuses are named, and must be needed. */
import { expect } from 'chai';
import type { Backend } from '../../core/backend/backend.ts';
import { LISTING_CHECKS } from './listing-checks.ts';
import { READING_CHECKS } from './reading-checks.ts';
import { WRITING_CHECKS } from './writing-checks.ts';

export interface Opened {
  /** The backend under test; its store is empty. */
  readonly backend: Backend;
  /** Puts into the same store where `backend` cannot. Default: `backend`. */
  readonly writer?: Backend;
  close?(): Promise<void>;
}

/** One promise of the port, checked on a fresh store. */
export interface Check {
  readonly name: string;
  readonly run: (backend: Backend, writer: Backend) => Promise<void>;
}

export interface Conformance {
  readonly open: () => Promise<Opened>;
  /** Name of a check → why it cannot hold here. The check is run all the same and has to fail. */
  readonly excused?: Readonly<Record<string, string>>;
}

const CHECKS: readonly Check[] = [...WRITING_CHECKS, ...READING_CHECKS, ...LISTING_CHECKS];

/** For backends that refuse every change. */
export const excuseWriting = (reason: string): Readonly<Record<string, string>> =>
  Object.fromEntries(WRITING_CHECKS.map(({ name }) => [name, reason]));

export function describeBackend(name: string, { open, excused = {} }: Conformance): void {
  describe(`backend conformance: ${name}`, () => {
    for (const check of CHECKS) {
      const excuse = excused[check.name];
      const title =
        excuse === undefined ? check.name : `is excused, for it ${excuse}: ${check.name}`;
      it(title, async () => {
        const opened = await open();
        try {
          const run = check.run(opened.backend, opened.writer ?? opened.backend);
          await (excuse === undefined ? run : expectFailure(run));
        } finally {
          await opened.close?.();
        }
      });
    }

    it('excuses checks that exist', () => {
      expect(CHECKS.map((check) => check.name)).to.include.members(Object.keys(excused));
    });
  });
}

async function expectFailure(run: Promise<void>): Promise<void> {
  const failed = await run.then(
    () => false,
    () => true,
  );
  expect(failed, 'the check holds: its excuse is needed no longer').to.equal(true);
}
