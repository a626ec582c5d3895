/** Calls of models in definitions, the same for views and scheduled queries. */
import { MillraceError, type ModelCalls } from '#core';
import { tokens } from '#sql';
import type { Row } from '#store';
import { type Objection, objectionTo, problemIn } from './objection.ts';

export const noCalls: ModelCalls = {
  plain: (text) => text,
  readable: (text) => text,
  spelled: async (query) => ({ query, models: [], origin: (index) => index }),
};

/** The body of a definition with its calls as they were written: the statement itself was read with their queries in their place, as long as they are. */
export function bodyOf({ text, bodyAt }: { readonly text: string; readonly bodyAt: number }, calls: ModelCalls): string {
  const plain = calls.plain(text);
  const last = tokens(plain).findLast((token) => token.kind !== 'space' && token.kind !== 'comment' && token.text !== ';');
  return plain.slice(bodyAt, last!.end);
}

/** The body with SQL in place of its calls, or why the engine would not run the query of one of them. Errors: those of models. */
export async function spelledBody(
  body: string,
  calls: ModelCalls,
  rows: (sql: string) => Promise<Row[]>,
): Promise<Awaited<ReturnType<ModelCalls['spelled']>> | { readonly objection: Objection }> {
  try {
    return await calls.spelled(body);
  } catch (thrown) {
    if (thrown instanceof MillraceError) throw thrown;
    const problem = problemIn(thrown);
    // It can be asked about with the calls' queries in their place: what is wrong with one of them stands there too.
    const found = await objectionTo(calls.readable(body), rows);
    return { objection: { problem, at: found?.problem === problem ? found.at : null, thrown } };
  }
}
