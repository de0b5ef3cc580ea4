/** Who we are towards one server: anonymous until it asks, then the token of a `TokenSource`; a refused token is given back once. */
import { DatamonError } from '../core/errors.ts';

/** Where tokens come from: environment, git's credential helper, a batch. */
export interface TokenSource {
  /** The token for this URL, null where there is none. */
  get(url: string): Promise<string | null>;
  /** The server refused it: forget it where it was stored. */
  reject(url: string, token: string): Promise<void>;
}

export const NO_TOKENS: TokenSource = {
  get: () => Promise.resolve(null),
  reject: () => Promise.resolve(),
};

const TOKEN_LENGTH_MAX = 16 * 1024;

export class Session {
  readonly #url: string;
  readonly #tokens: TokenSource;
  #token: string | null = null;
  #accepted = false;
  #asking: Promise<string | null> | null = null;

  /** `url` is what the token source is asked for. */
  constructor(url: string, tokens: TokenSource) {
    this.#url = url;
    this.#tokens = tokens;
  }

  get token(): string | null {
    return this.#token;
  }

  /** A request with this token (or none) was let in. */
  accept(token: string | null): void {
    if (token !== null && token === this.#token) this.#accepted = true;
  }

  /** The token to try instead of the one that got a 401. Throws UNAUTHENTICATED where there is no other. */
  async renew(refused: string | null, refusal: DatamonError): Promise<string> {
    if (this.#token !== refused && this.#token !== null) return this.#token;
    this.#asking ??= this.#ask(refused).finally(() => {
      this.#asking = null;
    });
    const token = await this.#asking;
    if (token !== null) return token;
    throw new DatamonError('UNAUTHENTICATED', refusal.message, {
      cause: refusal,
      hint: `Run: datamon login ${this.#url}`,
    });
  }

  async #ask(refused: string | null): Promise<string | null> {
    if (refused !== null) {
      const wasAccepted = this.#accepted;
      this.#token = null;
      this.#accepted = false;
      await this.#tokens.reject(this.#url, refused);
      // One that never worked is wrong, and asking on would prompt again; one that worked has expired.
      if (!wasAccepted) return null;
    }
    const token = await this.#tokens.get(this.#url);
    if (token === null || token === refused) return null;
    this.#token = checkToken(token);
    return this.#token;
  }
}

function checkToken(token: string): string {
  if (token.length <= TOKEN_LENGTH_MAX && /^[\x21-\x7e]+$/.test(token)) return token;
  throw new DatamonError('INVALID', 'the token has characters that no token has', {
    hint: 'Check DATAMON_TOKEN, or run: datamon login',
  });
}
