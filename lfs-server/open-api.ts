/** OpenAPI 3.1, made from the route table: a route that is not in it does not exist. */
import { API_PREFIX, type Area, type Route } from './route.ts';

const PREFIXES: Readonly<Record<Area, string>> = {
  root: '',
  lfs: '/{repo}',
  page: '/{repo}',
  api: API_PREFIX.replace(':repo', '{repo}'),
};

const ERROR = { $ref: '#/components/responses/Error' };

export function openApi(routes: readonly Route[], origin: string): object {
  const paths: { [path: string]: { [method: string]: object } } = {};
  for (const route of routes) {
    const path = PREFIXES[route.area] + route.path.replace(/[:*](\w+)/g, '{$1}');
    const name = path === '' ? '/' : path;
    paths[name] = { ...paths[name], [route.method]: operationOf(route, name) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'datamon',
      version: '1',
      description:
        'Git LFS below /{repo}, datamon below /api/v1, pages for people. Repos are called name or owner/name; in /api/v1 the slash is escaped.',
    },
    servers: [{ url: origin }],
    paths,
    components: COMPONENTS,
  };
}

function operationOf(route: Route, path: string): object {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? '');
  const inPath = names.map((name) => parameter(name, 'path'));
  const inQuery = (route.query ?? []).map((name) => parameter(name, 'query'));
  const { access } = route;
  const needs = access.kind === 'verbs' ? access.anyOf.join(' or ') : access.kind;
  return {
    summary: route.summary,
    description: `Needs: ${needs}.`,
    tags: [route.area],
    parameters: [...inPath, ...inQuery],
    ...(route.body === undefined
      ? {}
      : { requestBody: { required: true, content: content(route.body) } }),
    responses: {
      '2XX': {
        description: 'Done',
        ...(route.answer === undefined ? {} : { content: content(route.answer) }),
      },
      default: ERROR,
    },
    security: access.kind === 'open' ? [] : [{ bearer: [] }, { basic: [] }],
  };
}

const content = (type: string): object => ({
  [type]: { schema: type.endsWith('json') ? { type: 'object' } : {} },
});

const parameter = (name: string, where: 'path' | 'query'): object => ({
  name,
  in: where,
  required: where === 'path',
  schema: { type: 'string' },
});

const COMPONENTS = {
  securitySchemes: {
    bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
    basic: { type: 'http', scheme: 'basic', description: 'Any user name; the token as password' },
  },
  responses: {
    Error: {
      description: 'What failed and what to do; below /{repo} the shape of Git LFS',
      content: {
        'application/json': {
          schema: {
            type: 'object',
            required: ['code', 'message'],
            properties: {
              code: { type: 'string' },
              message: { type: 'string' },
              hint: { type: 'string' },
            },
          },
        },
      },
    },
  },
};
