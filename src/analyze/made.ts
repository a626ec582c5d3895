/** What each column of a statement is made of, its calls of models included: what a model says is of the model. */
import type { Bytes } from '#core';
import { type Made, type Node, queryOf, type Shape, shapeOf } from '#sql';
import type { Reader } from '#store';
import { planCalls } from './models/answer.ts';
import { ctesBefore } from './models/calls.ts';
import { spellFeatures } from './models/feature-sql.ts';
import { aggregateNames, expressionIn, printed } from './reading.ts';

export type Look = (schema: string | null, name: string) => Shape | null;

/** How the sources of `shapeOfText` name a model: these letters, then schema.name. */
export const MODEL = 'model ';

/** Only reads the text: nothing is run. Null for one that the engine can't parse as a query. Errors: MODEL_CALL. */
export async function shapeOfText(sql: string, reader: Reader, look: Look): Promise<Shape | null> {
  const planned = planCalls(spellFeatures(sql.trim().replace(/;\s*$/, '')).text);
  const answers = new Map<string, Shape>();
  const tables: Look = (schema, name) => (schema === null ? answers.get(name.toLowerCase()) : undefined) ?? look(schema, name);
  for (const { call, entry, as } of planned.steps) {
    const { input, model } = call;
    const [name] = (model.includes('.') ? model : `main.${model}`).split('@');
    // What tells of the model as a whole gives no row of its input.
    const passed =
      input === null || entry.outOfViews !== undefined ? null : await passedOn(planned, { start: call.start, input }, reader, tables);
    answers.set(as, answerOf(`${MODEL}${name}`, passed));
  }
  const tree = await reader.serialize(planned.text);
  if ((JSON.parse(tree) as { error: boolean }).error) return null;
  return shapeOf(queryOf(tree), { tables, aggregates: await aggregateNames(reader) });
}

/** The call's own query, which sees the WITH before it; calls in that stand under their names already. */
function passedOn(
  { text, given }: ReturnType<typeof planCalls>,
  { start, input }: { start: number; input: { kind: 'table' | 'query'; start: number; end: number } },
  reader: Reader,
  tables: Look,
): Promise<Shape | null> {
  const ctes = ctesBefore(text, start);
  const lead = ctes === null ? '' : `${text.slice(ctes.start, ctes.end)} `;
  const query = given.slice(input.start, input.end);
  return shapeOfText(input.kind === 'table' ? `${lead}FROM ${query}` : `${lead}SELECT * FROM (${query}\n)`, reader, tables);
}

/** Its rows are those of its input with more columns. */
function answerOf(model: string, input: Shape | null): Shape {
  const source = { of: model, column: null };
  return {
    columns: null,
    of: (name) => input?.of(name) ?? { name, expressions: [], from: [source], partly: false },
    rows: input?.rows ?? [source],
  };
}

/** All trees together: the engine's text of one takes a hundredth. */
const MOST_TREES: Bytes = 8_000_000;

/** The expression of each as SQL, by the engine; null where there is none, and for the last ones of very many. */
export async function expressionsOf(columns: readonly Made[], reader: Reader): Promise<(string | null)[]> {
  const empty = queryOf(await reader.serialize('SELECT 1'));
  let left = MOST_TREES;
  const trees = columns.map(({ expressions }) =>
    expressions.flatMap((each): Node[] => {
      left -= left < 0 ? 0 : JSON.stringify(each).length;
      return left < 0 ? [] : [{ ...empty, select_list: [each] }];
    }),
  );
  const texts = (await printed(reader, trees.flat())).map(expressionIn);
  return trees.map(({ length }) => (length === 0 ? null : [...new Set(texts.splice(0, length))].join(' UNION ')));
}
