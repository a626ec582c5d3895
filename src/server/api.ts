/**
 * The public HTTP API as types: the console, the CLI and the docs stand on this one file. Everything is under /v1 and
 * wants `Authorization: Bearer <token>` (or the console's cookie), except /health, /ready and POST /v1/login.
 * An error is always {"error": ErrorBody} with the catalogue's HTTP status.
 */
import type { Column, Entry, ErrorBody, Role, Table, Topic, TransferTable, Weekday } from '#core';
import type { Dashboard } from '#visualize';

export interface ErrorAnswer {
  error: ErrorBody;
}

/** POST /v1/topics/:topic/records — one object, an array, or NDJSON; gzip taken. 200 when all, 207 when some, 400 when none was accepted. */
export interface SendAnswer {
  accepted: number;
  rejected: number;
  /** Accepted records that carry neither an id nor an Idempotency-Key: a retry of them would be stored twice. */
  undeduplicated: number;
  /** Rejected records that don't stand in quarantine: one sender has 64 MiB an hour there. Absent where all do. */
  unkept?: number;
  /** Only the rejected ones, by their index in the body (at most 1,000 are listed). */
  rejections: { index: number; code: string; reason: string }[];
}

/** POST /v1/query. Parameters are $1, $2 … (array) or $name (object). */
export interface QueryRequest {
  sql: string;
  params?: unknown[] | Record<string, unknown>;
  format?: 'json' | 'ndjson' | 'csv' | 'parquet';
  limits?: { rows?: number; seconds?: number };
  /** A name chosen by the client, so that it can watch or cancel the job before the answer begins. */
  job?: string;
  /** Runs nothing: says by which rule the allow-list refuses the statement, or that it does not. */
  explain_refusal?: boolean;
  /**
   * true: the answer has `evidence` of each call of answers.NAME(…) in the statement, which costs another query for each. 'only': it has that
   * alone, beside no rows. With the format json.
   */
  evidence?: boolean | 'only';
}

/**
 * The json answer. Integers and decimals are JSON numbers with all their digits; times are ISO 8601 in UTC; NULL is null.
 * An error after the first row stands in `error`, and then `rows` is incomplete.
 */
export interface QueryAnswer {
  job: string;
  columns: Column[];
  rows: unknown[][];
  row_count: number;
  /** True when the row limit cut the result. */
  truncated: boolean;
  elapsed_ms: number;
  /** Where it was asked for: of each call in the order of the statement. */
  evidence?: CallEvidence[];
  error?: ErrorBody;
}

/** What a call of answers.NAME(…) in a statement stands on. */
export interface CallEvidence extends Evidence {
  answer: string;
  /** As they are written in the call. */
  options: Record<string, string>;
  /** Why it can't be told; then there are no facts, and the rows are right all the same. */
  error?: ErrorBody;
}

export interface Evidence {
  /** Counts used, counts set aside and why, from when to when, matched paid orders, caveats, data version. */
  facts: { fact: string; value: string }[];
  /** The same in one line. */
  line: string;
}

/**
 * POST /v1/questions {questions: QueryRequest[]} (1 to 130; the format is json): a line of JSON for each as it is done, in any order. Those
 * that group the same rows of a table are answered from one scan of it.
 */
export interface QuestionsLine {
  /** The question's place in the list. */
  at: number;
  answer?: QueryAnswer;
  error?: ErrorBody;
}

/** GET /v1/jobs, GET /v1/jobs/:id; DELETE /v1/jobs/:id cancels. Progress is 0–1, or null while unknown. */
export interface Job {
  id: string;
  who: string;
  sql: string;
  state: 'waiting' | 'running' | 'done' | 'failed' | 'cancelled';
  progress: number | null;
  rows: number;
  started: string;
  elapsed_ms: number;
  error: ErrorBody | null;
}

