import { Readable } from 'node:stream';
import { json as readJson } from 'node:stream/consumers';
import { type Entry, fail, MillraceError, type Principal, type Weekday } from '#core';
import { parseExperiment } from '#experiment';
import type { Store } from '#store';
import { parseJourney } from '../metrics/journey.ts';
import { type Metric, parseMetric } from '../metrics/metric.ts';
import { parseSegment } from '../metrics/segment.ts';
import type { Analyst, Answer } from '../query.ts';
import { expandCalls } from './call.ts';
import type { AnswerKind, Given, NamedView, Setting } from './kind.ts';
import { checkOptions } from './options.ts';

/** Definition files of one kind as text. */
export interface Definitions {
  list(): readonly { readonly name: string; readonly file: string; readonly text: string }[];
}

/** Folders of the workspace whose files answers stand on. */
export const definitionKinds = ['metrics', 'journeys', 'experiments', 'segments'] as const;
export type DefinitionKind = (typeof definitionKinds)[number];

export interface Asked {
  readonly who: Principal;
  readonly answer: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly rows?: number;
  readonly seconds?: number;
  readonly job?: string;
  /** Aborted when nobody waits any more: ends the evidence's query too. */
  readonly signal?: AbortSignal;
}

/** What an answer is made of, without running it. */
export interface Shown {
  readonly answer: Entry;
  readonly sql: string;
  readonly evidence_sql: string;
  /** Statements that keep the answer as views, each after those that it reads. */
  readonly views: readonly string[];
}

export interface Answers {
  list(): readonly Entry[];
  /** The metrics whose files can be taken: whoever asks for another is told why. */
  metrics(): readonly Metric[];
  /** Errors: ANSWER_*, METRIC_*, JOURNEY_UNKNOWN, DEFINITION_*. */
  show(asked: Pick<Asked, 'who' | 'answer' | 'options'>): Promise<Shown>;
  /** JSON: the analyst's answer with `answer`, `sql`, `evidence` and `chart` before it. Errors: those of `show`, METRIC_JOIN, SQL_*, QUERY_*. */
  run(asked: Asked): Promise<Answer>;
  /** A statement with its calls of answers.NAME(…) replaced by their queries; guards run first. */
  expand(sql: string, who: Principal): Promise<string>;
}

interface Planned {
  readonly kind: AnswerKind;
  readonly given: Given;
  readonly setting: Setting;
}

