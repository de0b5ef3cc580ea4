/** The datamon transfer: which objects and chunks a repo has, packs in, blobs recorded by recipe, bytes and recipes out. */

import { mintTicket, verifyTicket } from '../../client/tokens.ts';
import { OPEN_PACK_LACKS_BYTES, type PackForm } from '../../core/cas/container-format.ts';
import { encodeChunkList, unfoldRecipes } from '../../core/cas/recipe-copies.ts';
import { digestOf, parseDigest } from '../../core/digest.ts';
import { DatamonError } from '../../core/errors.ts';
import { parseContainerId } from '../../core/keys.ts';
import {
  CHUNK_LIST_TYPE,
  type ChunksHasRequest,
  parseChunksHasRequest,
  parseHasRequest,
  parseRecordRequest,
  type RecordAnswer,
  type RecordRequest,
} from '../../core/meta/api-wire.ts';
import { digest, listOf, record } from '../../core/shape.ts';
import { BATCH_READ, BATCH_READ_OR_WRITE, BATCH_WRITE } from '../access.ts';
import { announcedSize, readExactly, readJson, refuseEncoding } from '../body.ts';
import { sendJson } from '../reply.ts';
import type { ServedRepo } from '../repos.ts';
import { type Call, mayUse, param, query, type Route } from '../route.ts';
import {
  BATCH_BODY_MAX_BYTES,
  PACK_BODY_MAX_BYTES,
  RECORD_BODY_MAX_BYTES,
  TICKET_TTL_SECONDS,
} from '../settings.ts';
import { getObject } from './objects.ts';
import { served } from './served.ts';

const JSON_BODY = 'application/json';
const OCTETS = 'application/octet-stream';
const PAGES_COUNT_MAX = 10_000;

const api = { area: 'api', answer: JSON_BODY } as const;

export const API_OBJECT_ROUTES: readonly Route[] = [
  {
    ...api,
    method: 'post',
    path: '/objects/has',
    access: BATCH_READ_OR_WRITE,
    body: JSON_BODY,
    summary: 'Sizes of those objects that the repo holds',
    run: hasObjects,
  },
  {
    ...api,
    method: 'get',
    path: '/objects/:oid',
    access: BATCH_READ,
    answer: OCTETS,
    summary: 'An object, or a range of it',
    run: getObject,
  },
  {
    ...api,
    method: 'get',
    path: '/objects/:oid/recipe',
    access: BATCH_READ,
    summary: 'The chunks of an object, in order',
    run: getRecipe,
  },
  {
    ...api,
    method: 'post',
    path: '/chunks/has',
    access: BATCH_WRITE,
    body: JSON_BODY,
    summary: 'Which chunks need not be sent',
    run: hasChunks,
  },
  {
    ...api,
    method: 'put',
    path: '/packs/:pack',
    access: BATCH_WRITE,
    query: ['form'],
    body: OCTETS,
    summary: 'Store a pack',
    run: putPack,
  },
  {
    ...api,
    method: 'post',
    path: '/objects',
    access: BATCH_WRITE,
    body: JSON_BODY,
    summary: 'Record blobs by recipe, and pages',
    run: recordObjects,
  },
  {
    ...api,
    method: 'post',
    path: '/pages/has',
    access: BATCH_READ_OR_WRITE,
    body: JSON_BODY,
    summary: 'Which tree pages the repo holds',
    run: hasPages,
  },
  {
    ...api,
    method: 'get',
    path: '/pages/:digest',
    access: BATCH_READ,
    answer: OCTETS,
    summary: 'A tree page',
    run: getPage,
  },
];

async function readBody(call: Call, limitBytes = BATCH_BODY_MAX_BYTES): Promise<unknown> {
  return await readJson(call.request, { limitBytes, limits: call.deps.settings.limits });
}

/** The repo, made if this is the first that is written to it. */
async function begun(call: Call): Promise<ServedRepo> {
  return await call.deps.repos.ensure(call.repo, { createdBy: call.caller.subject, remote: null });
}

async function hasObjects(call: Call): Promise<void> {
  const { oids } = parseHasRequest(await readBody(call), 'body');
  const found = await call.deps.repos.find(call.repo);
  const held = (await found?.repository.blobs.has(oids)) ?? new Map();
  sendJson(call, { objects: [...held].map(([oid, size]) => ({ oid, size })) });
}

async function getRecipe(call: Call): Promise<void> {
  const { ingest } = await served(call);
  const recipe = await ingest.recipeOf(parseDigest(param(call, 'oid')));
  call.response.setHeader('Vary', 'Accept');
  if (call.request.headers.accept === CHUNK_LIST_TYPE) {
    sendChunkList(call, encodeChunkList(recipe.chunks.map(({ digest }) => digest)));
    return;
  }
  const chunks = recipe.chunks.map(({ digest, sizeBytes }) => ({ digest, size: sizeBytes }));
  sendJson(call, { oid: recipe.oid, size: recipe.sizeBytes, chunks });
}