/** POST /v1/load/:table?format=csv|ndjson|parquet&mode=append|replace|create — the file is the body. Idempotency-Key makes a retry harmless. */
export interface LoadAnswer {
  table: string;
  rows: number;
  batch: number;
  columns: Column[];
}

/** GET /v1/catalog: everything that has a name. */
export interface CatalogAnswer {
  tables: Table[];
  topics: Topic[];
  /** Definitions and models; the name is the file's. */
  named: {
    kind: 'transfer' | 'scheduled query' | 'model' | 'metric' | 'journey' | 'experiment' | 'segment' | 'dashboard' | 'question';
    name: string;
  }[];
}

/** GET /v1/quarantine?topic=&limit= (admins and editors), POST /v1/quarantine/replay {topic?, ids?} */
export interface QuarantineRow {
  id: string;
  topic: string;
  received: string;
  code: string;
  reason: string;
  /** The client's bytes as text; absent for roles below admin. */
  body?: string;
  replayed: string | null;
}
export interface QuarantineAnswer {
  /** The newest first. */
  rows: QuarantineRow[];
}
/** GET /v1/quarantine/counts (admins and editors): all of them, by topic and reason, of each topic what waits most first. */
export interface QuarantineCountsAnswer {
  counts: {
    topic: string;
    code: string;
    /** Not replayed, or refused again. */
    waiting: number;
    replayed: number;
  }[];
}
export interface ReplayAnswer {
  tried: number;
  accepted: number;
  rejected: number;
}

/** POST /v1/login {token} with the one-time setup token → an admin token. GET/POST /v1/tokens, DELETE /v1/tokens/:name (admins). */
export interface LoginAnswer {
  name: string;
  role: Role;
  token: string;
}
export interface TokenInfo {
  name: string;
  role: Role;
  topics: string[] | null;
  created: string;
  expires: string | null;
}

/** GET /v1/status: what the home page shows. */
export interface StatusAnswer {
  workspace: string;
  version: string;
  uptime_s: number;
  warehouse: 'starting' | 'ready' | 'down';
  topics: {
    name: string;
    /** Records accepted since the start of the process and in the last ten seconds, per second. */
    accepted: number;
    per_second: number;
    /** Positions (bytes) in the topic's log: where it ends durably, and up to where it is in the warehouse. */
    durable: number;
    delivered: number;
    /** Age in ms of the oldest durable record that is not yet in the warehouse; 0 when all are. */
    lag_ms: number;
    /** Records that intake rejected since the start of the process. */
    quarantined: number;
  }[];
  memory: { front_bytes: number; warehouse_bytes: number };
}

/** POST /v1/session {token} sets the console's cookie, GET tells who it is, DELETE ends it. */
export interface SessionAnswer {
  name: string;
  role: Role;
  /** The workspace's: where a day begins. */
  time_zone: string;
}

/** GET /v1/dashboards: the files of the folder dashboards/. One that can't be taken is listed with its error. */
export interface DashboardsAnswer {
  dashboards: { name: string; title: string; description: string; tiles: number; error: ErrorBody | null }[];
}

/**
 * GET /v1/dashboards/:name. PUT saves {text, version}, or {definition, version} in the words of the file: what stays the same keeps its
 * comments. `version` (or the header If-Match) is the one that was edited, null for a new file; DASHBOARD_CHANGED when it is another by now.
 */
export interface DashboardAnswer {
  name: string;
  text: string;
  /** Of this text. */
  version: string;
  dashboard: Dashboard | null;
  error: ErrorBody | null;
}

/** GET /v1/queries: the files of the folder queries/. Saved questions are read as they are: whoever runs one asks as himself, by POST /v1/query. */
export interface SavedQueriesAnswer {
  queries: SavedQueryAnswer[];
}

/**
 * GET /v1/queries/:name. PUT {sql, version} saves, where `version` (or the header If-Match) is the one that was edited, null for a new file;
 * SAVED_CHANGED when it is another by now. …/versions and …/versions/:version as of dashboards.
 */
