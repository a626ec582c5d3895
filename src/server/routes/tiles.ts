import type { FastifyInstance } from 'fastify';
import { fail } from '#core';
import type { Front } from '#platform';
import { asked, defaultLook, marksOf, parametersOf, parseDashboard, pick, valuesOf } from '#visualize';
import type { QueryAnswer } from '../api.ts';
import { pictureOf, whileFew } from '../picture.ts';
import { goneSignal, told } from './pipe.ts';
import { choiceOf } from './share.ts';

/** More rows than this are no picture that anyone can read, and take seconds to draw. */
const mostRows = 10_000;
const [narrowest, widest] = [100, 4000];
const own = ['theme', 'lang', 'width', 'height'];

let named = 0;

/** A tile as a picture, for a report, a chat or a wall: asked as whoever asks for it, drawn by the console's own code. */
export function tileRoutes(app: FastifyInstance, front: Front): void {
  app.get<{ Params: { name: string; tile: string }; Querystring: Record<string, unknown> }>(
    '/v1/dashboards/:name/tiles/:tile',
    { config: { action: 'query' } },
    async (request, reply) => {
      const { tile: place } = request.params;
      const files = front.dashboards;
      const name = files.checked(request.params.name);
      const dashboard = parseDashboard(files.read(name), files.file(name));
      const tile = /^\d{1,3}\.svg$/.test(place) ? dashboard.tiles[Number.parseInt(place, 10)] : undefined;
      if (tile === undefined || tile.sql === null) return fail('TILE_UNKNOWN', { name, tile: place.slice(0, 20) });
      const { sql } = tile;
      const look = lookOf(request.query, front.workspace.settings.timeZone);
      const { choice } = choiceOf(choiceIn(request.query, dashboard.range), dashboard);
      const today = new Intl.DateTimeFormat('sv-SE', { timeZone: front.workspace.settings.timeZone }).format(Date.now());
      const signal = goneSignal(reply);
      const ask = (text: string) => {
        const { sql: statement, params: values } = asked(text, valuesOf(choice, parametersOf(text), today));
        const body = { sql: statement, values, format: 'json', rows: mostRows, job: `tile_${Date.now().toString(36)}_${++named}` };
        return told<QueryAnswer>(front, { who: request.principal, path: '/query', body, signal });
      };
      const svg = await whileFew(async () => {
        const [data, happened] = await Promise.all([ask(sql), dashboard.annotations === null ? null : ask(dashboard.annotations)]);
        const spec = tile.chart ?? pick(data);
        const { columns, rows, truncated } = data;
        const marks = happened === null ? [] : marksOf(happened);
        const drawn = await pictureOf({ spec, data: { columns, rows, truncated }, marks, look });
        return drawn ?? fail('TILE_PICTURE', { tile: place, chart: spec.kind });
      });
      // A picture of somebody's rows is nobody else's, and runs nothing where it is opened by itself.
      reply.header('cache-control', 'no-store').header('content-security-policy', "default-src 'none'; style-src 'unsafe-inline'");
      return reply.type('image/svg+xml; charset=utf-8').send(svg);
    },
  );
}

/** As the dashboard's own address says it: range, from, to, f.NAME. */
function choiceIn(query: Readonly<Record<string, unknown>>, usual: string): object {
  const filters: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(query)) {
    if (key.startsWith('f.')) filters[key.slice(2)] = value;
    else if (!['range', 'from', 'to', ...own].includes(key)) fail('REQUEST_INVALID', { problem: `"${key.slice(0, 50)}" is unknown` });
  }
  const { range = usual, from, to } = query;
  return { range, filters, ...(from !== undefined && { from }), ...(to !== undefined && { to }) };
}

function lookOf(query: Readonly<Record<string, unknown>>, zone: string) {
  const { theme = 'light', lang = 'en', width = defaultLook.width, height = defaultLook.height } = query;
  const refuse = (problem: string): never => fail('REQUEST_INVALID', { problem });
  if (theme !== 'light' && theme !== 'dark') refuse('"theme" is light or dark');
  if (lang !== 'en' && lang !== 'ko') refuse('"lang" is en or ko');
  const px = (word: string, value: unknown) => {
    const size = Number(value);
    return Number.isInteger(size) && size >= narrowest && size <= widest
      ? size
      : refuse(`"${word}" is a whole number of px from ${narrowest} to ${widest}`);
  };
  return { ...defaultLook, dark: theme === 'dark', locale: lang as string, width: px('width', width), height: px('height', height), zone };
}