/** Answers go through the analyst as whoever asks: the same allow-list, limits and jobs as any question. */
export function newAnswers(
  kinds: readonly AnswerKind[],
  input: {
    store: Store;
    analyst: Analyst;
    timeZone: string;
    weekStart: Weekday;
    definitions: Readonly<Record<DefinitionKind, Definitions>>;
  },
): Answers {
  const { store, analyst } = input;

  async function plan({ who, answer, options }: Pick<Asked, 'who' | 'answer' | 'options'>): Promise<Planned> {
    const kind = kinds.find((each) => each.name === answer);
    if (kind === undefined)
      return fail('ANSWER_UNKNOWN', { answer: answer.slice(0, 100), answers: kinds.map((each) => each.name).join(', ') });
    const setting: Setting = {
      tables: await store.tables(),
      timeZone: input.timeZone,
      weekStart: input.weekStart,
      metric: (name) => read('metrics', name, parseMetric, (metrics) => fail('METRIC_UNKNOWN', { metric: name.slice(0, 100), metrics })),
      journey: (name) =>
        read('journeys', name, parseJourney, (journeys) => fail('JOURNEY_UNKNOWN', { journey: name.slice(0, 100), journeys })),
      experiment: (name) =>
        read('experiments', name, parseExperiment, (experiments) =>
          fail('EXPERIMENT_UNKNOWN', { experiment: name.slice(0, 100), experiments }),
        ),
      segment: (name) =>
        read('segments', name, parseSegment, (segments) => fail('SEGMENT_UNKNOWN', { segment: name.slice(0, 100), segments })),
    };
    const given = checkOptions(kind, options);
    const fit = kind.fit?.(given, setting);
    return { kind, given: fit === undefined ? given : { ...given, ...fit.made(await rows(fit.sql, who, { rows: fit.rows })) }, setting };
  }

  function read<T>(
    kind: DefinitionKind,
    name: string,
    parse: (name: string, text: string, file: string) => T,
    missing: (names: string) => never,
  ): T {
    const all = input.definitions[kind].list();
    const found = all.find((each) => each.name === name);
    return found === undefined ? missing(all.map((each) => each.name).join(', ')) : parse(name, found.text, found.file);
  }

  async function guard({ kind, given, setting }: Planned, who: Principal): Promise<void> {
    for (const { sql, refuse } of kind.guards?.(given, setting) ?? []) {
      const [row] = await rows(sql, who);
      if (row !== undefined) refuse(row);
    }
  }

  async function rows(sql: string, who: Principal, limits: Pick<Asked, 'rows' | 'signal'> = {}): Promise<Record<string, unknown>[]> {
    const answer = await analyst.ask({ who, sql, format: 'json', ...limits });
    const { columns, rows } = (await readJson(answer.body)) as { columns: { name: string }[]; rows: unknown[][] };
    return rows.map((row) => Object.fromEntries(columns.map(({ name }, at) => [name, row[at]])));
  }

  return {
    list: () => kinds.map(entryOf),
    metrics: () =>
      input.definitions.metrics.list().flatMap(({ name, text, file }) => {
        try {
          return [parseMetric(name, text, file)];
        } catch (thrown) {
          if (!(thrown instanceof MillraceError)) throw thrown;
          return [];
        }
      }),
    async show(asked) {
      const { kind, given, setting } = await plan(asked);
      const views = (kind.views?.(given, setting) ?? []).map(viewStatement);
      return { answer: entryOf(kind), sql: kind.sql(given, setting), evidence_sql: kind.evidence(given, setting), views };
    },
    async run({ who, answer, options, ...limits }) {
      const planned = await plan({ who, answer, options });
      const { kind, given, setting } = planned;
      const sql = kind.sql(given, setting);
      await guard(planned, who);
      const before = store.batch();
      const facts = await rows(kind.evidence(given, setting), who, limits.signal === undefined ? {} : { signal: limits.signal });
      const result = await analyst.ask({ ...limits, who, sql, format: 'json' });
      // The two queries are two looks: what was committed between them is said.
      if (store.batch() !== before) facts.push({ fact: 'caveat: records arrived meanwhile (batch)', value: String(store.batch()) });
      const line = facts.map(({ fact, value }) => `${fact}: ${value}`).join('; ');
      const head = Buffer.from(
        `{"answer":${JSON.stringify(kind.name)},"sql":${JSON.stringify(sql)},"evidence":${JSON.stringify({ facts, line })},"chart":${JSON.stringify(kind.chart?.(given) ?? null)},`,
      );
      return { ...result, bytes: result.bytes - 1 + head.length, body: Readable.from(spliced(head, result.body)) };
    },
    expand: (sql, who) =>
      expandCalls(sql, async (call) => {
        const planned = await plan({ who, answer: call.answer, options: call.given });
        await guard(planned, who);
        return planned.kind.sql(planned.given, planned.setting);
      }),
  };
}

const viewStatement = ({ name, partition, sql }: NamedView) =>
  `CREATE OR REPLACE MATERIALIZED VIEW ${name}${partition === null ? '' : ` PARTITION BY ${partition}`} AS\n${sql}`;

const entryOf = ({ name, title, summary, options }: AnswerKind): Entry => ({ name, title, summary, options });

/** The head in place of the object's opening brace. */
async function* spliced(head: Buffer, body: Readable): AsyncGenerator<Buffer> {
  yield head;
  let first = true;
  for await (const chunk of body) {
    const bytes = Buffer.from(chunk);
    yield first ? bytes.subarray(1) : bytes;
    first = false;
  }
}
