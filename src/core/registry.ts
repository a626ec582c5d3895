/** How one option of a registry entry is described: once, for checks, help, docs and forms. */
export interface Option {
  readonly name: string;
  readonly type: 'text' | 'integer' | 'number' | 'boolean' | 'choice' | 'list';
  readonly summary: string;
  readonly default?: string | number | boolean | null;
  readonly choices?: readonly string[];
  readonly required?: boolean;
  /** A list whose values may have commas: each is given by itself. */
  readonly oneByOne?: boolean;
  /** What its text is, for forms to help with: a day as YYYY-MM-DD, or the name of a table or metric that there is. */
  readonly of?: 'day' | 'table' | 'metric';
  /** A secret is read from the environment or a file by reference and is never printed. */
  readonly secret?: boolean;
}

/** What every entry of every registry (doors, sources, answers, learners, charts) says of itself. */
export interface Entry {
  readonly name: string;
  readonly title: string;
  readonly summary: string;
  readonly options: readonly Option[];
}
