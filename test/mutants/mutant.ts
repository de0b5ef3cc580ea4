/** A mistake somebody could make: one place in one file, what stands there, and what would. */
export interface Mutant {
  /** What the mistake is, in a few words. */
  readonly name: string;
  readonly file: string;
  /** Stands in the file exactly once. */
  readonly find: string;
  readonly replace: string;
  /** Test files of which at least one must go red. */
  readonly tests: readonly string[];
}

/** A mistake that this design leaves no room for, and why. */
export interface Impossible {
  readonly name: string;
  readonly because: string;
}
