/**
 * Calls of models in views. A question's calls are answered before it runs; a view is kept by the parts of its query, so there a call
 * becomes SQL: its own query, with a function of the warehouse over it that scores the rows as they pass.
 *
 *   ML.PREDICT(MODEL m, (query))  ──►  (SELECT … AS predicted_y, t.* FROM (SELECT t.*, ml_…(a, b) AS _scored FROM (query) AS t) AS t)
 */
import { createHash } from 'node:crypto';
import { type Column, fail, type ModelCalls, type UsedModel } from '#core';
import type { ColumnData } from '#learn';
import { tokens } from '#sql';
import { type ArrayColumn, name, type Store } from '#store';
import { beside, misfit } from './asked.ts';
import { blank, type Call, ctesBefore, findCalls, placeOf, writeInto } from './calls.ts';
import { clusterSql } from './clusters.ts';
import { dataOf, selectedInputs } from './columns.ts';
import { explanationIn } from './explained.ts';
import { spellFeatures } from './feature-sql.ts';
import { modelFunctions } from './functions.ts';
import type { ModelEntry, ModelFile, Version, Workshop } from './model.ts';
import { classCodes, predictionSql, thresholdOf } from './prediction.ts';

/** Defines what is computed later, again and again: CREATE MATERIALIZED VIEW, EXPLAIN of it, CREATE SCHEDULED QUERY. */
export function definesLater(text: string): boolean {
  const words = tokens(text).filter(({ kind }) => kind !== 'space' && kind !== 'comment');
  const first = words.slice(0, 6).map((token) => (token.kind === 'word' ? token.text.toUpperCase() : token.text));
  return /^(EXPLAIN )?CREATE (OR REPLACE )?(MATERIALIZED VIEW|SCHEDULED QUERY)\b/.test(first.join(' '));
}

type ViewCall = Call & { readonly input: NonNullable<Call['input']> };

export function readable(text: string): string {
  return viewCalls(text).reduceRight((whole, { start, end, input }) => {
    const inner = readable(text.slice(input.start, input.end));
    const [before, after] = input.kind === 'table' ? [[], [')']] : [['('], [')', ')']];
    const lead = writeInto(blank(text.slice(start, input.start)), ['(', 'SELECT', '*', 'FROM', ...before]);
    return whole.slice(0, start) + lead + inner + writeInto(blank(text.slice(input.end, end)), after) + whole.slice(end);
  }, text);
}

function viewCalls(text: string): ViewCall[] {
  return findCalls(text).map((call) => {
    const refuse = (problem: string): never => fail('MODEL_CALL', { call: `ML.${call.name}`, problem, ...placeOf(text, call.start) });
    const entry = modelFunctions.find((each) => each.name === call.name) ?? refuse('is no function of models');
    if (entry.outOfViews !== undefined) refuse(`can't stand in a view or a scheduled query: ${entry.outOfViews}`);
    if (call.numbers !== null) refuse('takes no array');
    const unknown = Object.keys(call.settings).find((setting) => !entry.settings.includes(setting));
    if (unknown !== undefined) refuse(`has no setting "${unknown}"`);
    return { ...call, input: call.input ?? refuse('needs a TABLE name or a query in parentheses') };
  });
}

interface Read extends UsedModel {
  readonly open: () => ModelFile;
  readonly file: ModelFile;
  readonly query: string;
  /** Of the call's query. */
  readonly columns: readonly Column[];
  /** What the model is given, and how the query names it where that is another name. */
  readonly seen: readonly Column[];
  readonly names: readonly string[];
}

/** Text of which each stretch was taken as it stood from that place on, or (null) was made here. */
interface Spelling {
  readonly text: string;
  readonly stretches: readonly Stretch[];
}

interface Stretch {
  readonly length: number;
  readonly at: number | null;
}

function originIn(stretches: readonly Stretch[], index: number): number | null {
  let end = 0;
  for (const { length, at } of stretches) {
    end += length;
    if (index < end) return at === null ? null : at + index - (end - length);
  }
  return null;
}

interface Answered {
  readonly width: number;
  /** How often it is called for a block of rows, so that others run in between. */
  readonly parts: number;
  /** [rows × width], of the model's answers to the columns. */
  readonly numbers: (opened: ModelFile, answers: Float64Array, columns: readonly ColumnData[], threshold: number) => Float64Array;
  readonly columns: (number: (k: number) => string) => { readonly name: string; readonly sql: string }[];
}