export interface SavedQueryAnswer {
  name: string;
  /** The comment of its first line, or its name. */
  title: string;
  sql: string;
  version: string;
  /** The names of its $parameters. */
  parameters: readonly string[];
}

/** GET /v1/metrics: the files of the folder metrics/, as far as a form needs to know them; POST /v1/answers/metric asks them. */
export interface MetricsAnswer {
  metrics: readonly MetricFacts[];
  /** The workspace's: where a day and a week begin, and in what money is counted. */
  time_zone: string;
  week_start: Weekday;
  currency: string;
}

export interface MetricFacts {
  name: string;
  title: string;
  table: string;
  /** The column that says when. */
  time: string | null;
  dimensions: readonly string[];
  format: 'number' | 'currency' | 'percent';
}

/**
 * GET /v1/dashboards/:name/live: a server-sent stream. Each `changed` says which tiles read a table that was written since, by their place;
 * it ends after ten minutes, and a browser opens it again by itself.
 */
export interface LiveEvent {
  tiles: readonly number[];
}

/** GET /v1/lineage?table=schema.name: what the table is made from (up) and what reads it (down), as far as definitions say. */
export interface LineageAnswer {
  /** `level` 0 is the table itself, below 0 what it is made from, above what reads it. */
  nodes: readonly LineageNode[];
  /** By the ids of the nodes. */
  edges: readonly { from: string; to: string }[];
}

export interface LineageNode {
  id: string;
  kind:
    | 'topic'
    | 'transfer'
    | 'table'
    | 'view'
    | 'scheduled query'
    | 'model'
    | 'metric'
    | 'journey'
    | 'experiment'
    | 'segment'
    | 'question'
    | 'dashboard';
  name: string;
  level: number;
}

/**
 * From where columns come: through the definitions that make them, down to columns that nothing defines. GET /v1/lineage?table=…&column=… tells it
 * of one column of a table.
 */
export interface ColumnLineage {
  /** Those of the result, in its order. */
  columns: (LineageMaking & { name: string })[];
  /** Every column on the way, once, however many are made of it. The nearest first. */
  nodes: (LineageMaking & LineageColumn)[];
}

export interface LineageMaking {
  /** SQL over columns of tables, at most 300 characters of it. Null for a column as it is, and where nothing that may be told makes it. */
  expression: string | null;
  /** Ids of the nodes that it is made of; a circle of definitions leads back. */
  from: string[];
  /** So many more columns make it, which were not followed: there are at most 400 nodes, 12 levels and 30 columns that make one. */
  left_out: number;
  /** More columns may make it: what is written names something that is not known here, or very many. */
  partly: boolean;
}

export interface LineageColumn {
  id: string;
  /** The table, schema.name, or the model. */
  of: string;
  /** Null where rows are counted, for a model, and for a table that the asker may not read. */
  column: string | null;
  /** What makes the table: `table` stands for a statement such as CREATE TABLE AS, `load` for a file. */
  kind: 'topic' | 'transfer' | 'load' | 'table' | 'view' | 'materialized view' | 'scheduled query' | 'model' | 'system';
  /** The topic or the transfers that fill it. */
  by: string[];
  /** The asker may not read the table: of its columns and of what makes them nothing is told. */
  withheld: boolean;
}

/** GET /v1/experiments/:name/assignment?unit= — the same unit always has the same variant; `reason` says why it has none. Any token may ask. */
export interface AssignmentAnswer {
  experiment: string;
  unit: string;
  variant: string | null;
  reason: string | null;
}

/** GET /v1/dashboards/:name/versions: the newest 50 that were saved here; …/versions/:version is a DashboardAnswer. */
export interface DashboardVersionsAnswer {
  versions: { version: string; at: string; by: string }[];
}

/** What is chosen above a dashboard. `from` and `to` (both included) count for the range `custom` only. */
export interface ShareRequest {
  range: string;
  from: string;
  to: string;
  filters: Record<string, string>;
  tab?: string | null;
  /** How long the link lives, 1 to 365. */
  days: number;
}

