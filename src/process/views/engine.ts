/** What views need of the warehouse to read SQL, and how they write it. */
import type { ModelCalls } from '#core';
import { type Node, type Serialize, sameText } from '#sql';
import { quoted, type Row, text } from '#store';

/** What reading a definition needs of the warehouse. */
export interface Engine {
  readonly serialize: Serialize;
  rows(sql: string): Promise<Row[]>;
  readonly calls: ModelCalls;
}

/** An expression of a tree as SQL again, by DuckDB itself. */
export async function print(expression: Node, engine: Engine): Promise<string> {
  const tree = JSON.parse(await engine.serialize('SELECT 1')) as { statements: { node: Node }[] };
  const select_list = [JSON.parse(sameText({ ...expression, alias: '' }))];
  const statement = { error: false, statements: [{ ...tree.statements[0], node: { ...tree.statements[0]!.node, select_list } }] };
  const json = JSON.stringify(statement, (key, value) => (key === 'query_location' ? 0 : value));
  const [row] = await engine.rows(`SELECT json_deserialize_sql(${text(json)}::JSON) AS sql`);
  return String(row!['sql']).replace(/^SELECT /, '');
}

export function quotedName(full: string): string {
  const at = full.indexOf('.');
  return quoted({ schema: full.slice(0, at), name: full.slice(at + 1) });
}
