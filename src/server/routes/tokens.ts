import type { FastifyInstance } from 'fastify';
import { fail, type Role } from '#core';
import type { Front } from '#platform';
import type { LoginAnswer, TokenInfo } from '../api.ts';

export function tokenRoutes(app: FastifyInstance, front: Front): void {
  const { guard } = front;
  app.post<{ Body: { token?: unknown } | null }>('/v1/login', { config: { action: 'open' } }, async (request): Promise<LoginAnswer> => {
    const token = request.body?.token;
    if (typeof token !== 'string') return fail('REQUEST_INVALID', { problem: '"token" is not text' });
    return guard.login(token, request.ip);
  });

  app.get(
    '/v1/tokens',
    { config: { action: 'tokens' } },
    async (): Promise<TokenInfo[]> =>
      guard.listTokens().map((token) => ({ ...token, topics: token.topics === null ? null : [...token.topics] })),
  );

  app.post<{ Body: Record<string, unknown> | null }>('/v1/tokens', { config: { action: 'tokens' } }, async (request) => {
    const { name, role, topics, expires } = request.body ?? {};
    if (typeof name !== 'string' || typeof role !== 'string') return fail('TOKEN_NAME', { problem: 'name and role are needed' });
    const token = guard.createToken({
      name,
      role: role as Role,
      topics: (topics ?? null) as string[] | null,
      expires: (expires ?? null) as string | null,
    });
    guard.audit({ who: request.principal.name, action: 'tokens', on: name, outcome: 'done', from: request.ip });
    return { name, role, token };
  });

  app.delete<{ Params: { name: string } }>('/v1/tokens/:name', { config: { action: 'tokens' } }, async (request) => {
    guard.revokeToken(request.params.name);
    guard.audit({ who: request.principal.name, action: 'tokens', on: request.params.name, outcome: 'done', from: request.ip });
    return { name: request.params.name };
  });
}
