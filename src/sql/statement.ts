import type { Reads, TableRead } from './reads.ts';

/** What is written or made: `schema` is filled in (main where none is written). */
export interface Target {
  readonly schema: string;
  readonly name: string;
  readonly position: number;
}

type Literal = string | number | boolean | null;

/** A literal, or a list of literals and of STRUCT(literal, …), whose names are left out. */
export type OptionValue = Literal | readonly (Literal | readonly Literal[])[];

interface Common {
  /** What the user sent; positions are indexes into it. */
  readonly text: string;
  readonly reads: Reads;
  /** The parameters that stand in it, in the order of first use: '1' for $1 or the first ?, 'name' for $name. */
  readonly parameters: readonly string[];
}

/** `sql` is what may be run: for a query the text without what surrounds it, for everything else printed anew from verified parts. */
interface Runs extends Common {
  readonly sql: string;
}

export interface SelectStatement extends Runs {
  readonly kind: 'select';
}

export interface ExplainStatement extends Runs {
  readonly kind: 'explain';
  readonly analyze: boolean;
  readonly inner: string;
}

/** `body` is the query behind AS, which may be run by itself. */
export interface CreateStatement extends Runs {
  readonly kind: 'create_table_as' | 'create_view';
  readonly target: Target;
  readonly replace: boolean;
  readonly ifNotExists: boolean;
  readonly columns: readonly string[] | null;
  readonly body: string;
}

export interface InsertStatement extends Runs {
  readonly kind: 'insert';
  readonly target: Target;
  readonly columns: readonly string[] | null;
  readonly byName: boolean;
  readonly body: string;
}

export interface UpdateStatement extends Runs {
  readonly kind: 'update';
  readonly target: Target;
  readonly columns: readonly string[];
  /** The parts as they are printed: with them the rows that are touched can be selected first. */
  readonly alias: string | null;
  readonly from: string | null;
  readonly where: string | null;
}

export interface DeleteStatement extends Runs {
  readonly kind: 'delete';
  readonly target: Target;
  readonly alias: string | null;
  readonly from: string | null;
  readonly where: string | null;
}

export interface DropStatement extends Runs {
  readonly kind: 'drop';
  readonly what: 'table' | 'view';
  readonly target: Target;
  readonly ifExists: boolean;
  /** Said: what reads it goes too. Millrace sees to that; `sql` drops this one alone. */
  readonly cascade?: true;
}

export interface SchemaStatement extends Runs {
  readonly kind: 'create_schema' | 'drop_schema';
  readonly schema: string;
  readonly position: number;
  /** IF NOT EXISTS, IF EXISTS. */
  readonly lenient: boolean;
}

/** A view that is kept fresh. It is Millrace's own statement: read here, carried out elsewhere. */
export interface CreateMaterializedViewStatement extends Common {
  readonly kind: 'create_materialized_view';
  readonly target: Target;
  readonly replace: boolean;
  readonly ifNotExists: boolean;
  /** An expression in parentheses over the body's source, or null. */
  readonly partitionBy: string | null;
  /** Where in the text the expression begins; -1 without one. */
  readonly partitionAt: number;
  readonly options: Readonly<Record<string, OptionValue>>;
  readonly body: string;
  /** Where in the text the body begins. */
  readonly bodyAt: number;
}

export interface MaterializedViewStatement extends Common {
  readonly kind: 'refresh_materialized_view' | 'pause_materialized_view' | 'resume_materialized_view' | 'drop_materialized_view';
  readonly target: Target;
  readonly ifExists: boolean;
  readonly cascade?: true;
}

/** EXPLAIN MATERIALIZED VIEW name, or EXPLAIN CREATE MATERIALIZED VIEW …: nothing is made. */
export interface ExplainMaterializedViewStatement extends Common {
  readonly kind: 'explain_materialized_view';
  readonly target: Target;
  readonly create: CreateMaterializedViewStatement | null;
}

export interface ShowMaterializedViewsStatement extends Common {
  readonly kind: 'show_materialized_views';
}

/** A query that is run at the times of a schedule; its rows go to the table of its name. */
export interface CreateScheduledQueryStatement extends Common {
  readonly kind: 'create_scheduled_query';
  readonly target: Target;
  readonly replace: boolean;
  readonly ifNotExists: boolean;
  readonly options: Readonly<Record<string, OptionValue>>;
  readonly body: string;
  /** Where it begins in the text. */
  readonly bodyAt: number;
}

export interface ScheduledQueryStatement extends Common {
  readonly kind: 'run_scheduled_query' | 'pause_scheduled_query' | 'resume_scheduled_query' | 'drop_scheduled_query';
  readonly target: Target;
  readonly ifExists: boolean;
}

export interface ShowScheduledQueriesStatement extends Common {
  readonly kind: 'show_scheduled_queries';
}

/** `values` are the literals behind the columns. */
export interface FeatureCall {
  readonly name: string;
  readonly columns: readonly string[];
  readonly values: readonly OptionValue[];
  readonly as: string;
}

export interface CreateModelStatement extends Common {
  readonly kind: 'create_model';
  readonly target: Target;
  readonly replace: boolean;
  readonly ifNotExists: boolean;
  /** The list of expressions in TRANSFORM (…) without its feature functions, or null. */
  readonly transform: string | null;
  /** The feature functions of TRANSFORM: ML.NAME(column, literal, …) [OVER ()] AS name. */
  readonly features: readonly FeatureCall[];
  readonly options: Readonly<Record<string, OptionValue>>;
  /** The query behind AS; null where there is none, which only a model that is brought may have. */
  readonly body: string | null;
}

export interface DropModelStatement extends Common {
  readonly kind: 'drop_model';
  readonly target: Target;
  readonly ifExists: boolean;
  /** Said: views that call it don't hold it back. */
  readonly cascade?: true;
}

/** `version` is what stands behind @: a number or an alias, or null. */
export interface ExportModelStatement extends Common {
  readonly kind: 'export_model';
  readonly target: Target;
  readonly version: string | null;
  readonly options: Readonly<Record<string, OptionValue>>;
}

/** RENAME TO (in the same schema) or SET OPTIONS. */
export interface AlterModelStatement extends Common {
  readonly kind: 'alter_model';
  readonly target: Target;
  readonly version: string | null;
  readonly ifExists: boolean;
  readonly rename: string | null;
  readonly options: Readonly<Record<string, OptionValue>>;
}

/** A statement as data. Reading it doesn't allow it: `checkStatement` does. */
export type Statement =
  | SelectStatement
  | ExplainStatement
  | CreateStatement
  | InsertStatement
  | UpdateStatement
  | DeleteStatement
  | DropStatement
  | SchemaStatement
  | CreateMaterializedViewStatement
  | MaterializedViewStatement
  | ExplainMaterializedViewStatement
  | ShowMaterializedViewsStatement
  | CreateScheduledQueryStatement
  | ScheduledQueryStatement
  | ShowScheduledQueriesStatement
  | CreateModelStatement
  | ExportModelStatement
  | AlterModelStatement
  | DropModelStatement;

export const noReads: Reads = { tables: [], functions: [] };

export function mergeReads(...all: readonly Reads[]): Reads {
  return { tables: all.flatMap((reads) => reads.tables), functions: all.flatMap((reads) => reads.functions) };
}

export function readOf(target: Target): Reads {
  const table: TableRead = { schema: target.schema, name: target.name, position: target.position };
  return { tables: [table], functions: [] };
}
