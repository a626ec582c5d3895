/** A version of a model that a view or a scheduled query scores with. `spelled` is how it is named there: main.churn, main.churn@challenger, main.churn@2. */
export interface UsedModel {
  readonly model: string;
  readonly spelled: string;
  readonly version: number;
  readonly hash: string;
}

/** What views and scheduled queries need of models: calls of them, which DuckDB can't parse, become SQL. */
export interface ModelCalls {
  /** The text with its feature functions as the SQL that they mean; the rest is done with that. MODEL_CALL. */
  plain(text: string): string;
  /** The text with each call's own query in its place, as long as before: DuckDB can parse it, and it reads what will be read. MODEL_CALL. */
  readable(text: string): string;
  /**
   * The query with functions of the warehouse in place of its calls, and the versions that answer. `origin` says where in the given query a
   * place of the other is; null within what took a call's place. Errors: MODEL_*, and DuckDB's own for a query that it would not run.
   */
  spelled(query: string): Promise<{
    readonly query: string;
    readonly models: readonly UsedModel[];
    readonly origin: (index: number) => number | null;
  }>;
}
