/** One line of `doctor`: what was looked at, whether it is well, and the one command that would mend it. */

export interface Check {
  /** Stable, for scripts: `agent-launcher`. */
  readonly check: string;
  readonly area: 'machine' | 'clone' | 'store';
  /** Null where it could not be looked at, or does not apply. */
  readonly ok: boolean | null;
  readonly says: string;
  /** One command, where one mends it. */
  readonly fix: string | null;
}

/** A check and what `--fix` does about it. */
export interface Finding extends Check {
  readonly repair?: () => Promise<void>;
}

type Extra = { readonly fix?: string; readonly repair?: () => Promise<void> };

export const finding =
  (area: Check['area']) =>
  (check: string, ok: boolean | null, says: string, { fix, repair }: Extra = {}): Finding => ({
    check,
    area,
    ok,
    says,
    fix: ok === false ? (fix ?? null) : null,
    ...(ok === false && repair !== undefined ? { repair } : {}),
  });