/** POST /v1/dashboards/:name/share: a page that anyone opens without a token, with this choice and no other, until it expires. */
export interface ShareAnswer {
  path: string;
  expires: string;
}

/** POST /v1/shared {link}. The statements stay out of it. */
export interface SharedAnswer {
  title: string;
  description: string;
  refresh: Dashboard['refresh'];
  /** The choice in words: the range, and the filters by their titles. */
  range: string;
  from: string;
  to: string;
  filters: { title: string; value: string }[];
  /** Whether there are any: POST /v1/shared/tile {link, tile: 'annotations'} answers them. */
  annotations: boolean;
  /** `sql` is '' where a tile asks something: POST /v1/shared/tile {link, tile} answers it as QueryAnswer. */
  tiles: Dashboard['tiles'];
  /** The places of tiles that call answers: with `evidence: true` beside {link, tile} what they stand on comes alone, without what is SQL. */
  called: readonly number[];
  expires: string;
}

/** POST /v1/why {sql, params?}: what a figure stands on, as whoever asks. */
export interface WhyRequest {
  sql: string;
  params?: unknown[] | Record<string, unknown>;
  /** One row of the result, by its columns: what that row stands on is shown too. */
  row?: Record<string, string | number | boolean | null>;
}

export interface WhyAnswer {
  columns: Column[];
  /** The statement with its calls of answers.NAME(…) opened: all below is told of it. */
  sql: string;
  /**
   * What makes each column, and the columns of tables that it reads; empty where the statement's outermost SELECT lists none. That of
   * `SELECT * FROM (…)` alone is the one in its parentheses.
   */
  made: { name: string; sql: string; reads: string[] }[];
  /** From where each column of the result comes, to the end. */
  lineage: ColumnLineage;
  /** With `row`: the rows that it stands on, how many there are and the first of them. Null where they can't be told apart. */
  behind: { rows: number; columns: Column[]; sample: unknown[][] } | null;
  /** With `row`, where `behind` is null: a model's figures stand on no rows of the result; or the statement does not tell them apart. */
  untold: 'model' | 'statement' | null;
  /** The versions that answer in it, and what they learned from. */
  models: { model: string; version: number; type: string; created: string; by: string; query: string; batch: number; rows: number }[];
  /** Those that the statement names, then those that its models learned from, then those from which they are made. */
  tables: WhyTable[];
  /** Functions of answers and of models that the statement calls. */
  called: string[];
  /** Tables behind it that the asker may not read. */
  withheld: string[];
  read_at: string;
}

export interface WhyTable {
  table: string;
  origin: Table['origin'];
  rows: number | null;
  /** The table or model that it was found from; null where the statement names it. */
  of: string | null;
  /** Its columns that the statement names. */
  columns: string[];
  /** What was written into it: the newest batch, and over all of them. Null for a view. */
  batches: { count: number; first: number; last: number; committed: string; rows: number; duplicates: number; quarantined: number } | null;
  /** For the table of a topic: how much of the log is in it (positions are bytes), and the age of what is not. */
  topic: { name: string; from: number; to: number; durable: number; lag_ms: number } | null;
  view: { definition: string | null; state: string; batch: number | null; refreshed: string | null } | null;
  /** The newest rows. */
  sample: { columns: Column[]; rows: unknown[][] } | null;
}

/** GET /v1/transfers: the definitions in transfers/, with the newest run of each since the start. */
export interface TransfersAnswer {
  transfers: { name: string; source: string; tables: number; schedule: TransferScheduleAnswer | null; last: TransferRun | null }[];
  problems: ErrorBody[];
}

/** How a transfer runs by itself: at times, when files come to its folder, or following the source's own log. */
export interface TransferScheduleAnswer {
  kind: 'cron' | 'watch' | 'follow';
  cron: string | null;
  /** When a run begins as far as that is known; null where one goes on, or where it waits for files or for somebody. */
  next: string | null;
}

