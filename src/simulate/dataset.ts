/** A value in an answer. Amounts are numbers or decimal text; both mean the same when compared. */
export type Cell = string | number | boolean | null;

/** A question in SQL over the tables that a dataset makes. Its rows have a total order, so that two answers can be compared. */
export interface Question {
  readonly name: string;
  readonly title: string;
  readonly sql: string;
}

/** What the main job needs to know of some input: the topics it fills, the tables made from them, what is asked. */
export interface Dataset {
  readonly name: string;
  readonly title: string;
  /** Definitions by the topic's name: YAML for the workspace's topics/ folder. */
  readonly topics: Readonly<Record<string, string>>;
  /** By the dashboard's name: YAML for the workspace's dashboards/ folder. They read the tables of `mart`. */
  readonly dashboards: Readonly<Record<string, string>>;
  /** Statements that make the tables of `mart`, in their order. */
  readonly marts: readonly { readonly table: string; readonly sql: string }[];
  /** The first is the summary: one row whose columns are the figures of the machine-readable summary. */
  readonly questions: readonly Question[];
}

/** A figure that the source states differently, and why. */
export interface Difference {
  readonly figure: string;
  readonly orders: number;
  readonly revenue: string;
  readonly why: string;
}

/** The staging table that every export is loaded into before its rows become records. */
export const stagingTable = 'staging.export';

/** Made in the same way from every dataset's mart.sessions and mart.orders. */
export const dailyRevenueMart = {
  table: 'mart.daily_revenue',
  sql: `CREATE OR REPLACE TABLE mart.daily_revenue AS
SELECT s.day, s.landing_page AS page, count(*) AS orders, sum(o.value) AS revenue
FROM mart.orders AS o JOIN mart.sessions AS s ON s.session_id = o.session_id GROUP BY s.day, s.landing_page`,
};

/** A kind of real export that the main job can run on: how it is recognised, and how its rows become records. */
export interface ExportKind extends Dataset {
  /** Columns that only this kind of export has, with the beginning of their warehouse type. */
  readonly marks: Readonly<Record<string, string>>;
  /** The topic that `records` fills. */
  readonly topic: string;
  /** One row a record over the staging table; the row as a JSON object is the record. */
  readonly records: string;
  /** One row with the figures that `explain` puts into words. */
  readonly differences: string;
  readonly explain: (figures: Readonly<Record<string, string | number | null>>) => Difference[];
}

export const quoted = (text: string) => `'${text.replaceAll("'", "''")}'`;
