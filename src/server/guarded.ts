import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Principal } from '#core';
import type { Action, Guard } from '#guard';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What the route does, for the guard. 'open' answers anyone. A route without it can't be registered. */
    action?: Action | 'open';
  }
  interface FastifyRequest {
    principal: Principal;
  }
  interface FastifyInstance {
    /** Seconds since the start. */
    uptime: () => number;
  }
}

const nobody: Principal = { name: 'nobody', role: 'write', topics: [] };

/** No route without a decision: registration fails for one that names no action, and each request is decided before its body is read. */
export function guarded(app: FastifyInstance, guard: Guard): void {
  app.decorateRequest('principal', { getter: () => nobody });
  app.addHook('onRoute', (route) => {
    if (route.config?.action === undefined) throw new TypeError(`the route ${route.method} ${route.url} names no action`);
  });
  app.addHook('onRequest', async (request: FastifyRequest) => {
    const { action } = request.routeOptions.config;
    if (action === 'open' || action === undefined) return;
    const principal = guard.authenticate(request.headers.authorization, request.ip);
    guard.decide(principal, action);
    Object.defineProperty(request, 'principal', { value: principal });
  });
}
