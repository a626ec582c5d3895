/** The warehouse child's side of models: what the front asks of it over the socket. Answers over HTTP are the front's own. */
import { json } from 'node:stream/consumers';
import type { Models } from '#analyze';
import type { Principal } from '#core';
import type { Routes } from './http.ts';
import type { Rights } from './rights.ts';

/** A model's name is one that a table could have: who may not write that may not say which version serves, here as little as in ALTER MODEL. */
export function modelRoutes(models: Models, rights: Pick<Rights, 'checkWrite'>): Routes {
  const checkWrite = (who: Principal, spelled: string): void => rights.checkWrite(who, [models.version(spelled).entry.name]);

  return {
    'GET /models/trainings': async () => models.trainings(),
    'POST /models/stop': async ({ request }) => ({ stopping: models.stop(((await json(request)) as { job: string }).job) }),
    'POST /models/promote': async ({ who, request }) => {
      const { model, alias } = (await json(request)) as { model: string; alias: string };
      checkWrite(who, model);
      return models.promote(model, alias, who.name);
    },
    'POST /models/rollback': async ({ who, request }) => {
      const { model } = (await json(request)) as { model: string };
      checkWrite(who, model);
      return models.rollBack(model, who.name);
    },
  };
}
