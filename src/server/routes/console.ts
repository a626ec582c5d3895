import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { fail, type Principal } from '#core';
import type { Front } from '#platform';
import type { SessionAnswer } from '../api.ts';
import { checkSameOrigin, cookieName } from '../guarded.ts';

/** src/ and dist/ lie equally deep. */
const built = fileURLToPath(new URL('../../../web/dist', import.meta.url));

/** The console's own addresses; all of them are the one page, which reads the rest of the path. */
const pages = [
  '/',
  '/data',
  '/data/*',
  '/ask',
  '/dashboards',
  '/dashboards/*',
  '/answers',
  '/answers/*',
  '/models',
  '/models/*',
  '/admin',
  '/shared',
];

const contentTypes: Readonly<Record<string, string>> = {
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
  '.json': 'application/json',
};

const sessionSeconds = 30 * 24 * 60 * 60;

/** The console's files and its sign-in. */
export function consoleRoutes(app: FastifyInstance, front: Front): void {
  for (const url of pages) app.get(url, { config: { action: 'open' } }, async (_request, reply) => sendPage(reply));
  app.get<{ Params: { name: string } }>('/assets/:name', { config: { action: 'open' } }, async (request, reply) =>
    sendAsset(request.params.name, request, reply),
  );
  sessionRoutes(app, front);
}

/** POST trades the one-time token or any token for a cookie that scripts can't read; GET says who that is; DELETE ends it. */
function sessionRoutes(app: FastifyInstance, { guard, workspace }: Front): void {
  const url = '/v1/session';
  app.get(url, { config: { action: 'status' } }, async (request) => session(request.principal, workspace.settings.timeZone));

  app.post<{ Body: { token?: unknown } | null }>(url, { config: { action: 'open' } }, async (request, reply): Promise<SessionAnswer> => {
    checkSameOrigin(request);
    const token = request.body?.token;
    if (typeof token !== 'string') return fail('REQUEST_INVALID', { problem: '"token" is not text' });
    const given = token.trim();
    const setup = guard.setupToken();
    // Only the one-time token is tried as such: a wrong try counts against the address, and other tokens are right.
    const held = setup !== null && equal(given, setup) ? guard.login(given, request.ip).token : given;
    const principal = guard.authenticate(held, request.ip);
    guard.decide(principal, 'status');
    reply.header('set-cookie', cookie(request, held, sessionSeconds));
    return session(principal, workspace.settings.timeZone);
  });

  app.delete(url, { config: { action: 'open' } }, async (request, reply) => {
    checkSameOrigin(request);
    reply.header('set-cookie', cookie(request, '', 0));
    return { signed_out: true };
  });
}

/** Takes the same time wherever they differ. */
function equal(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

function session({ name, role }: Principal, time_zone: string): SessionAnswer {
  return { name, role, time_zone };
}

function cookie(request: FastifyRequest, value: string, seconds: number): string {
  const secure = 'encrypted' in request.socket ? '; Secure' : '';
  return `${cookieName(request)}=${value}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${seconds}${secure}`;
}

/**
 * No script and no style but our own files. Style elements that the interface's libraries make at run time carry a nonce that is new each time;
 * img data: is for the pictures that a chart is exported to.
 */
export function sendPage(reply: FastifyReply): FastifyReply {
  const path = join(built, 'index.html');
  if (!existsSync(path)) fail('CONSOLE_UNBUILT');
  const nonce = randomBytes(16).toString('base64');
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    `style-src 'self' 'nonce-${nonce}'`,
    "img-src 'self' data: blob:",
    "font-src 'self'",
    "connect-src 'self'",
    "worker-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
  return hardened(reply)
    .header('content-security-policy', policy)
    .header('cache-control', 'no-cache')
    .type('text/html; charset=utf-8')
    .send(readFileSync(path, 'utf8').replace('{{nonce}}', nonce));
}

/** Only names that the folder lists, so that no path can lead out of it. Vite puts a hash of the content into each name. */
function sendAsset(name: string, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const folder = join(built, 'assets');
  const type = contentTypes[extname(name)];
  if (type === undefined || !existsSync(folder) || !readdirSync(folder).includes(name))
    fail('ROUTE_UNKNOWN', { method: request.method, path: request.url.slice(0, 200) });
  const path = join(folder, name);
  const etag = `"${name}"`;
  hardened(reply).header('etag', etag).header('cache-control', 'public, max-age=31536000, immutable').header('vary', 'accept-encoding');
  if (request.headers['if-none-match'] === etag) return reply.code(304).send();
  const packed = `${path}.gz`;
  const gzip = existsSync(packed) && /\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''));
  if (gzip) reply.header('content-encoding', 'gzip');
  return reply.type(type).send(readFileSync(gzip ? packed : path));
}

function hardened(reply: FastifyReply): FastifyReply {
  return reply
    .header('x-content-type-options', 'nosniff')
    .header('referrer-policy', 'no-referrer')
    .header('cross-origin-opener-policy', 'same-origin')
    .header('cross-origin-resource-policy', 'same-origin');
}