/** An item of a SELECT list without its name; null where the tokens don't tell what is its name. */
function expressionIn(item: string): string | null {
  const own = tokens(item).filter(({ kind }) => kind !== 'space' && kind !== 'comment');
  const as = own.at(-2);
  if (as?.kind === 'word' && as.text.toUpperCase() === 'AS') return item.slice(0, as.start);
  const isPath = own.every(({ kind, text }, at) => (at % 2 === 0 ? kind === 'word' || kind === 'quoted' : text === '.'));
  return isPath || own.at(-1)?.text === ')' ? item : null;
}

export function openModelCalls(input: {
  readonly store: Pick<Store, 'rows' | 'addFunction'>;
  readonly workshop: Pick<Workshop, 'open' | 'answerer' | 'features'>;
  /** MODEL_UNKNOWN. */
  readonly find: (spelled: string) => { entry: ModelEntry; version: Version };
}): ModelCalls {
  const { store, workshop, find } = input;

  /** `before` is what the text stands behind: it may name the CTEs in that. `from` is where the text stands in the whole. */
  async function spelledBehind(before: string, text: string, from: number, models: Map<string, UsedModel>): Promise<Spelling> {
    const stretches: Stretch[] = [];
    let done = before;
    let at = 0;
    for (const call of viewCalls(text)) {
      done += text.slice(at, call.start);
      stretches.push({ length: call.start - at, at: from + at });
      at = call.end;
      const ctes = ctesBefore(done, done.length);
      const lead = `${ctes === null ? '' : done.slice(ctes.start, ctes.end)} SELECT * FROM (`;
      const { kind, start, end } = call.input;
      const word = kind === 'table' ? 'FROM ' : '';
      const inner = await spelledBehind(lead, word + text.slice(start, end), from + start - word.length, models);
      const scored = scoredSql(call, await read(call, lead, inner.text, used(call.model, models)));
      const [first, last] = [scored.lastIndexOf(inner.text), scored.length - inner.text.length];
      stretches.push({ length: first, at: null }, ...inner.stretches, { length: last - first, at: null });
      done += scored;
    }
    stretches.push({ length: text.length - at, at: from + at });
    return { text: done.slice(before.length) + text.slice(at), stretches };
  }

  function used(written: string, models: Map<string, UsedModel>): UsedModel {
    const spelled = written.includes('.') ? written : `main.${written}`;
    const { entry, version } = find(spelled);
    const model = { model: entry.name, spelled, version: version.version, hash: version.hash };
    models.set(spelled, model);
    return model;
  }

  async function columnsOf(query: string): Promise<Column[]> {
    const described = await store.rows(`DESCRIBE ${query}`);
    return described.map((row) => ({ name: String(row['column_name']), type: String(row['column_type']) }));
  }

  /** What the model reads of the call's query: its columns, or what its TRANSFORM makes of them, as more columns beside. */
  async function read(call: ViewCall, lead: string, query: string, used: UsedModel): Promise<Read> {
    const open = () => workshop.open(used.model, used.version, used.hash);
    const file = open();
    const columns = await columnsOf(`${lead}${query}\n)`);
    const common = { ...used, open, file, columns };
    if (file.transform === null) return { ...common, query, seen: columns, names: [] };
    const expressions = file.transform.map(
      (item) => expressionIn(item) ?? misfit({ call, file }, 'its TRANSFORM has SQL without AS and a name'),
    );
    const seen = await columnsOf(`${lead}SELECT ${file.transform.join(', ')} FROM (${query}\n)\n)`);
    const names = expressions.map((_, k) => `_made${k}`);
    const made = expressions.map((expression, k) => `(${expression}) AS ${names[k]}`);
    return { ...common, query: `SELECT t.*, ${made.join(', ')} FROM (${query}\n) AS t`, seen, names };
  }

  function scoredSql(call: ViewCall, { model, hash, open, file, columns, query, seen, names }: Read): string {
    const threshold = thresholdOf({ call, file });
    const selected = selectedInputs(file.inputs, seen, names);
    const inputs = selected.map((each) => each.input);
    const kinds = selected.map(({ as }) => as);
    const named = (block: readonly ArrayColumn[]) => block.map((column, k) => ({ ...column, name: inputs[k]!.name }));
    const empty = dataOf({ columns: named(kinds.map((kind) => noRows[kind])) }, inputs);
    // A column that is absent is told here, not by the first row.
    workshop.answerer(file)(empty);
    const { width, parts, numbers, columns: made } = answeredBy(call, file, empty);
    const scores = `ml_${createHash('sha256')
      .update(JSON.stringify([call.name, model, hash, inputs, kinds]))
      .digest('hex')
      .slice(0, 20)}`;
    store.addFunction({
      name: scores,
      takes: ['number', ...kinds],
      width,
      answer([given, ...block]) {
        // Opened for each block, so that a model that nothing calls any more leaves memory like any other.
        const opened = open();
        const columns = dataOf({ columns: named(block) }, inputs);
        return numbers(opened, workshop.answerer(opened)(columns), columns, (given as ArrayColumn & { kind: 'number' }).values[0]!);
      },
    });
    const list = made((k) => `_scored[${k + 1}]`);
    const parameters = selected.map(({ sql, as }) => (as === 'text' ? sql : `coalesce(${sql}, 'NaN'::DOUBLE)`));
    const own = [...names, '_scored'];
    const besides = beside({ input: { columns: [...columns, ...own.map((each) => ({ name: each, type: '' }))] } }, [
      ...own,
      ...list.map((column) => column.name),
    ]);
    const scoring = inParts(`${scores}(${[`${threshold}::DOUBLE`, ...parameters].join(', ')})`, `hash(${parameters.join(', ')})`, parts);
    const shown = list.map((column) => `${column.sql} AS ${name(column.name)}`).join(', ');
    return `(SELECT ${shown}${besides} FROM (SELECT t.*, ${scoring} AS _scored FROM (${query}\n) AS t) AS t)`;
  }

  /** The numbers of a row, and the columns that are made of them. */
  function answeredBy(call: ViewCall, file: ModelFile, empty: readonly ColumnData[]): Answered {
    if (call.name === 'EXPLAIN_PREDICT') {
      const { numbers, ...explanation } = explanationIn({ call, file }, workshop.features(file, empty));
      return {
        ...explanation,
        numbers: (opened, answers, columns, threshold) => numbers(opened, answers, workshop.features(opened, columns), threshold),
      };
    }
    const classes = file.model.classes?.length ?? 1;
    if (file.model.format === 'clusters') {
      return { width: classes, parts: 1, numbers: (_, answers) => answers, columns: (number) => clusterSql(classes, number) };
    }
    const columns = (number: (k: number) => string) => predictionSql(file, number(0), (k) => number(k + 1));
    if (file.model.classes === null) return { width: 1, parts: 1, numbers: (_, answers) => answers, columns };
    return { width: classes + 1, parts: 1, numbers: (_, answers, _columns, threshold) => withCodes(answers, classes, threshold), columns };
  }

  return {
    plain: (text) => spellFeatures(text).text,
    readable,
    async spelled(query) {
      const models = new Map<string, UsedModel>();
      const { text, stretches } = await spelledBehind('', query, 0, models);
      return { query: text, models: [...models.values()], origin: (index) => originIn(stretches, index) };
    },
  };
}

/** Each branch of a CASE is called with the rows that reach it. A CASE has no arrays in DuckDB, but lists. */
function inParts(call: string, key: string, parts: number): string {
  if (parts === 1) return call;
  const branches = Array.from({ length: parts - 1 }, (_, part) => `WHEN ${part} THEN ${call}::DOUBLE[]`);
  return `CASE ${key} % ${parts} ${branches.join(' ')} ELSE ${call}::DOUBLE[] END`;
}

const noRows: Readonly<Record<ArrayColumn['kind'], ArrayColumn>> = {
  number: { name: '', kind: 'number', values: new Float64Array(0) },
  text: { name: '', kind: 'text', values: [] },
};

/** Before the probabilities of each row the number of its class. */
function withCodes(answers: Float64Array, classes: number, threshold: number): Float64Array {
  const codes = classCodes(answers, classes, threshold);
  const told = new Float64Array(codes.length * (classes + 1));
  for (let row = 0; row < codes.length; row++) {
    told[row * (classes + 1)] = codes[row]!;
    told.set(answers.subarray(row * classes, (row + 1) * classes), row * (classes + 1) + 1);
  }
  return told;
}
