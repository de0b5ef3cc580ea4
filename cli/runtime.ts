/** What the process knows about itself and the rest of the program does not: given once by main.ts. */
import type { Backend } from '../core/backend/backend.ts';
import type { ExitStatus, Io } from '../core/io.ts';
import type { ProgramName } from './verbs.ts';

export interface Program {
  main(argv: string[], io: Io): Promise<ExitStatus>;
}

export interface Runtime {
  /** The other programs; only main.ts knows where they are. */
  readonly programs: Readonly<Record<ProgramName, () => Promise<Program>>>;
  readonly nodePath: string;
  readonly nodeVersion: string;
  /** Absolute path of cli/main.js (or .ts), for finding what lies beside it. */
  readonly mainPath: string;
  readonly platform: string;
  /** Between a store and the verbs that look after it; tests move its clock with it. */
  readonly aroundStore?: (backend: Backend) => Backend;
}

/** The released version; package.json says the same, and a test compares them. */
export const DATAMON_VERSION = '0.1.0';