/** POST /v1/transfers/guess {address, name?}: a first definition. With a name it reads the address's password from a file of that name. */
export interface TransferGuessAnswer {
  text: string;
  /** Environment variables that must be set where Millrace runs. */
  secrets: string[];
}

/** GET /v1/transfers/:name; PUT {definition, password?} makes a new one. The connection stays out of the answer. */
export interface TransferAnswer {
  name: string;
  source: string;
  tables: readonly TransferTable[];
  /** Null where only somebody begins a run. */
  schedule: TransferScheduleAnswer | null;
  last: TransferRun | null;
  /** The newest comparison beside a run that follows its source's log; each other one is a run. */
  comparison: TransferRun | null;
}

/** POST /v1/transfers/:name/run and …/verify begin and answer at once; GET /v1/transfers/:name shows how far it is, DELETE …/run stops it. */
export interface TransferRunAnswer {
  run: string;
}

export interface TransferRun {
  run: string;
  kind: 'run' | 'verify';
  state: 'running' | 'done' | 'failed';
  /** Of the table at hand; `total` is an estimate, `waited` says in ms how long the run waited for which side. */
  /** Of a run that follows its source's log, `table` is null once it does. */
  progress: {
    table: string | null;
    rows: number;
    bytes: number;
    total: number | null;
    waited: { source: number; warehouse: number };
  } | null;
  report: TransferReport | null;
}

export interface TransferReport {
  run: string;
  transfer: string;
  /** A comparison alone; absent for a run. */
  kind?: 'verify';
  began: string;
  ended: string;
  outcome: 'done' | 'failed';
  tables: TransferTableReport[];
  error: ErrorBody | null;
}

export interface TransferTableReport {
  source: string;
  target: string;
  mode: 'full' | 'append' | 'merge' | 'cdc';
  read: number;
  rows: number;
  replaced: number;
  quarantined: number;
  bytes: number;
  seconds: number;
  slow: 'source' | 'warehouse' | null;
  notes: string[];
  cursor: string | null;
  parity: {
    equal: boolean;
    source: { rows: number; sum: string };
    warehouse: { rows: number; sum: string };
    after: string | null;
    up_to: string | null;
    differences: readonly { key: readonly (string | null)[]; kind: 'missing' | 'extra' | 'different' }[];
    /** How many of the 256 groups of keys differ and have too many rows to be listed; absent where none has. */
    unlisted?: number;
  } | null;
}

/**
 * POST /v1/uploads?name=orders.xlsx — the file is the body (gzip taken); answers with what it seems to be and its first rows. The name is only
 * shown. POST /v1/uploads/:id/preview {UploadLook} shows the same with other options or types. POST /v1/uploads/:id/load {UploadLoad} begins a
 * load and answers {run}: GET /v1/transfers/runs/:run shows how far it is (TransferRun). DELETE /v1/uploads/:id; GET /v1/uploads lists them.
 * An upload is gone after a day, or when Millrace is restarted. Editors and admins.
 */
export interface UploadAnswer extends UploadInfo {
  guess: {
    kind: 'csv' | 'json' | 'parquet' | 'xlsx' | string;
    /** What was found, by the names of the options: csv has encoding, delimiter, header, dates, decimal. */
    options: Record<string, string>;
    /** The sheets of a workbook, the files of a zip; one otherwise. */
    tables: readonly { name: string; rows: number | null }[];
    /** The one that is shown. */
    table: string;
    columns: readonly { name: string; type: string; note: string | null }[];
  };
  /** At most 20, as text; null is NULL. */
  rows: readonly (readonly (string | null)[])[];
  /** Rows among those looked at that would go to quarantine. */
  refused: readonly { line: number; reason: string }[];
}

export interface UploadInfo {
  upload: string;
  name: string;
  bytes: number;
  expires: string;
  /** Of its newest load. */
  run: string | null;
}

export interface UploadsAnswer {
  uploads: UploadInfo[];
}

