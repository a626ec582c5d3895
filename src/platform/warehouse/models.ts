/** The warehouse child's side of models: what the front asks of it over the socket. Answers over HTTP are the front's own. */
import { json } from 'node:stream/consumers';
import type { Models } from '#analyze';
import type { Routes } from './http.ts';

export function modelRoutes(models: Models): Routes {
  return {
    'GET /models/trainings': async () => models.trainings(),
    'POST /models/stop': async ({ request }) => ({ stopping: models.stop(((await json(request)) as { job: string }).job) }),
    'POST /models/promote': async ({ who, request }) => {
      const { model, alias } = (await json(request)) as { model: string; alias: string };
      return models.promote(model, alias, who.name);
    },
    'POST /models/rollback': async ({ who, request }) => models.rollBack(((await json(request)) as { model: string }).model, who.name),
  };
}
