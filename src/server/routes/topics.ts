import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { fail } from '#core';
import type { Front } from '#platform';

/** Topics' definitions: the same files that a developer keeps in git. */
export function topicRoutes(app: FastifyInstance, front: Front): void {
  const { workspace, guard } = front;
  app.get('/v1/topics', { config: { action: 'catalog' } }, async () => ({ topics: workspace.topics(), problems: workspace.problems() }));

  app.get<{ Params: { topic: string } }>('/v1/topics/:topic', { config: { action: 'catalog' } }, async (request) => {
    const topic = workspace.topic(request.params.topic) ?? fail('TOPIC_UNKNOWN', { topic: request.params.topic });
    const definition = await readFile(join(workspace.path, 'topics', `${topic.name}.yaml`), 'utf8');
    return { topic, definition };
  });

  app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', { parseAs: 'string', bodyLimit: 1024 * 1024 }, (_request, text, done) => done(null, text));
    scope.put<{ Params: { topic: string }; Body: string }>('/v1/topics/:topic', { config: { action: 'define' } }, async (request) => {
      const topic = workspace.saveTopic(request.params.topic, String(request.body ?? ''));
      guard.audit({ who: request.principal.name, action: 'define', on: topic.name, outcome: 'done', from: request.ip });
      return { topic };
    });
  });
}
