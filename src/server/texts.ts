/** The routes that all folders of versioned texts have: one, its versions, saving, removing. */
import type { FastifyInstance } from 'fastify';
import type { Front, TextFolder } from '#platform';
import type { DashboardVersionsAnswer } from './api.ts';

type Body = Readonly<Record<string, unknown>>;

interface Named {
  Params: { name: string };
}

export function textRoutes<Answer extends { readonly version: string }>(
  app: FastifyInstance,
  { guard }: Front,
  of: {
    /** With :name. */
    readonly url: string;
    readonly files: TextFolder;
    readonly about: (name: string, text: string) => Answer;
    /** The next text from what was sent, over the present one. */
    readonly next: (name: string, body: Body, held: string | null) => string;
  },
): void {
  const { url, files, about } = of;
  const audit = (name: string, { principal, ip }: { principal: { name: string }; ip: string }) =>
    guard.audit({ who: principal.name, action: 'define', on: files.file(name), outcome: 'done', from: ip });

  app.get<Named>(url, { config: { action: 'catalog' } }, async (request, reply) => {
    const name = files.checked(request.params.name);
    const answer = about(name, files.read(name));
    reply.header('etag', `"${answer.version}"`);
    return answer;
  });

  app.get<Named>(
    `${url}/versions`,
    { config: { action: 'catalog' } },
    async (request): Promise<DashboardVersionsAnswer> => ({ versions: files.versions(files.checked(request.params.name)) }),
  );

  app.get<{ Params: { name: string; version: string } }>(`${url}/versions/:version`, { config: { action: 'catalog' } }, async (request) => {
    const name = files.checked(request.params.name);
    return about(name, files.version(name, request.params.version));
  });

  app.put<Named & { Body: Body | null }>(url, { config: { action: 'define' } }, async (request, reply) => {
    const name = files.checked(request.params.name);
    const body = request.body ?? {};
    const on = body['version'] ?? matched(request.headers['if-match']);
    const answer = about(name, files.save({ name, on, by: request.principal.name, next: (held) => of.next(name, body, held) }));
    audit(name, request);
    reply.header('etag', `"${answer.version}"`);
    return answer;
  });

  app.delete<Named>(url, { config: { action: 'define' } }, async (request) => {
    const name = files.checked(request.params.name);
    files.remove(name, request.principal.name);
    audit(name, request);
    return { name };
  });
}

/** The version in If-Match: "…"; null without one. */
function matched(header: string | undefined): string | null {
  return header === undefined ? null : header.trim().replace(/^(?:W\/)?"(.*)"$/, '$1');
}
