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
import { checkStatement, readStatement, type Statement, tokens, type Who } from '#sql';
import { name, type Reader, text, type Transaction, type Values } from '#store';
import { blank, type Call, ctesBefore, findCalls, placeOf } from './calls.ts';
import { type ModelFunction, modelFunctions } from './functions.ts';
import type { ModelFile } from './model.ts';
import { sourceOf } from './score.ts';

export interface Answering {
  readonly reader: Reader;
  readonly who: Who;
  readonly values: Values | undefined;
  /** The file of `name`, `name@version` or `name@alias`. MODEL_UNKNOWN, MODEL_FILE. */
  readonly open: (model: string) => ModelFile;
  readonly pause: () => Promise<void>;
}

/** A text whose calls are replaced by names of answers that are not there yet, so that it can be read and checked before they are. */
export interface Planned {
  /** As long as the text that was given, so that places in it stay true. */
  readonly text: string;
  readonly given: string;
  readonly steps: readonly { readonly call: Call; readonly entry: ModelFunction; readonly as: string }[];
  readonly names: ReadonlySet<string>;
  /** The asker, who may also read the answers. */
  who(asker: Who): Who;
  /** The answers for a statement that writes, whose transaction has a connection of its own. MODEL_CALL where it would outlive them. */
  forWriting(statement: Statement, reader: Reader, folder: string): Promise<WritingAnswers>;
}

export interface WritingAnswers {
  /** Within the transaction, before and after the statement. */
  open(tx: Transaction): Promise<void>;
  close(tx: Transaction): Promise<void>;
  drop(): void;
}

/** Costs one look at the text where it has no calls. MODEL_CALL for one that is not written as it must be. */
export function planCalls(given: string): Planned {
  const calls = findCalls(given);
  if (calls.length > 0) refuseUnnumbered(given);
  let text = given;
  const steps = calls.map((call) => {
    const refuse = (problem: string): never => fail('MODEL_CALL', { call: `ML.${call.name}`, problem, ...placeOf(given, call.start) });
    const entry = modelFunctions.find((each) => each.name === call.name) ?? refuse('is no function of models');
    if (entry.input === 'required' && call.input === null) refuse('needs a TABLE name or a query in parentheses');
    if (entry.input === 'none' && call.input !== null) refuse('takes only the model');
    const unknown = Object.keys(call.settings).find((setting) => !entry.settings.includes(setting));
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
    who: (asker) => ({ ...asker, mayRead: (schema, table) => (schema === null && names.has(table)) || asker.mayRead(schema, table) }),
    forWriting: (statement, reader, folder) => filesOf(names, statement, reader, folder),
  };
}

/** Fills the names of the plan. Errors: MODEL_UNKNOWN, MODEL_FILE, MODEL_FUNCTION, MODEL_INPUT, and those of the queries inside. */
export async function answerCalls(planned: Planned, answering: Answering): Promise<void> {
  for (const { call, entry, as } of planned.steps) {
    const file = answering.open(call.model);
    const input = call.input === null ? null : await keepInput(planned, call, answering);
    await entry.answer({ call, file, reader: answering.reader, input, as, pause: answering.pause });
  }
}

/** What may hold answers is a statement that is over when it is done; a view would name them for ever. */
const WRITING: readonly Statement['kind'][] = ['create_table_as', 'insert', 'update', 'delete'];

async function filesOf(names: ReadonlySet<string>, statement: Statement, reader: Reader, folder: string): Promise<WritingAnswers> {
  if (names.size > 0 && !WRITING.includes(statement.kind)) {
    fail('MODEL_CALL', { call: 'A function of models', problem: `can't stand in ${statement.kind.toUpperCase().replaceAll('_', ' ')}` });
  }
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

/** Numbers of ? are counted over the whole text; a part of it by itself would count anew. */
function refuseUnnumbered(text: string): void {
  const unnumbered = tokens(text).find((token) => token.kind === 'parameter' && token.text === '?');
  if (unnumbered) fail('MODEL_CALL', { call: 'A statement with ML functions', problem: 'takes parameters as $1 or $name, not as ?', ...placeOf(text, unnumbered.start) });
}

/** Runs the call's query, with the CTEs that stand before it, and keeps its rows. */
async function keepInput(planned: Planned, call: Call, answering: Answering): Promise<{ table: string; columns: readonly Column[] }> {
  const { reader, who } = answering;
  const { start, end, kind } = call.input!;
  const select = kind === 'table' ? 'SELECT * FROM ' : 'SELECT * FROM (';
  // What stands before a query, "ML.PREDICT(MODEL m, TABLE " or "ML.PREDICT(MODEL m, (", is longer than what is put there.
  const ctes = ctesBefore(planned.text, call.start);
  const before = ctes === null ? '' : blank(planned.text.slice(0, ctes.start)) + planned.text.slice(ctes.start, ctes.end);
  const lead = before + blank(planned.given.slice(before.length, start - select.length)) + select;
  const inner = planCalls(lead + planned.given.slice(start, end) + (kind === 'table' ? '' : '\n)'));
  const statement = await readStatement(inner.text, (sql) => reader.serialize(sql));
  if (statement.kind !== 'select') {
    return fail('MODEL_CALL', { call: `ML.${call.name}`, problem: 'takes a query that only reads', ...placeOf(planned.given, start) });
  }
  checkStatement(statement, inner.who(planned.who(who)));
  await answerCalls(inner, { ...answering, who: planned.who(who) });
  const table = newName();
  await reader.own(`CREATE TEMP TABLE ${name(table)} AS ${statement.sql}\n`, valuesOf(answering.values, statement.parameters));
  return { table, columns: (await sourceOf(reader, name(table))).columns };
}

/** The values of those parameters, by name: a part of a statement does not have them all. */
export function valuesOf(values: Values | undefined, parameters: readonly string[]): Record<string, unknown> | undefined {
  if (values === undefined) return undefined;
  const given = Array.isArray(values) ? Object.fromEntries(values.map((value, n) => [String(n + 1), value])) : (values as Record<string, unknown>);
  return Object.fromEntries(parameters.filter((parameter) => parameter in given).map((parameter) => [parameter, given[parameter]]));
}