export interface UploadLook {
  kind?: 'csv' | 'json' | 'parquet' | 'xlsx';
  options?: Record<string, string | number | boolean>;
  table?: string;
  /** By column: VARCHAR, BIGINT, DOUBLE, DECIMAL(p,s), BOOLEAN, DATE, TIMESTAMP, JSON … */
  types?: Record<string, string>;
}

export interface UploadLoad extends Omit<UploadLook, 'table'> {
  /** The table in the warehouse: schema.name, or a name in main. */
  table: string;
  /** append is undone when it fails; a merge stays as far as it came, and can be repeated. */
  mode: 'replace' | 'append' | 'merge';
  /** For merge. */
  key?: string[];
  /** Which of the guess's tables; the first where it is left out. */
  source_table?: string;
}

/** GET /v1/transfers/:name/runs: the newest 50 of the history in millrace.transfer_run. */
export interface TransferRunsAnswer {
  runs: TransferReport[];
}

/** GET /v1/transfers/:name/state; PUT {table, cursor} sets where the next run begins (null: anew). */
export interface TransferStateAnswer {
  states: {
    transfer: string;
    source: string;
    target: string;
    /** The run that wrote it; `edit` for one that was set by hand. */
    run: string;
    /** open and slice: the run has not ended, or was cut off. */
    event: 'open' | 'slice' | 'close' | 'edit';
    cursor: string | null;
    at: string;
  }[];
}

/** GET /v1/transfers/:name/preview?rows=20: the first rows with the types that they would get; GET …/plan: what a run would do. */
export interface TransferPreviewAnswer {
  tables: {
    source: string;
    target: string;
    columns: { name: string; sourceType: string; type: string; note: string | null }[];
    rows: (string | null)[][];
    refused: { line: number; reason: string }[];
  }[];
}
export interface TransferPlanAnswer {
  tables: {
    source: string;
    target: string;
    mode: string;
    key: string[];
    cursor: string | null;
    rows: number | null;
    columns: { name: string; source_type: string; type: string; note: string | null }[];
    /** Columns that the table here would lose or change, and what names them. */
    drift: { lost: string[]; affected: BlastAnswer['affected'] };
  }[];
}

/** GET /v1/answers: the shop's questions, with their options. */
export interface AnswersAnswer {
  answers: Entry[];
}

/** POST /v1/answers/:name. An option's value may be text whatever its type; a list may be one text with commas. */
export interface AnswerRequest {
  options?: Record<string, string | number | boolean | string[] | null>;
  /** Only what it is made of (ShownAnswer), without running it. */
  show?: boolean;
  limits?: { rows?: number; seconds?: number };
}

/** The rows as POST /v1/query gives them, with the statement that made them and what they stand on. */
export interface ShopAnswer extends Omit<QueryAnswer, 'evidence'> {
  answer: string;
  sql: string;
  evidence: Evidence;
  /** How the rows are best drawn, in the words of a dashboard's tile; null where their types say it. */
  chart: { kind: string; x: string; y: readonly string[]; series?: string; unit?: string } | null;
}

/** POST /v1/answers/:name with `show`. */
export interface ShownAnswer {
  answer: Entry;
  sql: string;
  evidence_sql: string;
  /** Statements that keep the answer as views at the least cost, each after those that it reads; none where `sql` is all there is. */
  views: string[];
}

/** One version of a model in GET /v1/models. */
export interface ModelVersion {
  version: number;
  created: string;
  by: string;
  /** As it was asked for: AUTOML_CLASSIFIER … */
  type: string;
  task: 'regression' | 'classification' | 'clustering';
  target: string;
  /** The statement that made it, and the newest batch of the warehouse when its rows were read. */
  query: string;
  batch: number;
  rows: number;
  /** Figures on held-out rows with their standard errors. */
  metrics: readonly { metric: string; value: number; error: number }[];
  /** SHA-256 of its file. */
  hash: string;
  bytes: number;
}

