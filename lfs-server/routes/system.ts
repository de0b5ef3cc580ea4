/** What a server says about itself without saying anything about anyone's data. */
import { DatamonError } from '../../core/errors.ts';
import { OPEN } from '../access.ts';
import { openApi } from '../open-api.ts';
import { ICON } from '../pages/icon.ts';
import { STYLE, STYLE_VERSION } from '../pages/style.ts';
import { sendJson } from '../reply.ts';
import { type Call, originOf, type Route } from '../route.ts';

const READY_TIMEOUT_MS = 5_000;
const ASSET_SECONDS = 7 * 24 * 60 * 60;
const root = { area: 'root', method: 'get', access: OPEN } as const;

export const SYSTEM_ROUTES: readonly Route[] = [
  {
    ...root,
    path: '/healthz',
    summary: 'The process lives',
    answer: 'application/json',
    run: (call) => sendJson(call, { status: 'ok' }),
  },
  {
    ...root,
    path: '/readyz',
    summary: 'The store answers',
    answer: 'application/json',
    run: ready,
  },
  {
    ...root,
    path: '/openapi.json',
    summary: 'This document',
    answer: 'application/json',
    run: (call) => sendJson(call, openApi(call.deps.routes, originOf(call))),
  },
  {
    ...root,
    path: `/assets/style-${STYLE_VERSION}.css`,
    summary: 'Style of the pages',
    answer: 'text/css',
    run: (call) => sendAsset(call, 'text/css; charset=utf-8', STYLE),
  },
  {
    ...root,
    path: '/assets/icon.svg',
    summary: 'Icon of the pages',
    answer: 'image/svg+xml',
    run: (call) => sendAsset(call, 'image/svg+xml', ICON),
  },
];

/** 503 says no more than that: where the store is and what it answers is in the log. */
async function ready(call: Call): Promise<void> {
  const late = new Promise<never>((_resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('late')), READY_TIMEOUT_MS);
    timer.unref();
  });
  try {
    await Promise.race([call.deps.repos.probe(), late]);
  } catch (cause) {
    throw new DatamonError('UNAVAILABLE', 'the store does not answer', { cause });
  }
  sendJson(call, { status: 'ready' });
}

function sendAsset(call: Call, type: string, text: string): void {
  const { response } = call;
  response.setHeader('Content-Type', type);
  response.setHeader('Cache-Control', `public, max-age=${ASSET_SECONDS}`);
  response.end(text);
}
