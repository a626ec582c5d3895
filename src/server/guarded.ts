import type { FastifyInstance, FastifyRequest } from 'fastify';
import { fail, type Principal } from '#core';
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
    const principal = guard.authenticate(request.headers.authorization ?? sessionToken(request), request.ip);
    guard.decide(principal, action);
    Object.defineProperty(request, 'principal', { value: principal });
  });
}

/** Cookies know no ports, so that two Millraces on one machine need two names. */
export const cookieName = (request: FastifyRequest): string => `millrace_${request.socket.localPort}`;

/** The token in the console's cookie. A browser sends it along by itself, so where the request comes from counts: ORIGIN_REFUSED, HOST_UNKNOWN. */
export function sessionToken(request: FastifyRequest): string | undefined {
  const prefix = `${cookieName(request)}=`;
  const cookie = request.headers.cookie?.split(/; */).find((pair) => pair.startsWith(prefix));
  if (cookie === undefined) return undefined;
  checkSameOrigin(request);
  return cookie.slice(prefix.length);
}

/**
 * ORIGIN_REFUSED for a request that another page made the browser send; SameSite alone lets pages on other ports of this machine through.
 * HOST_UNKNOWN when the browser reached this machine's own address by a foreign name (DNS rebinding).
 */
export function checkSameOrigin(request: FastifyRequest): void {
  const { host = '', origin, 'sec-fetch-site': site } = request.headers;
  if (isLoopback(request.socket.localAddress ?? '') && !isLoopback(hostName(host))) fail('HOST_UNKNOWN', { host: host.slice(0, 100) });
  const reads = request.method === 'GET' || request.method === 'HEAD';
  const from = origin ?? (site === undefined && !reads ? 'unknown' : undefined);
  if (site !== undefined && site !== 'same-origin' && !(site === 'none' && reads))
    fail('ORIGIN_REFUSED', { origin: origin ?? String(site) });
  if (from !== undefined && hostOf(from) !== host) fail('ORIGIN_REFUSED', { origin: from.slice(0, 100) });
}

function hostOf(origin: string): string | null {
  return URL.parse(origin)?.host ?? null;
}

function hostName(host: string): string {
  return URL.parse(`http://${host}`)?.hostname ?? '';
}

function isLoopback(name: string): boolean {
  return /^(localhost|.+\.localhost|127(\.\d+){3}|\[?::1\]?|\[?::ffff:127(\.\d+){3}\]?)$/.test(name);
}