/** GET /v1/models. Versions: the newest first. `aliases`: name → version; `champion` answers where none is named. */
export interface ModelsAnswer {
  models: readonly {
    name: string;
    versions: readonly ModelVersion[];
    aliases: Record<string, number>;
    /** What ALTER MODEL … SET OPTIONS set. */
    settings: { description?: string | null; log_topic?: string | null; log_share?: number };
  }[];
}

/** GET /v1/models/:name, where a name is `model`, `schema.model`, `model@2` or `model@alias`. */
export interface ModelAnswer {
  model: ModelsAnswer['models'][number];
  version: number;
  inputs: readonly { name: string; type: string; kind: 'number' | 'text' | 'time' }[];
  profile: readonly {
    input: string;
    min: number | null;
    max: number | null;
    mean: number | null;
    median: number | null;
    stddev: number | null;
    category_count: number | null;
    null_count: number;
    /** Of text: the most frequent values in training, the most frequent first; of numbers: the edges of tenths. */
    reference?: { levels?: readonly string[]; edges?: readonly number[] };
  }[];
  /** How it was made and how good it is. */
  report: ModelReport | null;
  /** What it tells apart, in the order of its probabilities; of two, the second is what is looked for. Null where it predicts a number. */
  classes: readonly string[] | null;
  /** Of KMEANS: its clusters in order, with how many of the training rows each has. */
  clusters: readonly { rows: number }[] | null;
}

/** The parts of a training report that are shown; docs/learn.md describes all. Models made before a part lack it. */
export interface ModelReport {
  task: 'regression' | 'classification';
  rows: { table: number; known: number; learned: number; judged: number };
  split: { kind: string; column: string | null; why: string };
  warnings: readonly { kind: string; column: string | null; text: string }[];
  metric: string;
  trials: readonly {
    candidate: { name: string };
    score: number;
    error?: number;
    trainMillis: number;
    predictMicros?: number;
    bytes?: number;
    share: number;
  }[];
  scores: readonly { metric: string; value: number; error: number }[];
  /** Null, like `better`, where no row was held out. */
  rule: { text: string; score: number; gain: number; gainError: number } | null;
  better: boolean | null;
  importance: readonly { column: string; loss: number }[];
  confusion: readonly (readonly number[])[] | null;
  /** For two classes, on the judged rows: what a threshold on the second class's probability would have got right and wrong. */
  thresholds?:
    | readonly {
        threshold: number;
        truePositives: number;
        falsePositives: number;
        falseNegatives: number;
        trueNegatives: number;
      }[]
    | null;
  /** For two classes: ten bins of the second class's probability, what was promised and what came; and how far these differ. */
  calibration?: readonly { rows: number; predicted: number; observed: number }[] | null;
  reliability?: { brier: number; expectedError: number; miscalibration: number } | null;
  /** For two classes: what is met when the surest `share` of the judged rows is taken. */
  ranking?: readonly { share: number; precision: number; recall: number; falsePositiveRate: number; lift: number }[] | null;
  /** Like `thresholds`, finer near 0: whom the model acts on. */
  acting?: readonly { threshold: number; model: { hits: number; misses: number } }[] | null;
  /** Where the training was told what acting on a right one brings and acting on any costs: from where on that pays, and what each way earns. */
  money?: {
    hit: number;
    contact: number;
    threshold: number | null;
    profit: Readonly<Record<'model' | 'rule' | 'everyone' | 'nobody', number>>;
  } | null;
  /** Mean answer when all rows have that value: a number, or each class's probability. */
  dependence?: readonly {
    column: string;
    points: readonly { value: number | string | null; answers: readonly number[] }[];
  }[];
  /** Where the model does clearly worse than elsewhere. */
  slices?: readonly { column: string; value: string; rows: number; loss: number; otherLoss: number; ruleLoss: number }[];
  /** The report in sentences. */
  card?: { readonly en: readonly string[]; readonly ko: readonly string[] };
  stopped: boolean;
}

