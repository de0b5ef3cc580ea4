/** What `datamon serve` is told: flags before environment, everything checked before anything starts. */
import { isIP } from 'node:net';
import { parseArgs } from 'node:util';
import {
  ACTION_AUDIENCE,
  DEFAULT_AUDIENCE,
  DEFAULT_ISSUER,
  TICKET_AUDIENCE,
} from '../client/tokens.ts';
import { DatamonError } from '../core/errors.ts';
import type { AnonymousMode } from './settings.ts';

export interface ServeConfig {
  readonly store: string;
  /** Asked where the store does not answer. */
  readonly replicas: readonly string[];
  readonly listen: { readonly host: string; readonly port: number };
  readonly publicUrl: string | null;
  readonly anonymous: AnonymousMode;
  /** Files of token secrets; the first signs. None: a secret that lives as long as the process. */
  readonly secretFiles: readonly string[];
  readonly issuers: readonly string[];
  readonly audience: string;
}

type Env = Readonly<Record<string, string | undefined>>;

const DEFAULT_LISTEN = '127.0.0.1:8080';

/** Each setting's flag and variable. */
const VARIABLES = {
  store: 'DATAMON_STORE',
  replica: 'DATAMON_REPLICAS',
  listen: 'DATAMON_LISTEN',
  'public-url': 'DATAMON_PUBLIC_URL',
  anonymous: 'DATAMON_ANONYMOUS',
  'jwt-secret-file': 'DATAMON_JWT_SECRET_FILE',
  'jwt-issuer': 'DATAMON_JWT_ISSUERS',
  'jwt-audience': 'DATAMON_JWT_AUDIENCE',
} as const;

type Flag = keyof typeof VARIABLES;

/** A variable that begins so is meant for the server; an unknown one is a mistake that would go unnoticed. */
const SERVER_PREFIX = /^DATAMON_(?:STORE|REPLICA|LISTEN|PUBLIC|ANONYM|JWT|SERVE)/;

/** INVALID for anything that would start another server than the one meant. */
export function parseServeConfig(argv: readonly string[], env: Env): ServeConfig {
  refuseUnknownVariables(env);
  const flags = parseFlags(argv);
  const all = (flag: Flag): readonly string[] => {
    const given = flags[flag];
    if (given !== undefined && given.length > 0) return given;
    const value = env[VARIABLES[flag]] ?? '';
    const isList = ['jwt-issuer', 'jwt-secret-file', 'replica'].includes(flag);
    return (isList ? value.split(',') : [value]).map((word) => word.trim()).filter(Boolean);
  };
  const one = (flag: Flag): string | undefined => {
    const [value, second] = all(flag);
    if (second === undefined) return value;
    throw new DatamonError('INVALID', `--${flag} is given more than once`);
  };
  const store = one('store');
  if (store === undefined) {
    throw new DatamonError('INVALID', 'which store to serve is not said', {
      hint: 'Run: datamon serve --store file:///srv/datamon (or gs://…, s3://…), or set DATAMON_STORE.',
    });
  }
  const config: ServeConfig = {
    store,
    replicas: all('replica'),
    listen: parseListen(one('listen') ?? DEFAULT_LISTEN),
    publicUrl: parsePublicUrl(one('public-url')),
    anonymous: parseAnonymous(one('anonymous')),
    secretFiles: all('jwt-secret-file'),
    issuers: [DEFAULT_ISSUER, ...all('jwt-issuer')],
    audience: parseAudience(one('jwt-audience')),
  };
  refuseUnsafe(config);
  return config;
}

function refuseUnknownVariables(env: Env): void {
  const known = new Set<string>(Object.values(VARIABLES));
  const unknown = Object.keys(env).find((key) => SERVER_PREFIX.test(key) && !known.has(key));
  if (unknown === undefined) return;
  throw new DatamonError('INVALID', `the variable ${unknown} is not one this server knows`, {
    hint: `It knows ${[...known].join(', ')}.`,
  });
}

function parseFlags(argv: readonly string[]): { readonly [flag in Flag]?: string[] } {
  const option = { type: 'string', multiple: true } as const;
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        store: option,
        replica: option,
        listen: option,
        'public-url': option,
        anonymous: option,
        'jwt-secret-file': option,
        'jwt-issuer': option,
        'jwt-audience': option,
      },
    });
    return values;
  } catch (cause) {
    const why = cause instanceof Error ? (cause.message.split('. ')[0] ?? '') : '';
    throw new DatamonError('INVALID', `datamon serve: ${why}`, { cause, hint: USAGE });
  }
}

const USAGE =
  'datamon serve --store URL [--replica URL]… [--listen HOST:PORT] [--public-url URL] [--anonymous read|write] [--jwt-secret-file FILE] [--jwt-issuer NAME] [--jwt-audience NAME]';

function parseListen(text: string): ServeConfig['listen'] {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]*)):([0-9]{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host !== undefined && port <= 65_535) return { host: host || '0.0.0.0', port };
  throw new DatamonError(
    'INVALID',
    `not an address to listen on: ${JSON.stringify(text.slice(0, 100))}`,
    {
      hint: 'Write host:port, as 127.0.0.1:8080 or [::1]:8080; port 0 takes a free one.',
    },
  );
}

function parsePublicUrl(text: string | undefined): string | null {
  if (text === undefined) return null;
  const url = URL.parse(text);
  const isOrigin =
    url !== null &&
    /^https?:$/.test(url.protocol) &&
    url.pathname === '/' &&
    url.search === '' &&
    url.hash === '' &&
    url.username === '';
  if (isOrigin) return url.origin;
  throw new DatamonError('INVALID', `not a public URL: ${JSON.stringify(text.slice(0, 200))}`, {
    hint: 'It is scheme, host and port alone: https://datamon.acme.io',
  });
}

function parseAnonymous(text: string | undefined): AnonymousMode {
  if (text === undefined) return 'none';
  if (text === 'none' || text === 'read' || text === 'write') return text;
  throw new DatamonError(
    'INVALID',
    `anonymous callers may read or write, not ${JSON.stringify(text.slice(0, 40))}`,
  );
}

function parseAudience(text = DEFAULT_AUDIENCE): string {
  if (text !== ACTION_AUDIENCE && text !== TICKET_AUDIENCE) return text;
  throw new DatamonError('INVALID', `the audience ${text} is the server's own`);
}

function refuseUnsafe({ listen, anonymous, secretFiles }: ServeConfig): void {
  if (anonymous !== 'none' && !isLoopback(listen.host)) {
    throw new DatamonError(
      'INVALID',
      `anonymous callers are let in on a loopback address only, and ${listen.host} is none`,
      { hint: 'Listen on 127.0.0.1, or make a secret and tokens: datamon token mint --help' },
    );
  }
  if (anonymous === 'none' && secretFiles.length === 0) {
    throw new DatamonError(
      'INVALID',
      'without a token secret and without anonymous callers nobody could get in',
      {
        hint: 'Add --anonymous write (on loopback), or --jwt-secret-file FILE with at least 32 random bytes.',
      },
    );
  }
}

export function isLoopback(host: string): boolean {
  if (host === 'localhost' || host === '::1') return true;
  return isIP(host) === 4 && host.startsWith('127.');
}