function sendChunkList({ response }: Call, list: Buffer): void {
  response.setHeader('Content-Type', CHUNK_LIST_TYPE);
  response.setHeader('Content-Length', String(list.length));
  response.setHeader('ETag', `"${digestOf(list)}"`);
  response.setHeader('Cache-Control', 'no-store');
  response.end(list);
}

async function hasChunks(call: Call): Promise<void> {
  const request: ChunksHasRequest = parseChunksHasRequest(await readBody(call), 'body');
  const found = await call.deps.repos.find(call.repo);
  const known = (await found?.ingest.knownChunks(request.digests, request.basis)) ?? [];
  sendJson(call, { have: known.flatMap((isKnown, index) => (isKnown ? [index] : [])) });
}

async function putPack(call: Call): Promise<void> {
  const { request, deps, repo } = call;
  const id = parseContainerId(param(call, 'pack'));
  refuseEncoding(request);
  const bodyBytes = announcedSize(request);
  if (bodyBytes === null) throw new DatamonError('INVALID', 'a pack needs a Content-Length');
  if (bodyBytes > PACK_BODY_MAX_BYTES) {
    throw new DatamonError(
      'TOO_LARGE',
      `a pack of ${bodyBytes} bytes; at most ${PACK_BODY_MAX_BYTES} are taken`,
    );
  }
  const form = packForm(call);
  const sizeBytes = form === 'open' ? bodyBytes + OPEN_PACK_LACKS_BYTES : bodyBytes;
  const { ingest } = await begun(call);
  const { limits, signing } = deps.settings;
  const stream = readExactly(request, { sizeBytes: bodyBytes, limits });
  await ingest.acceptPack({ id, sizeBytes, form, stream });
  sendJson(call, { pack: mintTicket(signing, { repo, pack: id }, TICKET_TTL_SECONDS) });
}

function packForm(call: Call): PackForm {
  const form = query(call, 'form') ?? 'sealed';
  if (form === 'sealed' || form === 'open') return form;
  throw new DatamonError('INVALID', `a pack is sealed or open, not ${JSON.stringify(form)}`);
}

async function recordObjects(call: Call): Promise<void> {
  const request = parseRecordRequest(await readBody(call, RECORD_BODY_MAX_BYTES), 'body');
  const { signing } = call.deps.settings;
  const packs = request.packs.map((ticket) =>
    parseContainerId(verifyTicket(ticket, signing, call.repo)),
  );
  refuseBases(call, request);
  const { ingest } = await begun(call);
  const recipes = await unfoldRecipes(
    request.blobs.map(({ chunks }) => chunks),
    { bases: request.bases, recipeOf: (oid) => ingest.recipeOf(oid) },
  );
  const blobs = request.blobs.map(({ oid, size }, index) => ({
    oid,
    sizeBytes: size,
    chunks: recipes[index] ?? [],
  }));
  const basis = request.bases.map(({ oid }) => oid);
  const outcome = await ingest.recordByRecipe({ packs, blobs, basis, pages: request.pages });
  const failed = outcome.failed.map(({ oid, error }) => ({
    oid,
    code: error.code,
    message: error.message,
  }));
  const answer: RecordAnswer = { recorded: outcome.recorded, missing: outcome.missing, failed };
  sendJson(call, answer);
}

/** What copies make would tell of chunks that a caller without read may not see. */
function refuseBases(call: Call, { bases }: RecordRequest): void {
  if (bases.length === 0 || mayUse(call, 'read')) return;
  throw new DatamonError('FORBIDDEN', `copying recipes needs read on ${call.repo}`, {
    hint: 'Send them in full.',
  });
}

const parsePagesHas = record({ digests: listOf(digest, PAGES_COUNT_MAX) });

async function hasPages(call: Call): Promise<void> {
  const { digests } = parsePagesHas(await readBody(call), 'body');
  const found = await call.deps.repos.find(call.repo);
  sendJson(call, { have: [...((await found?.repository.pages.hasPages(digests)) ?? [])] });
}

async function getPage(call: Call): Promise<void> {
  const { repository } = await served(call);
  const name = parseDigest(param(call, 'digest'));
  const page = await repository.pages.getPage(name);
  const { response } = call;
  response.setHeader('Content-Type', OCTETS);
  response.setHeader('Content-Length', String(page.length));
  response.setHeader('ETag', `"${name}"`);
  response.end(page);
}
