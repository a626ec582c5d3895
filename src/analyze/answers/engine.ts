import { Readable } from 'node:stream';
import { json as readJson } from 'node:stream/consumers';
import { asMillraceError, type Entry, type ErrorBody, fail, MillraceError, type Principal, type Weekday } from '#core';
import { parseExperiment } from '#experiment';
import { tokens } from '#sql';
import type { Store } from '#store';
import { parseJourney } from '../metrics/journey.ts';
import { type Metric, parseMetric } from '../metrics/metric.ts';
import { parseSegment } from '../metrics/segment.ts';
import type { Analyst, Answer } from '../query.ts';
import { type Call, expandCalls } from './call.ts';
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

/** A statement with its calls of answers.NAME(…) replaced by their queries, and the calls in their order. */
export interface Expanded {
  readonly sql: string;
  readonly calls: readonly Called[];
}

export interface Called extends Call {
  readonly evidence: string;
}

/** What one call in a statement stands on. `error` says why that can't be told; then there are no facts. */
export interface StoodOn {
  readonly answer: string;
  /** As they are written in the call. */
  readonly options: Call['given'];
  readonly facts: readonly { readonly fact: string; readonly value: string }[];
  readonly line: string;
  readonly error?: ErrorBody;
}

export interface Answers {
  list(): readonly Entry[];
  /** The metrics whose files can be taken: whoever asks for another is told why. */
  metrics(): readonly Metric[];
  /** Errors: ANSWER_*, METRIC_*, JOURNEY_UNKNOWN, DEFINITION_*. */
  show(asked: Pick<Asked, 'who' | 'answer' | 'options'>): Promise<Shown>;
  /** JSON: the analyst's answer with `answer`, `sql`, `evidence` and `chart` before it. Errors: those of `show`, METRIC_JOIN, SQL_*, QUERY_*. */
  run(asked: Asked): Promise<Answer>;
  /** Guards run first. */
  expand(sql: string, who: Principal): Promise<Expanded>;
  /** What the calls stand on, one look for each, as whoever asks. What one can't tell is said in its place. */
  evidence(calls: readonly Called[], who: Principal, signal: AbortSignal): Promise<StoodOn[]>;
  /** JSON: what `ask` gives with `evidence` before it; without `ask` the evidence alone, beside no rows. Errors: those of `ask`. */
  withEvidence(of: Expanded, asked: Pick<Asked, 'who'> & { signal: AbortSignal; ask?: () => Promise<Answer> }): Promise<Answer>;
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
    const [tables, readable] = await Promise.all([store.tables(), analyst.readable(who)]);
    const names = new Set(readable);
    const setting: Setting = {
      // A table that is not the asker's is none to find: the evidence goes without it, as where there is none.
      tables: tables.filter(({ schema, name }) => names.has(`${schema}.${name}`.toLowerCase())),
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

  async function factsOf(evidence: string, who: Principal, signal?: AbortSignal): Promise<Fact[]> {
    return (await rows(evidence, who, signal === undefined ? {} : { signal })) as unknown as Fact[];
  }

  /** What was committed between evidence and rows, which are two looks at the warehouse. */
  const meanwhile = (before: number): Fact[] =>
    store.batch() === before ? [] : [{ fact: 'caveat: records arrived meanwhile (batch)', value: String(store.batch()) }];

  async function evidence(calls: readonly Called[], who: Principal, signal: AbortSignal): Promise<StoodOn[]> {
    const told: StoodOn[] = [];
    for (const { answer, given, evidence: sql } of calls) {
      const call = { answer, options: given };
      try {
        told.push({ ...call, ...inOne(await factsOf(sql, who, signal)) });
      } catch (thrown) {
        // Whoever went away hears nothing any more.
        if (signal.aborted) throw thrown;
        told.push({ ...call, ...inOne([]), error: asMillraceError(thrown).body });
      }
    }
    return told;
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
      const facts = await factsOf(kind.evidence(given, setting), who, limits.signal);
      const result = await analyst.ask({ ...limits, who, sql, format: 'json' });
      const evidence = inOne([...facts, ...meanwhile(before)]);
      return headed({ answer: kind.name, sql, evidence, chart: kind.chart?.(given) ?? null }, result);
    },
    async expand(sql, who) {
      const calls: Called[] = [];
      const whole = await expandCalls(sql, async (call) => {
        const planned = await plan({ who, answer: call.answer, options: call.given });
        await guard(planned, who);
        const { kind, given, setting } = planned;
        calls.push({ ...call, evidence: kind.evidence(given, setting) });
        return kind.sql(given, setting);
      });
      return { sql: whole, calls };
    },
    evidence,
    async withEvidence({ sql, calls }, { who, signal, ask }) {
      const before = store.batch();
      const told = await evidence(calls, who, signal);
      const result = await (ask ?? nothing)();
      // A statement that writes makes a batch itself.
      const news = ask === undefined || !isQuestion(sql) ? [] : meanwhile(before);
      const whole = told.map((each) => (each.error === undefined ? { ...each, ...inOne([...each.facts, ...news]) } : each));
      return headed({ evidence: whole }, result);
    },
  };
}

type Fact = StoodOn['facts'][number];

const inOne = (facts: readonly Fact[]) => ({ facts, line: facts.map(({ fact, value }) => `${fact}: ${value}`).join('; ') });

const isQuestion = (sql: string): boolean =>
  !/^(create|insert|update|delete|merge)$/i.test(tokens(sql).find(({ kind }) => kind !== 'space' && kind !== 'comment')?.text ?? '');

async function nothing(): Promise<Answer> {
  const body = Buffer.from('{"columns":[],"rows":[],"row_count":0,"truncated":false,"elapsed_ms":0}\n');
  return { job: '', contentType: 'application/json', bytes: body.length, rows: 0, truncated: false, body: Readable.from([body]) };
}

/** More entries before those of an answer's object. */
function headed(entries: Readonly<Record<string, unknown>>, result: Answer): Answer {
  const head = Buffer.from(`${JSON.stringify(entries).slice(0, -1)},`);
  return { ...result, bytes: result.bytes - 1 + head.length, body: Readable.from(spliced(head, result.body)) };
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
