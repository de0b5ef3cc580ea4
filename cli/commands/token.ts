/** `datamon token`: makes tokens for a server, and reads them without their secrets. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import {
  DEFAULT_ISSUER,
  formatScopes,
  mintUserToken,
  parseScope,
  parseSecret,
  type Scope,
  TOKEN_SIZE_MAX_BYTES,
  VERBS,
} from '../../client/tokens.ts';
import { collect } from '../../core/bytes.ts';
import { DatamonError } from '../../core/errors.ts';
import { parseJsonObject } from '../../core/json.ts';
import { type Options, usageError } from '../args.ts';
import { type Command, type Outcome, rowsOf } from '../command.ts';
import type { Context } from '../context.ts';
import { harmless } from '../rows.ts';
import { whoAmI } from '../who-am-i.ts';
import { unknownAction } from './label.ts';

export interface TokenRow {
  /** `mint` only. */
  readonly token?: string;
  readonly subject: string;
  readonly scope: string;
  readonly issuer: string;
  readonly audience: string;
  readonly expiresAt: string | null;
  /** `show` only: by this machine's clock; says nothing about the signature. */
  readonly expired?: boolean;
}

const ACTIONS = ['mint', 'show'] as const;
const DEFAULT_TTL = '30d';
const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };
const TTL_MAX_SECONDS = 10 * 366 * 86_400;
const MS_PER_SECOND = 1000;

export const token: Command<TokenRow> = {
  usage: [
    'token mint --repo PATTERN (--read | --write | --admin)… [--subject WHO] [--ttl TIME] [--secret-file FILE]',
    'token show [TOKEN | -]',
  ],
  about:
    'mint makes a token with the server’s secret and prints it, alone, on stdout. show says whose a token is, what it allows and until when; it checks no signature and never prints the token.',
  examples: [
    [
      'token mint --repo "acme/*" --read --write --subject ada',
      'with the secret in DATAMON_JWT_SECRET_FILE',
    ],
    [
      'token mint --repo acme/weather --read --ttl 8h --secret-file secret',
      'for a robot, for a day’s work',
    ],
    ['token show - < token.txt', 'what is in it'],
  ],
  options: {
    read: { type: 'boolean', summary: 'may read' },
    write: { type: 'boolean', summary: 'may write; does not include read' },
    admin: { type: 'boolean', summary: 'may break others’ locks' },
    subject: { type: 'string', value: 'WHO', summary: 'who it is for; default: you' },
    ttl: { type: 'string', value: 'TIME', summary: `30s, 15m, 8h or 30d; default ${DEFAULT_TTL}` },
    'secret-file': {
      type: 'string',
      value: 'FILE',
      summary: 'the server’s secret; default DATAMON_JWT_SECRET_FILE',
    },
  },
  operands: { names: ['ACTION', 'TOKEN'], min: 1, max: 2 },
  run: runToken,
  view: {
    lines: (row) =>
      row.token === undefined
        ? [
            `subject  ${harmless(row.subject)}`,
            `scope    ${harmless(row.scope)}`,
            `issuer   ${harmless(row.issuer)}`,
            `audience ${harmless(row.audience)}`,
            `expires  ${row.expiresAt ?? 'never'}${row.expired === true ? ' (expired)' : ''}`,
          ]
        : [row.token],
    id: (row) => row.token ?? row.subject,
  },
};

async function runToken(context: Context, options: Options): Promise<Outcome<TokenRow>> {
  const [word = '', operand] = options.operands;
  const action = ACTIONS.find((known) => known === word);
  if (action === undefined) throw unknownAction(word, ACTIONS, 'token');
  if (action === 'show') return rowsOf([decode(await tokenText(context, operand))]);
  if (operand !== undefined) {
    throw usageError('token mint takes no operand; name the repos with --repo', 'token');
  }
  return rowsOf([await mint(context, options)]);
}

