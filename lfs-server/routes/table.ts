/** All routes there are. Mounting, access tests and OpenAPI go through this table. */
import type { Route } from '../route.ts';
import { API_BATCH_ROUTES } from './api-batches.ts';
import { API_HISTORY_ROUTES } from './api-history.ts';
import { API_OBJECT_ROUTES } from './api-objects.ts';
import { API_PUSH_ROUTES } from './api-pushes.ts';
import { API_REPO_ROUTES } from './api-repos.ts';
import { BATCH_ROUTES } from './batch.ts';
import { LOCK_ROUTES } from './locks.ts';
import { OBJECT_ROUTES } from './objects.ts';
import { PAGE_ROUTES } from './pages.ts';
import { SYSTEM_ROUTES } from './system.ts';

export const ROUTES: readonly Route[] = [
  ...SYSTEM_ROUTES,
  ...API_REPO_ROUTES,
  ...API_OBJECT_ROUTES,
  ...API_HISTORY_ROUTES,
  ...API_PUSH_ROUTES,
  ...API_BATCH_ROUTES,
  ...BATCH_ROUTES,
  ...OBJECT_ROUTES,
  ...LOCK_ROUTES,
  ...PAGE_ROUTES,
];
