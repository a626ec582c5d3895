import type { FastifyInstance } from 'fastify';
import type { Front } from '#platform';
import { answerRoutes } from './answers.ts';
import { catalogRoutes } from './catalog.ts';
import { consoleRoutes } from './console.ts';
import { dashboardRoutes } from './dashboards.ts';
import { experimentRoutes } from './experiments.ts';
import { lineageRoutes } from './lineage.ts';
import { liveRoutes } from './live.ts';
import { loadRoutes } from './load.ts';
import { modelRoutes } from './models.ts';
import { quarantineRoutes } from './quarantine.ts';
import { savedQueryRoutes } from './queries.ts';
import { queryRoutes } from './query.ts';
import { shareRoutes } from './share.ts';
import { statusRoutes } from './status.ts';
import { tileRoutes } from './tiles.ts';
import { tokenRoutes } from './tokens.ts';
import { topicRoutes } from './topics.ts';
import { transferRoutes } from './transfer.ts';
import { uploadRoutes } from './uploads.ts';
import { viewRoutes } from './views.ts';
import { whyRoutes } from './why.ts';

/** Every group of routes. */
export const routes: readonly ((app: FastifyInstance, front: Front) => void)[] = [
  statusRoutes,
  queryRoutes,
  answerRoutes,
  experimentRoutes,
  loadRoutes,
  catalogRoutes,
  viewRoutes,
  topicRoutes,
  modelRoutes,
  quarantineRoutes,
  tokenRoutes,
  transferRoutes,
  uploadRoutes,
  dashboardRoutes,
  tileRoutes,
  savedQueryRoutes,
  lineageRoutes,
  liveRoutes,
  shareRoutes,
  whyRoutes,
  consoleRoutes,
];
