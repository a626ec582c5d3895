import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DuckDBInstance } from '@duckdb/node-api';
import { formatSql } from '../../web/ask/format.ts';
import { tpch } from '../sql/tpch.ts';

const others = [
  "select a.b, count(*) filter (where x > 1) as n from t a left join u using (id) where d between '2026-01-01' and '2026-02-01' and (a or b) group by all having count(*) > 2 order by 2 desc nulls last limit 10",
  'select \'from where\', "Group By" -- select\n, /* order by */ $day::date from main."select" where x in (select y from z where z.order = 3) union all select 1, 2, 3',
  'with a as (select 1 as n), b as (select n + -1 as m from a) select case when m = 0 then [1, 2][1] else {k: 3}.k end as v, m::decimal(9,2), -m from b',
  'select sum(x) over (partition by a order by b rows between unbounded preceding and current row) as s from t qualify s > 3',
  "select x -> 'a' ->> 'b', x::json, $$ a 'b' $$ as q from t where a is not distinct from b and not c",
  'select *, t.* exclude (a), cast(a as double) from t, u cross join lateral (select 1) v',
  'values (1, 2), (3, 4)',
  "select '한국어', 값 from 표 where 이름 like '%가%'",
];

/** DuckDB's own tree of a text, without places. */
async function trees(texts: readonly string[]): Promise<string[]> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  const connection = await instance.connect();
  const all: string[] = [];
  for (const text of texts) {
    const rows = (await connection.runAndReadAll(`SELECT json_serialize_sql('${text.replaceAll("'", "''")}')`)).getRows();
    all.push(String(rows[0]![0]).replace(/"query_location":\d+/g, ''));
  }
  connection.closeSync();
  instance.closeSync();
  return all;
}

test('a statement that was laid out anew is the same statement, and laying it out again changes nothing', async () => {
  const texts = [...others, ...tpch];
  const before = await trees(texts);
  const laid = texts.map(formatSql);
  const after = await trees(laid);
  for (const [at, text] of texts.entries()) {
    assert.match(before[at]!, /"error":false/, text);
    assert.equal(after[at], before[at], `${text}\n→\n${laid[at]}`);
    assert.equal(formatSql(laid[at]!), laid[at], text);
  }
});

test('each clause has its line, and words of SQL are capitals', () => {
  assert.equal(
    formatSql('select a, count(*) as n from t where a > 1 and b = 2 group by 1 order by n desc limit 5'),
    ['SELECT a, count(*) AS n', 'FROM t', 'WHERE a > 1', '  AND b = 2', 'GROUP BY 1', 'ORDER BY n DESC', 'LIMIT 5'].join('\n'),
  );
});