/**
 * POST /v1/models/:name/predict. At most 10,000 rows and 16 MB (100 rows with `explain`). A value that is left out or null is missing;
 * times are ISO 8601 or epoch milliseconds.
 */
export interface PredictRequest {
  rows: Record<string, unknown>[];
  explain?: boolean;
}

/** Each prediction has `predicted_<target>`, for classes `probabilities` by label, and with explain what moved each score. */
export interface PredictAnswer {
  model: string;
  version: number;
  predictions: readonly Record<string, unknown>[];
  /** Where the model keeps its requests and this one was drawn: the records that its topic took, or why it took none. */
  logged?: { topic: string; accepted: number; error: ErrorBody | null };
}

/** GET /v1/targets?table=schema.name: columns that a model could predict, the likeliest first, as 5,000 of the table's rows say. */
export interface TargetsAnswer {
  table: string;
  targets: { column: string; task: 'regression' | 'classification'; why: string }[];
}

/** GET /v1/trainings: those under way. POST /v1/trainings/:job/stop ends one's search and keeps the best model so far. */
export interface TrainingsAnswer {
  trainings: {
    job: string;
    model: string;
    who: string;
    state: 'reading' | 'waiting' | 'training' | 'checking';
    progress: {
      trials: number;
      of: number | null;
      trying: string;
      round: number;
      metric: string;
      best: { name: string; score: number } | null;
      elapsedMillis: number;
    } | null;
  }[];
}

/** GET /v1/views: the files of the folder views/. POST /v1/views/:view/cancel ends a build in chunks. */
export interface ViewsAnswer {
  views: {
    name: string;
    source: string;
    reads: string[];
    partition: string | null;
    mode: 'partitions' | 'whole';
    reasons: string[];
    plan: string[];
    /** The versions of models that score its rows; `spelled` is how the view names each. */
    models: { model: string; spelled: string; version: number }[];
    state: 'fresh' | 'behind' | 'paused';
    /** Chunks of a build beside the rows that are shown meanwhile. */
    building: { done: number; of: number } | null;
    batch: number | null;
    refreshed: string | null;
    refreshes: number;
    last_ms: number | null;
    last: { mode: 'partitions' | 'whole' | 'nothing'; partitions: number; rows: number; late?: number } | null;
    late: { after_ms: number; watermark: string | null; rows: number } | null;
    /** The newest audit, and the differing rows that audits have found. */
    audit: { at: string; partitions: number | null; differences: number; found: number } | null;
    error: ErrorBody | null;
  }[];
  problems: ErrorBody[];
}

/** POST /v1/views/:view/audit compares a sample with the query; null while the view is not right up to now. */
export interface ViewAuditAnswer {
  view: string;
  audited: { at: string; partitions: number | null; differences: number } | null;
}

/** GET /v1/views/blast?table=schema.name[&columns=a,b]: what reads the table (and names one of the columns), however many views deep; of a model, the views that call it and what reads those. */
export interface BlastAnswer {
  table: string;
  /** `goes`: DROP … CASCADE drops it too; else it stays and says what it misses. */
  affected: readonly { kind: string; name: string; goes: boolean }[];
}

/** POST /v1/views/sessions: the ready-made definitions of sessions for a topic; with `write` they become files in views/. */
export interface SessionViewsRequest {
  topic: string;
  rule: 'ga4' | 'posthog' | 'universal' | 'ua';
  /** The workspace's where absent. */
  time_zone?: string;
  /** Default: mart. */
  schema?: string;
  /** Columns by field; null: there is none. Fields that are left out are found by their usual names. */
  fields?: Record<string, string | null>;
  /** How late an event may come and still count, as in '2 hours'. Default: however late. */
  lateness?: string;
  page_views?: string[];
  key_events?: string[];
  write?: boolean;
}
export interface SessionViewsAnswer {
  views: { name: string; sql: string }[];
  fields: Record<string, string>;
  written: boolean;
}
