/** What makes each column of a result, and the query of the rows behind it. */
import { behindOf, type Node, outputsOf, queryOf } from '#sql';
import type { Reader } from '#store';
import { aggregateNames, printed } from './reading.ts';

export interface Trace {
  readonly outputs: readonly { readonly name: string | null; readonly sql: string; readonly reads: readonly string[] }[];
  /** Gives the rows with `behind N` beside them; null where the statement has no such rows. */
  readonly behind: string | null;
  /** The N of these: places of the columns that are no figures. */
  readonly beside: readonly number[];
}

const nothing: Trace = { outputs: [], behind: null, beside: [] };

/** Only reads the text: nothing is run. One that the engine can't parse as a query has nothing to tell. */
export async function traceOf(sql: string, reader: Reader): Promise<Trace> {
  const tree = await reader.serialize(sql.trim().replace(/;\s*$/, ''));
  if ((JSON.parse(tree) as { error: boolean }).error) return nothing;
  const outputs = outputsOf(tree, await aggregateNames(reader));
  if (outputs === null) return nothing;
  const empty = queryOf(await reader.serialize('SELECT 1'));
  const alone = (expression: Node): Node => ({ ...empty, select_list: [expression] });
  const [behind, ...made] = await printed(reader, [behindOf(tree, outputs), ...outputs.map(({ expression }) => alone(expression))]);
  return {
    outputs: outputs.map(({ name, reads }, at) => ({ name, sql: (made[at] ?? '').replace(/^SELECT /, ''), reads })),
    behind: behind ?? null,
    beside: outputs.flatMap(({ figure }, at) => (figure ? [] : [at])),
  };
}
