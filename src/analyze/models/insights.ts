/**
 * Contribution analysis as BigQuery has it: CREATE MODEL works the insights out, ML.GET_INSIGHTS reads them. Nothing is learned, so there
 * is no file, no version and nothing to serve: `millrace.insight` has a row for each, and its insights are a table of that schema.
 */
import { unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type Column, fail } from '#core';
import type { CreateModelStatement, OptionValue, Who } from '#sql';
import { name as quote, type Reader, type Store, type Transaction, text } from '#store';
import { combinations, contributionSql } from '../answers/contribution.ts';
import { valuesOf } from './answer.ts';
import type { Creating } from './models.ts';

const TABLE =
  'CREATE TABLE IF NOT EXISTS millrace.insight (model VARCHAR NOT NULL, created TIMESTAMPTZ NOT NULL, created_by VARCHAR NOT NULL, query VARCHAR NOT NULL, options VARCHAR NOT NULL, reads VARCHAR NOT NULL, data_batch BIGINT NOT NULL, insights BIGINT NOT NULL)';
const MOST_SEGMENTS = 1024;

export interface Insights {
  has(model: string): boolean;
  /** The rows that tell what was made; `settle` runs the write when its turn comes. Errors: MODEL_OPTION, MODEL_EMPTY, and those of the query and of `settle`. */
  create(
    statement: CreateModelStatement,
    creating: Creating,
    settle: (write: () => Promise<void>) => Promise<void>,
  ): Promise<{ columns: Column[]; rows: (string | number | null)[][] }>;
  /** Makes `as` a view of the insights for this reader. Whoever may not read what they were made of may not read them. Errors: MODEL_UNKNOWN, MODEL_FUNCTION. */
  show(model: string, as: string, asked: { readonly reader: Reader; readonly who: Who }): Promise<void>;
  drop(model: string): Promise<void>;
}

export const isContribution = ({ options }: CreateModelStatement): boolean =>
  String(options['model_type']).toUpperCase() === 'CONTRIBUTION_ANALYSIS';

interface Known {
  readonly reads: readonly { readonly schema: string | null; readonly name: string }[];
}

export async function openInsights(store: Store): Promise<Insights> {
  await store.write(async (tx) => {
    await tx.run(TABLE);
  });
  const known = new Map<string, Known>(
    (await store.rows('SELECT model, reads FROM millrace.insight')).map((row) => [
      String(row['model']),
      { reads: JSON.parse(String(row['reads'])) },
    ]),
  );
  const tableOf = (model: string) => `millrace.${quote(`insight ${model}`)}`;

  return {
    has: (model) => known.has(model),
    async create(statement, { reader, values, text: query, who, read }, settle) {
      const model = `${statement.target.schema}.${statement.target.name}`.toLowerCase();
      if (statement.transform !== null) refuseOption('TRANSFORM', 'is for models that are trained; write the expressions into the query');
      const from = `(${statement.body}\n)`;
      const given = valuesOf(values, statement.parameters);
      const described = await reader.stream(`SELECT * FROM ${from} LIMIT 0`, given);
      await described.next();
      const { sql, columns, dimensions } = analysisOf(statement.options, described.columns, from);
      const path = join(store.folders.slices, `insight-${process.hrtime.bigint()}.parquet`);
      const batch = store.batch();
      const insights = await reader.toParquet(sql, given, path);
      read();
      try {
        const [all] = await store.rows(
          `SELECT rows_test = 0 AS no_test, rows_control = 0 AS no_control, lowest < 0 AS below FROM read_parquet(${text(path)}) WHERE contributors = ['all']`,
        );
        if (all === undefined) fail('MODEL_EMPTY', { what: `the model "${model}"` });
        if (all['no_test'] === true || all['no_control'] === true)
          refuseOption('is_test_col', `is ${all['no_test'] === true ? 'true' : 'false'} in no row: there is nothing to compare`);
        if (all['below'] === true && statement.options['min_apriori_support'] !== 0)
          refuseOption('min_apriori_support', 'must be 0 where the metric has values below zero: shares of such a sum are none');
        const reads = statement.reads.tables.map(({ schema, name }) => ({ schema, name }));
        const write = async (tx: Transaction) => {
          await tx.run(
            `CREATE OR REPLACE TABLE ${tableOf(model)} AS SELECT ${columns.map(quote).join(', ')} FROM read_parquet(${text(path)})`,
          );
          await tx.run('DELETE FROM millrace.insight WHERE model = $1', [model]);
          await tx.run('INSERT INTO millrace.insight VALUES ($1, now(), $2, $3, $4, $5, $6::BIGINT, $7::BIGINT)', [
            ...[model, who, query, JSON.stringify(statement.options), JSON.stringify(reads), batch, insights],
          ]);
          tx.changed({ kind: 'statement', target: 'millrace.insight', rows: insights });
        };
        await settle(async () => {
          await store.write(write);
          known.set(model, { reads });
        });
      } finally {
        unlinkSync(path);
      }
      return {
        columns: [
          { name: 'model', type: 'VARCHAR' },
          { name: 'insights', type: 'BIGINT' },
          { name: 'dimensions', type: 'VARCHAR' },
        ],
        rows: [[model, insights, dimensions.join(', ')]],
      };
    },
    async show(model, as, { reader, who }) {
      const found = known.get(model) ?? fail('MODEL_UNKNOWN', { model });
      const hidden = found.reads.find(({ schema, name }) => !who.mayRead(schema, name));
      if (hidden !== undefined)
        fail('MODEL_FUNCTION', {
          call: 'ML.GET_INSIGHTS',
          model,
          problem: 'it was made of a table that does not exist any more, or is not yours to read',
        });
      await reader.own(
        `CREATE TEMP VIEW ${quote(as)} AS SELECT * FROM ${tableOf(model)} ORDER BY contribution DESC NULLS LAST, contributors`,
      );
    },
    async drop(model) {
      await store.write(async (tx) => {
        await tx.run(`DROP TABLE ${tableOf(model)}`);
        await tx.run('DELETE FROM millrace.insight WHERE model = $1', [model]);
        tx.changed({ kind: 'statement', target: 'millrace.insight', rows: 1 });
      });
      known.delete(model);
    },
  };
}

