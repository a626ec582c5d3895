/** The API: what no door takes goes through the framework. */
import { performance } from 'node:perf_hooks';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { readOn } from '#collect';
import { asMillraceError, type Bytes, MillraceError } from '#core';
import type { Front } from '#platform';
import { http } from '#run';
import { BODY_LIMIT, heldBodies } from './bodies.ts';
import { guarded } from './guarded.ts';
import { sendPage } from './routes/console.ts';
import { routes } from './routes/index.ts';

/** Ready for requests, which `app.routing` takes. */
export async function openApi(front: Front, logger: Logger): Promise<FastifyInstance> {
  const began = performance.now();
  const app = Fastify({
    // The framework routes; the server is another, since doors come first.
    serverFactory: () => http.createServer(),
    bodyLimit: BODY_LIMIT,
    routerOptions: { maxParamLength: 200, ignoreTrailingSlash: true },
    // No route has a schema: checks are in code, in the catalogue's words. Naming compilers keeps Fastify from loading its own (3 MB).
    schemaController: { compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas } },
    // An address that can't be decoded, or a part of it that is too long for any name.
    frameworkErrors: (_, request, reply) => sayUnknown(request, reply),
  });
  app.decorate('uptime', () => (performance.now() - began) / 1000);
  guarded(app, front.guard);
  heldBodies(app, front.bodies);
  for (const route of routes) route(app, front);
  app.setNotFoundHandler(sayUnknown);
  app.setErrorHandler((thrown, request, reply) => {
    const error = worded(thrown, request.routeOptions.bodyLimit ?? BODY_LIMIT);
    if (error.code === 'INTERNAL') logger.error({ event: 'internal', method: request.method, url: request.url, err: thrown });
    if (error.retryable) reply.header('retry-after', '1');
    if (error.code === 'BODY_TOO_LARGE') {
      // The framework would close the connection, and its answer be lost with it.
      reply.removeHeader('connection');
      readOn(request.raw);
    }
    return reply.code(error.status).send({ error: error.body });
  });
  await app.ready();
  return app;
}

/** A person who mistyped an address gets the console, which says so; programs get the error. */
function sayUnknown(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const isPage = request.method === 'GET' && !/^\/(v1|assets)\//.test(request.url);
  let error = new MillraceError('ROUTE_UNKNOWN', { method: request.method, path: request.url.slice(0, 200) });
  try {
    if (isPage && /\btext\/html\b/.test(request.headers.accept ?? '')) return sendPage(reply.code(404));
  } catch (thrown) {
    // Not yet built. Nobody takes what is thrown where the address could not be read.
    error = asMillraceError(thrown);
  }
  return reply.code(error.status).send({ error: error.body });
}

function noSchemas(): never {
  throw new TypeError('routes have no schemas');
}

/** The framework's own refusals in the catalogue's words. */
function worded(thrown: unknown, limit: Bytes): MillraceError {
  if (thrown instanceof MillraceError) return thrown;
  const { code, message } = thrown as { code?: unknown; message?: string };
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return new MillraceError('BODY_TOO_LARGE', { limit }, thrown);
  if (typeof code === 'string' && code.startsWith('FST_ERR_CTP'))
    return new MillraceError('REQUEST_INVALID', { problem: message ?? code }, thrown);
  if (thrown instanceof SyntaxError) return new MillraceError('REQUEST_INVALID', { problem: message ?? 'it is not JSON' }, thrown);
  return asMillraceError(thrown);
}
