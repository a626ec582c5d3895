import { fail } from '#core';
import type { BlastAnswer, QueryAnswer, SessionViewsAnswer, SessionViewsRequest, ViewAuditAnswer, ViewsAnswer } from '#server';
import { connect, workspaceOption } from '../client.ts';
import type { Command, Input, Io } from '../command.ts';
import { aspects, table, text } from '../print/table.ts';

const ACTIONS = ['list', 'show', 'explain', 'refresh', 'pause', 'resume', 'cancel', 'audit', 'drop', 'blast', 'sessions'];

/** The definitions are the files views/SCHEMA.VIEW.sql of the workspace; this shows how they are kept, and acts on them. */
export const view: Command = {
  name: 'view',
  summary:
    'Lists, explains, refreshes, pauses, resumes, audits or drops materialized views; says what reads a table; writes the views of sessions.',
  positionals: [
    { name: 'ACTION', summary: 'What to do.', required: true, choices: ACTIONS },
    { name: 'VIEW', summary: 'schema.view (all but list and sessions); blast takes any table or model.' },
  ],
  options: [
    workspaceOption,
    { name: 'cascade', type: 'boolean', summary: 'drop: the views that read it go too.', default: false },
    { name: 'columns', type: 'text', summary: 'blast: only what names one of these columns, as in amount,price.' },
    { name: 'topic', type: 'text', summary: 'sessions: the topic whose records are grouped.' },
    { name: 'rule', type: 'choice', choices: ['ga4', 'posthog', 'ua'], summary: 'sessions: when a session ends.', default: 'ga4' },
    { name: 'fields', type: 'text', summary: 'sessions: columns that have unusual names, as in user=member,page=none.' },
    { name: 'page-views', type: 'text', summary: 'sessions: values of the event field that are a page view (page_view).' },
    { name: 'key-events', type: 'text', summary: 'sessions: values that make a session engaged (purchase).' },
    { name: 'time-zone', type: 'text', summary: 'sessions: where midnight is, an IANA name (the workspace’s).' },
    { name: 'schema', type: 'text', summary: 'sessions: where the views stand (mart).' },
    { name: 'lateness', type: 'text', summary: 'sessions: how late an event may come and still count, as in "2 hours" (however late).' },
    { name: 'write', type: 'boolean', summary: 'sessions: writes the definitions into views/ instead of printing them.', default: false },
  ],
  usage: [
    '  A definition is the file views/SCHEMA.VIEW.sql of the workspace; docs/views.md says what it can say.',
    '  millrace view explain mart.sessions                     what a refresh would do now, and why',
    '  millrace view blast raw.orders --columns amount         what reads it, before it is dropped or changed',
    '  millrace view sessions --topic events --rule ga4        prints the views of sessions; --write keeps them',
  ].join('\n'),
  async run(input, io) {
    const [action, name] = input.positionals;
    if (action === 'list') return list(input, io);
    if (action === 'sessions') return sessions(input, io);
    if (name === undefined || !/^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$/.test(name))
      fail('OPTION_VALUE', { option: 'VIEW', value: name ?? 'absent', problem: `"view ${action}" needs a name such as mart.sessions` });
    if (action === 'show') return show(input, io, name);
    if (action === 'explain') return explain(input, io, name);
    if (action === 'blast') return blast(input, io, name);
    if (action === 'audit') return audit(input, io, name);
    if (action === 'cancel') await connect(input, io).json('POST', `/v1/views/${name}/cancel`);
    else {
      const cascade = action === 'drop' && input.options['cascade'] === true ? ' CASCADE' : '';
      await connect(input, io).json<QueryAnswer>('POST', '/v1/query', {
        sql: `${action!.toUpperCase()} MATERIALIZED VIEW ${name}${cascade}`,
      });
    }
    io.stdout.write(`${name}: ${action} is done\n`);
    return 0;
  },
};

type View = ViewsAnswer['views'][number];

const wide = (io: Io) => (io.stdout.columns === undefined ? {} : { width: io.stdout.columns });

async function list(input: Input, io: Io): Promise<number> {
  const { views, problems } = await connect(input, io).json<ViewsAnswer>('GET', '/v1/views');
  const columns = ['view', 'reads', 'kept', 'state', 'why'].map(text);
  const rows = views.map((one) => [one.name, one.source, one.mode, stateText(one), whyText(one)]);
  io.stdout.write(`${table(columns, rows, wide(io))}\n`);
  for (const { code, message } of problems) io.stderr.write(`${code}  ${message}\n`);
  return problems.length === 0 ? 0 : 1;
}

function stateText({ state, building }: View): string {
  return building === null ? state : `${state}, building ${building.done} of ${building.of}`;
}

function whyText(one: View): string {
  return [
    ...(one.error === null ? one.reasons : [one.error.message]),
    ...(one.audit !== null && one.audit.found > 0 ? [`the auditor found ${one.audit.found} differing rows (millrace.audit)`] : []),
    ...(one.late !== null && one.late.rows > 0 ? [`${one.late.rows} rows came late (millrace.late)`] : []),
  ].join('; ');
}

