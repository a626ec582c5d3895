import type { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { fail, isTableWord, type TransferMode } from '#core';
import type { Front, Upload } from '#platform';
import type { UploadAnswer, UploadLoad, UploadLook, UploadsAnswer } from '../api.ts';
import { cutBody, unpacking } from '../file-bodies.ts';
import { demand } from '../rights.ts';

const LARGEST = 2 ** 44;
const modes: Readonly<Record<UploadLoad['mode'], TransferMode>> = { replace: 'full', append: 'append', merge: 'merge' };
const NO_CHOICE: UploadLook = {};

export function uploadRoutes(app: FastifyInstance, front: Front): void {
  const { dropped, guard } = front;
  const answered = async (upload: Upload, choice: UploadLook): Promise<UploadAnswer> => {
    const { kind, options, tables, table, columns, rows, refused } = await dropped.look(upload.upload, choiceOf(choice));
    const shown = columns.map(({ name, type, note }) => ({ name, type, note }));
    return { ...upload, guess: { kind, options, tables, table, columns: shown }, rows, refused };
  };
  const find = (id: string) => dropped.list().find(({ upload }) => upload === id) ?? fail('UPLOAD_UNKNOWN', { upload: id.slice(0, 50) });

  app.register(async (scope) => {
    // The body is a file of any type: it goes to disk as it comes, and what it says of itself is not believed.
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
    scope.post<{ Querystring: { name?: string }; Body: Readable | null }>(
      '/v1/uploads',
      { config: { action: 'load', streams: true }, bodyLimit: LARGEST },
      async (request): Promise<UploadAnswer> => {
        const unpack = unpacking(request.headers);
        const upload = await dropped
          .take(request.body ?? request.raw, nameOf(request.query.name), unpack)
          .catch((cause: Error) => cutBody(front, cause));
        guard.audit({ who: request.principal.name, action: 'load', on: `upload ${upload.name}`, outcome: 'done', from: request.ip });
        try {
          return await answered(upload, NO_CHOICE);
        } catch (thrown) {
          // Nobody learns its id: it would only lie there.
          dropped.remove(upload.upload);
          throw thrown;
        }
      },
    );
  });

  app.get('/v1/uploads', { config: { action: 'load' } }, async (): Promise<UploadsAnswer> => ({ uploads: dropped.list() }));

  app.post<{ Params: { id: string }; Body: UploadLook | null }>(
    '/v1/uploads/:id/preview',
    { config: { action: 'load' } },
    async ({ params, body }) => answered(find(params.id), body ?? NO_CHOICE),
  );

  app.post<{ Params: { id: string }; Body: Partial<UploadLoad> | null }>(
    '/v1/uploads/:id/load',
    { config: { action: 'load' } },
    async (request) => {
      const { table, mode, key = [] } = request.body ?? {};
      if (typeof table !== 'string' || table.split('.').length > 2 || !table.split('.').every(isTableWord))
        return fail('TABLE_NAME', { table: String(table).slice(0, 130) });
      if (typeof mode !== 'string' || !Object.hasOwn(modes, mode)) return refuse(`mode is one of ${Object.keys(modes).join(', ')}`);
      if (!Array.isArray(key) || !key.every((name) => typeof name === 'string') || (mode === 'merge') !== key.length > 0)
        return refuse('mode merge, and only it, needs "key": a list of columns');
      const choice = choiceOf({ ...request.body, table: request.body?.source_table });
      const target = table.includes('.') ? table : `main.${table}`;
      const { upload, name } = find(request.params.id);
      await demand(front, request.principal, { write: [target] });
      const run = await dropped.load(upload, choice, { target, mode: modes[mode], key });
      guard.audit({ who: request.principal.name, action: 'load', on: `${target} from upload ${name}`, outcome: 'done', from: request.ip });
      return { run };
    },
  );

  app.delete<{ Params: { id: string } }>('/v1/uploads/:id', { config: { action: 'load' } }, async ({ params }) => {
    dropped.remove(params.id);
    return {};
  });
}

const refuse = (problem: string): never => fail('REQUEST_INVALID', { problem });

/** Only to be shown: nothing is opened by it. */
function nameOf(given: unknown): string {
  const name = typeof given === 'string' ? given.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ').slice(0, 200) : '';
  return name.isWellFormed() && name.trim() !== '' ? name : 'file';
}

/** A choice as a stranger sends it: an option is a plain value, never a reference to a secret or another path. */
function choiceOf({ kind, options = {}, table, types = {} }: UploadLook): Parameters<Front['dropped']['look']>[1] {
  if (typeof options !== 'object' || options === null || typeof types !== 'object' || types === null)
    return refuse('"options" and "types" are objects');
  if (kind !== undefined && !['csv', 'json', 'parquet', 'xlsx'].includes(kind)) return refuse('kind is one of csv, json, parquet, xlsx');
  if (table !== undefined && typeof table !== 'string') return refuse('the table is a text');
  for (const [name, value] of Object.entries(options))
    if (name === 'path' || !['string', 'number', 'boolean'].includes(typeof value))
      return refuse(`the option "${name.slice(0, 50)}" can't be taken`);
  return { kind: kind ?? null, options, table: table ?? null, types };
}