async function mint(context: Context, options: Options): Promise<TokenRow> {
  const pattern = context.repoFlag;
  if (pattern === undefined)
    throw usageError('token mint needs --repo: owner/name, owner/* or *', 'token');
  const scopes: Scope[] = VERBS.filter((verb) => options.flag(verb)).map((verb) =>
    parseScope(`${verb}:${pattern}`),
  );
  if (scopes.length === 0) {
    throw usageError('token mint needs --read, --write or --admin; none includes another', 'token');
  }
  const subject = options.text('subject') ?? (await whoAmI(context));
  const ttlSeconds = parseTtl(options.text('ttl') ?? DEFAULT_TTL);
  const signing = {
    secrets: [await readSecret(context, options)],
    issuer: DEFAULT_ISSUER,
  } as const;
  const made = mintUserToken(signing, { subject, scopes, ttlSeconds });
  const row = decode(made);
  context.talk(
    `datamon: for ${harmless(subject)}: ${formatScopes(scopes)}, until ${row.expiresAt ?? 'ever'}. Use it with: datamon login URL`,
  );
  return { ...row, token: made };
}

async function readSecret(context: Context, options: Options) {
  const file = options.text('secret-file') ?? context.io.env['DATAMON_JWT_SECRET_FILE'];
  if (file === undefined || file === '') {
    throw usageError('token mint needs --secret-file, or DATAMON_JWT_SECRET_FILE', 'token');
  }
  try {
    return parseSecret(await readFile(resolve(context.io.cwd, file)));
  } catch (cause) {
    if (cause instanceof DatamonError) throw cause;
    throw new DatamonError('NOT_FOUND', `the secret file ${file} cannot be read`, {
      cause,
      hint: 'Name the file that the server has: --secret-file FILE',
    });
  }
}

/** `90`, `30s`, `15m`, `8h`, `30d`. */
export function parseTtl(text: string): number {
  const [, digits = '', unit = 's'] = /^([0-9]{1,9})([smhd]?)$/.exec(text) ?? [];
  const seconds = Number(digits) * (UNIT_SECONDS[unit === '' ? 's' : unit] ?? 0);
  if (digits !== '' && seconds >= 1 && seconds <= TTL_MAX_SECONDS) return seconds;
  throw usageError(
    `--ttl needs a time such as 15m, 8h or 30d, not ${JSON.stringify(text)}`,
    'token',
  );
}

async function tokenText(context: Context, operand: string | undefined): Promise<string> {
  if (operand !== undefined && operand !== '-') return operand;
  const fromEnv = context.io.env['DATAMON_TOKEN'] ?? '';
  if (operand === undefined && fromEnv !== '') return fromEnv;
  return (await collect(context.io.stdin, TOKEN_SIZE_MAX_BYTES)).toString('utf8').trim();
}

/** What the token's middle part says. No signature is checked, and neither it nor the token is shown. */
function decode(text: string): TokenRow {
  const [, payload, ...rest] = text.split('.');
  if (payload === undefined || rest.length !== 1 || !/^[\w-]+\.[\w-]+\.[\w-]*$/.test(text)) {
    throw new DatamonError('INVALID', 'that is not a token of datamon (a JWT)');
  }
  const claims = claimsOf(payload);
  const claim = (name: string): string => (typeof claims[name] === 'string' ? claims[name] : '');
  const { exp } = claims;
  const expires = typeof exp === 'number' ? new Date(exp * MS_PER_SECOND) : null;
  const isValid = expires !== null && !Number.isNaN(expires.getTime());
  return {
    subject: claim('sub'),
    scope: claim('scope'),
    issuer: claim('iss'),
    audience: claim('aud'),
    expiresAt: isValid ? expires.toISOString() : null,
    expired: isValid && expires.getTime() <= Date.now(),
  };
}

function claimsOf(payload: string): { readonly [name: string]: unknown } {
  try {
    return parseJsonObject(Buffer.from(payload, 'base64url'), 'the token');
  } catch (cause) {
    throw new DatamonError('INVALID', 'that is not a token of datamon (a JWT)', { cause });
  }
}