async function show(input: Input, io: Io, name: string): Promise<number> {
  const { views } = await connect(input, io).json<ViewsAnswer>('GET', '/v1/views');
  const found = views.find((one) => one.name === name) ?? fail('VIEW_UNKNOWN', { view: name });
  const { late, audit: audited } = found;
  const lines = [
    `${name} is ${stateText(found)}, kept ${found.mode === 'whole' ? 'as a whole' : `by partition ${found.partition}`}`,
    ...found.reasons.map((reason) => `  because ${reason}`),
    ...found.plan.map((line) => `  ${line}`),
    ...found.models.map(({ spelled, version }) => `  scored by version ${version} of ${spelled}`),
    found.refreshed === null ? 'never built' : `right up to batch ${found.batch}, refreshed ${found.refreshed}`,
    `${found.refreshes} refreshes since the start${found.last_ms === null ? '' : `, the last one took ${found.last_ms} ms`}`,
    ...(late === null ? [] : [`frozen after ${late.after_ms} ms; watermark ${late.watermark ?? 'none'}; ${late.rows} rows came late`]),
    ...(audited === null ? [] : [`audited ${audited.at || 'before the start'}: ${audited.found} differing rows were found`]),
    ...(found.error === null ? [] : [`paused: ${found.error.message}`]),
  ];
  io.stdout.write(`${lines.join('\n')}\n`);
  return 0;
}

async function explain(input: Input, io: Io, name: string): Promise<number> {
  const answer = await connect(input, io).json<QueryAnswer>('POST', '/v1/query', { sql: `EXPLAIN MATERIALIZED VIEW ${name}` });
  io.stdout.write(`${aspects(answer.rows)}\n`);
  return 0;
}

async function blast(input: Input, io: Io, name: string): Promise<number> {
  const columns = input.options['columns'];
  const asked = columns === undefined ? '' : `&columns=${encodeURIComponent(String(columns))}`;
  const { affected } = await connect(input, io).json<BlastAnswer>('GET', `/v1/views/blast?table=${name}${asked}`);
  const rows = affected.map((each) => [each.kind, each.name, each.goes ? 'dropped by CASCADE' : 'stays, and says what it misses']);
  io.stdout.write(rows.length === 0 ? `nothing reads ${name}\n` : `${table(['what', 'name', 'if it goes'].map(text), rows, wide(io))}\n`);
  return 0;
}

async function audit(input: Input, io: Io, name: string): Promise<number> {
  const { audited } = await connect(input, io).json<ViewAuditAnswer>('POST', `/v1/views/${name}/audit`);
  const over = audited?.partitions === null ? 'the whole view' : `${audited?.partitions} partitions`;
  io.stdout.write(
    audited === null
      ? `${name} is not right up to now (behind, paused or empty): nothing was compared\n`
      : `${name}: ${over} compared, ${audited.differences} differing rows\n`,
  );
  return audited !== null && audited.differences > 0 ? 1 : 0;
}

async function sessions(input: Input, io: Io): Promise<number> {
  const { options } = input;
  const topic = options['topic'] as string | undefined;
  if (topic === undefined) fail('OPTION_VALUE', { option: '--topic', value: 'absent', problem: '"view sessions" needs it' });
  const words = (option: string) => (options[option] as string | undefined)?.split(',').map((word) => word.trim());
  const [pageViews, keyEvents] = [words('page-views'), words('key-events')];
  const request: SessionViewsRequest = {
    topic,
    rule: options['rule'] as 'ga4',
    fields: fieldsOf(words('fields') ?? []),
    write: options['write'] === true,
    ...(options['time-zone'] !== undefined && { time_zone: String(options['time-zone']) }),
    ...(options['schema'] !== undefined && { schema: String(options['schema']) }),
    ...(options['lateness'] !== undefined && { lateness: String(options['lateness']) }),
    ...(pageViews !== undefined && { page_views: pageViews }),
    ...(keyEvents !== undefined && { key_events: keyEvents }),
  };
  const answer = await connect(input, io).json<SessionViewsAnswer>('POST', '/v1/views/sessions', request);
  const fields = Object.entries(answer.fields).map(([field, column]) => `${field}=${column}`);
  io.stderr.write(`fields: ${fields.join(', ')}\n`);
  if (answer.written) for (const { name } of answer.views) io.stdout.write(`views/${name}.sql\n`);
  else io.stdout.write(answer.views.map(({ name, sql }) => `-- views/${name}.sql\n${sql}`).join('\n'));
  return 0;
}

function fieldsOf(words: readonly string[]): Record<string, string | null> {
  const pairs = words.map((word) => {
    const [field, column, ...rest] = word.split('=');
    if (!field || !column || rest.length > 0)
      return fail('OPTION_VALUE', { option: '--fields', value: word, problem: 'write FIELD=COLUMN' });
    return [field, column === 'none' ? null : column] as const;
  });
  return Object.fromEntries(pairs);
}