const refuseOption = (option: string, problem: string): never => fail('MODEL_OPTION', { option, problem });
const OPTIONS = [
  ...['model_type', 'contribution_metric', 'is_test_col', 'dimension_id_cols', 'min_apriori_support'],
  ...['top_k_insights_by_apriori_support', 'pruning_method'],
];
const COLUMN = '([\\p{L}\\p{N}_]+|"(?:[^"]|"")+"|`[^`]+`)';
const METRIC = new RegExp(
  `^\\s*sum\\s*\\(\\s*${COLUMN}\\s*\\)\\s*(?:/\\s*(?:sum\\s*\\(\\s*${COLUMN}|count\\s*\\(\\s*distinct\\s+${COLUMN})\\s*\\)\\s*)?$`,
  'iu',
);
const NUMBER = /^(DECIMAL\(|DOUBLE|FLOAT|REAL|U?(TINY|SMALL|BIG|HUGE)?INT|U?INTEGER)/;
const CATEGORY = /^(VARCHAR|BOOLEAN|DATE|TIME|U?(TINY|SMALL|BIG|HUGE)?INT|U?INTEGER)/;
const DIMENSION = /^(VARCHAR|BOOLEAN|DATE|U?(TINY|SMALL|BIG|HUGE)?INT|U?INTEGER)/;

/** The query of the insights, as BigQuery's options ask for it. `top_k…` counts what pruning has left, the row of all rows among it. */
function analysisOf(options: Readonly<Record<string, OptionValue>>, columns: readonly Column[], source: string) {
  for (const option of Object.keys(options))
    if (!OPTIONS.includes(option)) refuseOption(option, `is not for CONTRIBUTION_ANALYSIS; there are ${OPTIONS.join(', ')}`);
  const columnOf = (option: string, value: OptionValue | undefined, types: RegExp, needs: string): Column => {
    const found = columns.find((column) => typeof value === 'string' && column.name.toLowerCase() === value.toLowerCase());
    if (found === undefined) return refuseOption(option, `must name a column of the query; ${JSON.stringify(value ?? null)} is none`);
    return types.test(found.type) ? found : refuseOption(option, `"${found.name}" is ${found.type}; it must be ${needs}`);
  };
  const test = columnOf('is_test_col', options['is_test_col'], /^BOOLEAN$/, 'BOOLEAN');
  const [, of, over, distinct] = METRIC.exec(String(options['contribution_metric'] ?? '')) ?? [];
  if (of === undefined)
    refuseOption('contribution_metric', "is 'SUM(column)', 'SUM(column)/SUM(column)' or 'SUM(column)/COUNT(DISTINCT column)'");
  const metric = (spelled: string, types: RegExp, needs: string) =>
    columnOf(
      'contribution_metric',
      spelled.replace(/^(["`])(.*)\1$/s, (_, mark: string, inner: string) => inner.replaceAll(mark + mark, mark)),
      types,
      needs,
    );
  const summed = [of!, ...(over === undefined ? [] : [over])].map((spelled) => metric(spelled, NUMBER, 'a number'));
  const category = distinct === undefined ? null : metric(distinct, CATEGORY, 'a text, a whole number, a day, a time, true or false');
  const others = columns
    .filter((column) => column !== test && column !== category && !summed.includes(column))
    .map((column) => column.name);
  const asked = options['dimension_id_cols'] ?? others;
  if (!Array.isArray(asked) || asked.length === 0) return refuseOption('dimension_id_cols', "is a list of columns: ['country', 'product']");
  const dimensions = asked.map(
    (each) => columnOf('dimension_id_cols', each, DIMENSION, 'a text, a whole number, a day, true or false').name,
  );
  if (
    new Set(dimensions).size < dimensions.length ||
    dimensions.includes(test.name) ||
    summed.some(({ name }) => dimensions.includes(name))
  )
    refuseOption('dimension_id_cols', 'names each dimension once, and neither the metric nor is_test_col');
  if (combinations(dimensions, dimensions.length).length > MOST_SEGMENTS)
    refuseOption('dimension_id_cols', `names at most ${Math.log2(MOST_SEGMENTS)} dimensions`);
  const top = options['top_k_insights_by_apriori_support'];
  if (top !== undefined && options['min_apriori_support'] !== undefined)
    refuseOption('top_k_insights_by_apriori_support', 'can’t stand beside min_apriori_support');
  if (top !== undefined && !(Number.isInteger(top) && Number(top) >= 1 && Number(top) <= 1_000_000))
    refuseOption('top_k_insights_by_apriori_support', 'is a whole number from 1 to 1000000');
  const support = options['min_apriori_support'] ?? (top === undefined ? 0.1 : 0);
  if (typeof support !== 'number' || !(support >= 0 && support <= 1)) refuseOption('min_apriori_support', 'is a share from 0 to 1');
  const pruning = String(options['pruning_method'] ?? 'NO_PRUNING').toUpperCase();
  if (pruning !== 'NO_PRUNING' && pruning !== 'PRUNE_REDUNDANT_INSIGHTS')
    refuseOption('pruning_method', "is 'NO_PRUNING' or 'PRUNE_REDUNDANT_INSIGHTS'");
  const sums = summed.map(({ name }) => `sum(${quote(name)})`) as [string, string?];
  const insights = contributionSql({
    source: `(SELECT * FROM ${source} WHERE ${quote(test.name)} IS NOT NULL) AS own`,
    dimensions: dimensions.map((dimension) => ({ name: dimension, sql: quote(dimension) })),
    measure:
      category !== null
        ? { kind: 'by category', sum: sums[0], over: `count(DISTINCT ${quote(category.name)})` }
        : { kind: sums[1] === undefined ? 'sum' : 'ratio', sum: sums[0], over: sums[1] ?? null },
    lowest: `least(${summed.map(({ name }) => `min(${quote(name)})`).join(', ')})`,
    isTest: quote(test.name),
    order: dimensions.length,
    minSupport: Number(support),
    keep: pruning === 'PRUNE_REDUNDANT_INSIGHTS' ? 'longer' : 'all',
  });
  const kept =
    top === undefined
      ? ''
      : ` QUALIFY row_number() OVER (ORDER BY contributors = ['all'] DESC, apriori_support DESC, contribution DESC NULLS LAST, contributors) <= ${top}`;
  return { sql: `SELECT * FROM (${insights.sql})${kept}`, columns: insights.columns, dimensions };
}
