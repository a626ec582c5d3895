/**
 * Answers the ML calls of a text before it is run. Each call is replaced, character for character, by a name; the text is checked
 * like any other, with those names as all that it may read beside its own. Then each call's query is checked by itself as the same
 * asker and its rows are kept in a table that only this question's connection sees; the name becomes a view there. Names are random
 * and made after the text was sent, so that no text can name one.
 */
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Column, fail } from '#core';
import { checkStatement, type Reads, readStatement, type SelectStatement, type Serialize, type Statement, tokens, type Who } from '#sql';
import { name, type Reader, type Transaction, text, type Values } from '#store';
import { blank, type Call, ctesBefore, findCalls, placeOf, writeInto } from './calls.ts';
import { type ModelFunction, modelFunctions } from './functions.ts';
import { definesLater, readable } from './inline.ts';
import type { Insights } from './insights.ts';
import type { ModelFile, Workshop } from './model.ts';
import { sourceOf } from './score.ts';

export interface Answering {
  readonly reader: Reader;
  readonly who: Who;
  readonly values: Values | undefined;
  /** The file of `name`, `name@version` or `name@alias`. MODEL_UNKNOWN, MODEL_FILE. */
  readonly open: (model: string) => ModelFile;
  readonly workshop: Pick<Workshop, 'answerer' | 'features'>;
  readonly insights: Insights;
  readonly pause: () => Promise<void>;
  /** Before rows are read: resolves when what was acknowledged before is where they are. */
  readonly upToDate: (reads: Reads) => Promise<void>;
}

/** A text whose calls are replaced by names of answers that are not there yet, so that it can be read and checked before they are. */
export interface Planned {
  /** As long as the text that was given, so that places in it stay true. */
  readonly text: string;
  /** What was sent, its parameters named. */
  readonly given: string;
  readonly steps: readonly { readonly call: Call; readonly entry: ModelFunction; readonly as: string }[];
  readonly names: ReadonlySet<string>;
  /** `checkStatement` for an asker who may also read the answers. MODEL_CALL for a statement that would outlive them. */
  check(statement: Statement, asker: Who): void;
  /** The answers for a statement that writes: its transaction has a connection of its own. */
  forWriting(reader: Reader, folder: string): Promise<WritingAnswers>;
}

export interface WritingAnswers {
  /** Within the transaction, before and after the statement. */
  open(tx: Transaction): Promise<void>;
  close(tx: Transaction): Promise<void>;
  drop(): void;
}

/** Costs one look at the text where it has no calls. MODEL_CALL for one that is not written as it must be. The calls of a view or a scheduled query are answered whenever it is refreshed or run: it is checked with their queries in their place. */
export function planCalls(sent: string): Planned {
  const calls = findCalls(sent);
  if (calls.length > 0 && definesLater(sent)) return { ...planCalls(''), given: sent, text: readable(sent) };
  const given = calls.length === 0 ? sent : withNamedParameters(sent);
  let text = given;
  const steps = calls.map((call) => {
    const refuse = (problem: string): never => fail('MODEL_CALL', { call: `ML.${call.name}`, problem, ...placeOf(given, call.start) });
    const entry = modelFunctions.find((each) => each.name === call.name) ?? refuse('is no function of models');
    if (entry.input === 'required' && call.input === null) refuse('needs a TABLE name or a query in parentheses');
    if (entry.input === 'none' && call.input !== null) refuse('takes only the model');
    const unknown = Object.keys(call.settings).find((setting) => !entry.settings.includes(setting));
    if (call.numbers !== null && entry.numbers === undefined) refuse('takes no array');
    if (unknown !== undefined) refuse(`has no setting "${unknown}"`);
    const as = newName();
    text = text.slice(0, call.start) + as + blank(given.slice(call.start + as.length, call.end)) + text.slice(call.end);
    return { call, entry, as };
  });
  const names: ReadonlySet<string> = new Set(steps.map(({ as }) => as));
  return {
    given,
    text,
    steps,
    names,
    check(statement, asker) {
      checkStatement(statement, withAnswers(asker, names));
      if (names.size === 0 || HOLDING.includes(statement.kind)) return;
      fail('MODEL_CALL', { call: 'A function of models', problem: `can't stand in ${statement.kind.toUpperCase().replaceAll('_', ' ')}` });
    },
    forWriting: (reader, folder) => filesOf(names, reader, folder),
  };
}

/** Fills the names of the plan. Errors: MODEL_UNKNOWN, MODEL_FILE, MODEL_FUNCTION, MODEL_INPUT, and those of the queries inside. */
export async function answerCalls(planned: Planned, answering: Answering): Promise<void> {
  for (const { call, entry, as } of planned.steps) {
    const model = call.model.includes('.') ? call.model : `main.${call.model}`;
    if (entry.answer === null) {
      await answering.insights.show(model, as, answering);
      continue;
    }
    if (answering.insights.has(model))
      fail('MODEL_FUNCTION', { call: `ML.${call.name}`, model, problem: 'a contribution analysis answers ML.GET_INSIGHTS alone' });
    const file = answering.open(call.model);
    const input = call.input === null ? null : await keepInput(planned, { ...call, input: call.input }, answering);
    const { reader, workshop, pause } = answering;
    const version = (spelled: string) => answering.open(`${call.model.split('@')[0]!}@${spelled.toLowerCase()}`);
    await entry.answer({ call, file, version, reader, input, as, workshop, pause });
  }
}

