/** What makes each column of a result, the models that it asks, and the query of the rows behind it. */
import { behindOf, type Node, outputsOf, queryOf } from '#sql';
import type { Reader } from '#store';
import { planCalls } from './models/answer.ts';
import { aggregateNames, expressionIn, printed } from './reading.ts';

export interface Trace {
  readonly outputs: readonly { readonly name: string | null; readonly sql: string; readonly reads: readonly string[] }[];
  /** Gives the rows with `behind N` beside them; null where the statement has no such rows. */
  readonly behind: string | null;
  /** The N of these: places of the columns that are no figures. */
  readonly beside: readonly number[];
  /** As they are spelled: name, schema.name, and @version or @alias behind it. */
  readonly models: readonly string[];
  /** Why there are no rows behind it: a model's figures are not of rows, or the statement does not say of which. */
  readonly untold: 'model' | 'statement' | null;
}

/** Only reads the text: nothing is run. One that the engine can't parse as a query has nothing to tell. Errors: MODEL_CALL. */
export async function traceOf(sql: string, reader: Reader): Promise<Trace> {
  const planned = planCalls(sql.trim().replace(/;\s*$/, ''));
  const models = [...new Set(planned.steps.map(({ call }) => call.model))];
  // What stands in no view answers by other than each row.
  const ofModel = planned.steps.some(({ entry }) => entry.outOfViews !== undefined);
  const untold = ofModel ? 'model' : 'statement';
  const nothing: Trace = { outputs: [], behind: null, beside: [], models, untold };
  const tree = await reader.serialize(planned.text);
  if ((JSON.parse(tree) as { error: boolean }).error) return nothing;
  const outputs = outputsOf(tree, await aggregateNames(reader));
  if (outputs === null) return nothing;
  const empty = queryOf(await reader.serialize('SELECT 1'));
  const alone = (expression: Node): Node => ({ ...empty, select_list: [expression] });
  const [rows, ...made] = await printed(reader, [behindOf(tree, outputs), ...outputs.map(({ expression }) => alone(expression))]);
  const behind = ofModel || rows == null ? null : withCalls(rows, planned);
  return {
    outputs: outputs.map(({ name, reads }, at) => ({ name, sql: expressionIn(made[at] ?? null), reads })),
    behind,
    beside: outputs.flatMap(({ figure }, at) => (figure ? [] : [at])),
    models,
    untold: behind === null ? untold : null,
  };
}

/** A text with the calls of models in their names' places again. */
function withCalls(text: string, { steps, given }: ReturnType<typeof planCalls>): string {
  return steps.reduce((now, { call, as }) => now.replaceAll(as, () => given.slice(call.start, call.end)), text);
}
