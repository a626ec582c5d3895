import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { recogniseExport, shopDataset } from '#simulate';
import { checkStatement, readStatement } from '#sql';

let connection: DuckDBConnection;
before(async () => {
  connection = await (await DuckDBInstance.create(':memory:')).connect();
});
after(() => connection.closeSync());

const serialize = async (sql: string) =>
  String((await connection.runAndReadAll('SELECT json_serialize_sql($1::VARCHAR)', [sql])).getRows()[0]![0]);
const columns = (types: Record<string, string>) => Object.entries(types).map(([name, type]) => ({ name, type }));

test('every statement of the main job is one that an editor may send, on tables outside Millrace’s own schemas', async () => {
  const shop = shopDataset('Asia/Seoul');
  const sessions = recogniseExport(
    'a',
    columns({ fullVisitorId: 'VARCHAR', visitStartTime: 'BIGINT', hits: 'STRUCT(a INT)[]', totals: 'STRUCT(a INT)' }),
  );
  const events = recogniseExport(
    'b',
    columns({
      event_timestamp: 'BIGINT',
      event_name: 'VARCHAR',
      event_params: 'STRUCT(a INT)[]',
      user_pseudo_id: 'VARCHAR',
      ecommerce: 'STRUCT(a INT)',
    }),
  );
  const statements = [shop.ordersTable.sql, sessions.records, events.records, sessions.differences, events.differences];
  for (const { marts, questions } of [shop, sessions, events])
    statements.push(...marts.map(({ sql }) => sql), ...questions.map(({ sql }) => sql));
  for (const sql of statements) {
    const statement = await readStatement(sql, serialize);
    checkStatement(statement, {
      role: 'editor',
      mayRead: (schema) => schema !== null && ['raw', 'mart', 'shop', 'staging'].includes(schema),
      mayWrite: (schema) => schema !== null && ['mart', 'shop'].includes(schema),
    });
    assert.ok(['select', 'create_table_as'].includes(statement.kind), statement.kind);
  }
});