/** What may hold answers is over when it is done; a view would name them for ever. */
const HOLDING: readonly Statement['kind'][] = ['select', 'explain', 'create_table_as', 'insert', 'update', 'delete', 'create_model'];

function withAnswers(asker: Who, names: ReadonlySet<string>): Who {
  return { ...asker, mayRead: (schema, table) => (schema === null && names.has(table)) || asker.mayRead(schema, table) };
}

async function filesOf(names: ReadonlySet<string>, reader: Reader, folder: string): Promise<WritingAnswers> {
  const files = [...names].map((as) => ({ as, path: join(folder, `${as}.parquet`) }));
  for (const { as, path } of files) await reader.toParquet(`SELECT * FROM ${name(as)}`, undefined, path);
  return {
    async open(tx) {
      for (const { as, path } of files) await tx.run(`CREATE TEMP VIEW ${name(as)} AS SELECT * FROM read_parquet(${text(path)})`);
    },
    async close(tx) {
      for (const { as } of files) await tx.run(`DROP VIEW temp.${name(as)}`);
    },
    drop() {
      for (const { path } of files) rmSync(path, { force: true });
    },
  };
}

/** Shorter than the shortest call, ML.WEIGHTS(MODEL m). */
const newName = (): string => `ml_${randomBytes(6).toString('hex')}`;

/**
 * Parts of a statement have not all of its parameters, and DuckDB binds $2 only beside $1, so $1 becomes $b and so on, as long as before.
 * Numbers of ? are counted over the whole text, so a part can't have them.
 */
function withNamedParameters(given: string): string {
  const own = tokens(given);
  const parameters = own.filter(({ kind }) => kind === 'parameter');
  const refused =
    parameters.find(({ text: shown }) => shown.startsWith('?')) ??
    (parameters.some(isNumbered) ? parameters.find((each) => !isNumbered(each)) : undefined);
  if (refused) {
    const problem = 'takes parameters as $1 or as $name, not both and not as ?';
    fail('MODEL_CALL', { call: 'A statement with functions of models', problem, ...placeOf(given, refused.start) });
  }
  return own.map((token) => (token.kind === 'parameter' && isNumbered(token) ? `$${lettered(token.text.slice(1))}` : token.text)).join('');
}

const isNumbered = ({ text: shown }: { text: string }): boolean => /^\$\d/.test(shown);
const lettered = (digits: string): string => digits.replace(/\d/g, (digit) => 'abcdefghij'[Number(digit)]!);

/** The call's query, with the CTEs that stand before it, as the statement that is run for it: read and checked by itself, as the same asker. */
export async function inputOf(
  planned: Planned,
  call: Call & { readonly input: NonNullable<Call['input']> },
  { serialize, who }: { readonly serialize: Serialize; readonly who: Who },
): Promise<{ inner: Planned; statement: SelectStatement; asker: Who }> {
  const { start, end, kind } = call.input;
  const ctes = ctesBefore(planned.text, call.start);
  const before = ctes === null ? '' : blank(planned.text.slice(0, ctes.start)) + planned.text.slice(ctes.start, ctes.end);
  const between = blank(planned.given.slice(before.length, start));
  const lead = before + writeInto(between, ['SELECT', '*', 'FROM', ...(kind === 'table' ? [] : ['('])]);
  const inner = planCalls(lead + planned.given.slice(start, end) + (kind === 'table' ? '' : '\n)'));
  const statement = await readStatement(inner.text, serialize);
  if (statement.kind !== 'select') {
    return fail('MODEL_CALL', { call: `ML.${call.name}`, problem: 'takes a query that only reads', ...placeOf(planned.given, start) });
  }
  const asker = withAnswers(who, planned.names);
  inner.check(statement, asker);
  return { inner, statement, asker };
}

/** What the calls ask is checked as it will be when it is answered, and nothing is run. Errors: those of `check`, MODEL_CALL. */
export async function checkCalls(planned: Planned, as: { readonly serialize: Serialize; readonly who: Who }): Promise<void> {
  for (const { call } of planned.steps) {
    if (call.input === null) continue;
    const { inner, asker } = await inputOf(planned, { ...call, input: call.input }, as);
    await checkCalls(inner, { ...as, who: asker });
  }
}

/** Runs it and keeps its rows. */
async function keepInput(
  planned: Planned,
  call: Parameters<typeof inputOf>[1],
  answering: Answering,
): Promise<{ table: string; columns: readonly Column[] }> {
  const { reader, who } = answering;
  const { inner, statement, asker } = await inputOf(planned, call, { serialize: (sql) => reader.serialize(sql), who });
  await answering.upToDate(statement.reads);
  await answerCalls(inner, { ...answering, who: asker });
  const table = newName();
  await reader.own(`CREATE TEMP TABLE ${name(table)} AS ${statement.sql}\n`, valuesOf(answering.values, statement.parameters));
  return { table, columns: (await sourceOf(reader, name(table))).columns };
}

/** The values of those parameters, by name. */
export function valuesOf(values: Values | undefined, parameters: readonly string[]): Record<string, unknown> | undefined {
  if (values === undefined) return undefined;
  const given = Array.isArray(values)
    ? Object.fromEntries(values.flatMap((value, n) => [`${n + 1}`, lettered(`${n + 1}`)].map((each) => [each, value])))
    : (values as Record<string, unknown>);
  return Object.fromEntries(parameters.filter((parameter) => parameter in given).map((parameter) => [parameter, given[parameter]]));
}
