/**
 * Statements over the grammar, each with at most one thing in it that reaches out, anywhere: what the allow-list admits is run on a DuckDB
 * that may do everything, beside a canary file, a canary server, a canary setting and tables that nobody granted. None may be touched.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { MillraceError, type Role } from '#core';
import { readStatement, type Who } from '#sql';
import { newGrants } from '../../src/analyze/grants.ts';
import { inputOf, type Planned, planCalls } from '../../src/analyze/models/answer.ts';
import { spellFeatures } from '../../src/analyze/models/feature-sql.ts';
import { type Below, belowFrom } from '../random.ts';

const pick = <T>(random: Below, from: readonly T[]): T => from[random(from.length)]!;
const MARK = 'CANARY7';

/** Everything that is there, and everything that tells whether it was touched. */
async function openWorld() {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-canary-'));
  const file = join(folder, 'canary.csv');
  writeFileSync(file, `word\n${MARK}\n`);
  let hits = 0;
  const server = createServer((_, response) => {
    hits++;
    response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const instance = await DuckDBInstance.create(':memory:', {
    threads: '1',
    extension_directory: join(folder, 'extensions'),
    home_directory: folder,
    autoinstall_known_extensions: 'true',
    autoload_known_extensions: 'true',
    custom_extension_repository: address,
    custom_user_agent: MARK,
  });
  const connection = await instance.connect();
  await connection.run(`
    CREATE SCHEMA mart; CREATE SCHEMA change;
    CREATE TABLE t AS SELECT i AS a, 'x' || i AS b FROM range(5) r(i);
    CREATE TABLE u AS SELECT i AS a, i % 2 AS c FROM range(4) r(i);
    CREATE TABLE mart.s AS SELECT 1 AS a, DATE '2026-01-01' AS d;
    CREATE VIEW good AS SELECT a FROM t;
    CREATE TABLE change.secret AS SELECT '${MARK}' AS b, 1 AS a;
    CREATE VIEW leak AS SELECT * FROM change.secret;
    CREATE VIEW leak2 AS SELECT a FROM (SELECT * FROM leak);
    CREATE VIEW leakfile AS SELECT * FROM read_csv('${file}');
    CREATE MACRO mine(x) AS (SELECT b FROM change.secret);
    CREATE MACRO mines() AS TABLE SELECT * FROM change.secret;
    CREATE MACRO sinh(x) AS (SELECT b FROM change.secret);
    SET VARIABLE canary = '${MARK}'`);
  const rows = async (sql: string) => (await connection.runAndReadAll(sql)).getRowObjectsJson();
  const names = new Set(
    (
      await rows(`SELECT lower(schema_name || '.' || table_name) AS n FROM duckdb_tables() UNION ALL
      SELECT lower(schema_name || '.' || view_name) FROM duckdb_views() WHERE NOT internal`)
    ).map((row) => String(row['n'])),
  );
  const serialize = async (sql: string) =>
    (await connection.runAndReadAll('SELECT json_serialize_sql($1::VARCHAR)', [sql])).getRows()[0]![0] as string;
  const outside = `SELECT (SELECT string_agg(name || '=' || coalesce(value, ''), ';' ORDER BY name) FROM duckdb_settings()) AS settings,
    (SELECT string_agg(database_name, ';' ORDER BY 1) FROM duckdb_databases()) AS databases,
    (SELECT count(*) FROM duckdb_secrets()) AS secrets, (SELECT count(*) FROM duckdb_functions() WHERE NOT internal) AS functions,
    (SELECT string_agg(name || value, ';' ORDER BY name) FROM duckdb_variables()) AS variables,
    (SELECT string_agg(extension_name, ';' ORDER BY 1) FROM duckdb_extensions() WHERE loaded) AS extensions`;
  const untouched = JSON.stringify(await rows(outside));

  return {
    folder,
    address,
    serialize,
    grants: newGrants({ names: async () => names, rows } as never),
    /** Runs it, behind `before`, and takes it back; what it touched, or null. */
    async touchedBy(sql: string, before = ''): Promise<string | null> {
      // An access time is only brought up to date where it is older than the last change.
      utimesSync(file, 1_000, 2_000);
      const files = readdirSync(folder).sort().join();
      const was = hits;
      let said: string;
      await connection.run('BEGIN');
      try {
        if (before !== '') await connection.run(before);
        said = JSON.stringify((await connection.runAndReadUntil(sql, 2_000)).getRowsJson());
      } catch (thrown) {
        said = String(thrown);
      }
      await connection.run('ROLLBACK').catch(() => {
        // A statement that ended the transaction by itself is seen below.
        said += ' ended the transaction';
      });
      if (said.includes(MARK) || said.includes('ended the transaction')) return said.slice(0, 300);
      // The engine's own words stand in the first line; below them it repeats the statement.
      if (/^Error: .*(extension|IO Error|HTTP Error|Permission Error)/i.test(said)) return said.slice(0, 300);
      if (statSync(file).atimeMs !== 1_000_000) return 'the file was read';
      if (readdirSync(folder).sort().join() !== files) return 'a file was made';
      if (hits !== was) return 'the server was asked';
      const after = JSON.stringify(await rows(outside));
      return after === untouched ? null : 'settings or databases are others';
    },
    close() {
      connection.closeSync();
      instance.closeSync();
      server.close();
      server.closeAllConnections();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

type World = Awaited<ReturnType<typeof openWorld>>;

/** Makes one statement. `reach` is what reaches out, used at most once, at whatever place comes up. */
function statementOf(random: Below, world: Pick<World, 'folder' | 'address'>): string {
  const file = join(world.folder, 'canary.csv');
  const url = `${world.address}/x.csv`;
  const evil = random(2) === 0;
  let left = evil ? 1 : 0;
  const strike = () => left > 0 && random(6) === 0 && left-- > 0;
  const cased = (word: string) => (random(8) === 0 ? word.toUpperCase() : word);
  const literal = (text: string) => pick(random, [`'${text}'`, `'${text}'`, `E'${text}'`, `$$${text}$$`, `$q$${text}$q$`]);

  const evilTables = (): string =>
    pick(random, [
      ...['change.secret', '"change"."secret"', 'CHANGE.Secret', 'memory.change.secret', 'leak', 'main.leak', 'leak2', 'leakfile'],
      ...[`'${file}'`, `"${file}"`, `main."${file}"`, `'${url}'`, 'duckdb_settings', 'main.duckdb_tables', 'information_schema.tables'],
      ...[
        'pg_catalog.pg_class',
        'sqlite_master',
        'pragma_database_list',
        'duckdb_settings()',
        'duckdb_secrets()',
        'mines()',
        'pragma_version()',
      ],
      ...[
        `read_csv(${literal(file)})`,
        `read_text([${literal(file)}])`,
        `read_blob(${literal(file)})`,
        `glob(${literal(`${world.folder}/*`)})`,
      ],
      ...[
        `sniff_csv(${literal(file)})`,
        `read_csv(${literal(url)})`,
        `query(${literal('FROM change.secret')})`,
        `query_table(${literal('leak')})`,
      ],
      ...[`"read_csv"(${literal(file)})`, `system.main.read_csv(${literal(file)})`, "json_execute_serialized_sql('{}')", 'seq_scan(t)'],
    ]);
  const evilValues = (): string =>
    pick(random, [
      ...[
        "current_setting('custom_user_agent')",
        "getvariable('canary')",
        "getenv('HOME')",
        'mine(1)',
        'sinh(1)',
        'main.sinh(1)',
        'version()',
      ],
      ...["json_serialize_sql('SELECT 1')", "nextval('s')", 'a.mine()', "'t'::regclass", `(SELECT b FROM ${evilTables()} LIMIT 1)`],
      ...[`(SELECT count(*) FROM ${evilTables()})`, `EXISTS (FROM ${evilTables()})`, `a IN (SELECT a FROM ${evilTables()})`],
    ]);

  function value(depth: number): string {
    if (strike()) return evilValues();
    if (depth <= 0) return pick(random, ['a', 'a', '1', "'x'", 'NULL', '2.5', 'true', '[1, 2]', "{'k': 1}", "DATE '2026-01-01'"]);
    const inner = () => value(depth - 1);
    switch (random(16)) {
      case 13:
        return feature(inner);
      case 0:
        return `${pick(random, ['abs', 'coalesce', 'hash', 'typeof', 'greatest', 'md5', 'length'])}(${inner()})`;
      case 1:
        return `(${inner()} ${pick(random, ['+', '=', '<', 'AND', 'OR', '||', 'IS DISTINCT FROM'])} ${inner()})`;
      case 2:
        return `CASE WHEN ${inner()} THEN ${inner()} ELSE ${inner()} END`;
      case 3:
        return `CAST(${inner()} AS ${pick(random, ['VARCHAR', 'INTEGER', 'DOUBLE', 'JSON', 'INTEGER[]'])})`;
      case 4:
        return `(${query(depth - 1)} LIMIT 1)`;
      case 5:
        return `EXISTS (${query(depth - 1)})`;
      case 6:
        return `${inner()} IN (${query(depth - 1)})`;
      case 7:
        return `list_transform([1, 2], lambda q: ${inner()})`;
      case 8:
        return `sum(a) FILTER (WHERE ${inner()})`;
      case 9:
        return `count(*) OVER (PARTITION BY ${inner()} ORDER BY ${inner()})`;
      case 10:
        return `TRY(${inner()})`;
      case 11:
        return `[${inner()}, ${inner()}][1]`;
      case 12:
        return `{'k': ${inner()}}.k`;
      default:
        return value(0);
    }
  }
  /** Written as other SQL before anything is read. */
  function feature(inner: () => string): string {
    return pick(random, [
      () => `ML.BUCKETIZE(${inner()}, [1, 2.5])`,
      () => `ml.bucketize(${inner()}, [3], ${pick(random, ['TRUE', "'bucket_ranges'", inner()])})`,
      () => `ML.STANDARD_SCALER(${inner()}) OVER ()`,
      () => `ML.MIN_MAX_SCALER(${inner()}) OVER (${random(3) === 0 ? 'ORDER BY a' : ''})`,
      () => `ML.QUANTILE_BUCKETIZE(${inner()}, ${pick(random, ['3', inner()])}) OVER ()`,
      () => `ML.LABEL_ENCODER(${inner()}) OVER ()`,
      () => `ML.IMPUTER(${inner()}, 'mean') OVER ()`,
      () => `ML.FEATURE_CROSS(STRUCT(${inner()} AS k, b))`,
      () => `ML.POLYNOMIAL_EXPAND(STRUCT(a, ${inner()} AS "x'y"), 2)`,
    ])();
  }
  /** A name in the text that is run; its query is run before. */
  function call(depth: number): string {
    const input = () =>
      pick(random, [
        () => `TABLE ${strike() ? evilTables() : pick(random, ['t', 'mart.s', 'secret', 'q'])}`,
        () => `(${query(depth - 1)})`,
      ])();
    const settings = pick(random, ['', '', ', STRUCT(0.5 AS threshold)']);
    return pick(random, [
      () => `ML.PREDICT(MODEL m, ${input()}${settings})`,
      () => `ml.explain_predict(MODEL mart."m"@2, ${input()})`,
      () => `ML.EVALUATE(MODEL m, ${input()}${settings})`,
      () => 'ML.WEIGHTS(MODEL m)',
    ])();
  }
  function source(depth: number): string {
    if (strike()) return evilTables();
    const plain = ['t', 't', 'u', 'mart.s', 'good', 'main.t', 'range(3) r(a)', '"t"', 'x', 'secret'];
    if (depth <= 0) return pick(random, plain);
    switch (random(10)) {
      case 8:
      case 9:
        return `${call(depth)} AS c`;
      case 0:
        return `(${query(depth - 1)}) AS q`;
      case 1:
        return `${source(depth - 1)} JOIN ${source(0)} AS j ON ${value(depth - 1)}`;
      case 2:
        return `${source(depth - 1)}, LATERAL (${query(depth - 1)}) AS l`;
      case 3:
        return `(VALUES (${value(depth - 1)})) AS v(a)`;
      case 4:
        return `(${pick(random, ['DESCRIBE', 'SUMMARIZE'])} ${query(depth - 1)}) AS d`;
      default:
        return pick(random, plain);
    }
  }
  function query(depth: number): string {
    const more = (words: string, chance: number, make: () => string) => (random(chance) === 0 ? ` ${cased(words)} ${make()}` : '');
    const inner = () => value(depth - 1);
    // Names of tables that nobody granted, as names of CTEs: whose they are is a matter of scope.
    const cte = () => `${pick(random, ['secret', 'x', 't', 'leak', 'q'])} AS (${query(depth - 1)})`;
    const head =
      depth > 0 && random(4) === 0 ? `WITH ${random(4) === 0 ? 'RECURSIVE ' : ''}${cte()}${random(2) === 0 ? `, ${cte()}` : ''} ` : '';
    switch (depth > 0 ? random(12) : 6) {
      case 0:
        return `${head}${query(depth - 1)} UNION ALL ${query(depth - 1)}`;
      case 1:
        return `${head}VALUES (${inner()})`;
      case 2:
        return `${head}FROM ${source(depth - 1)}`;
      case 3:
        return `PIVOT ${source(0)} ON a IN (1, 2) USING count(*)`;
      case 4:
        return `SELECT COLUMNS(c -> c = 'a') FROM ${source(depth - 1)}`;
      default:
        return `${head}${cased('select')} ${pick(random, ['a', '*', 'count(*)', 'DISTINCT a', inner()])}${random(12) === 0 ? '/* ; */' : ''} ${cased('from')} ${source(depth)}${more('where', 3, inner)}${more('group by', 6, () => pick(random, ['ALL', inner()]))}${more('having', 9, inner)}${more('qualify', 12, inner)}${more('order by', 6, inner)}${more('limit', 6, () => pick(random, ['3', `(${inner()})`]))}`;
    }
  }
  const evilWhole = (): string =>
    pick(random, [
      ...[`COPY t TO '${world.folder}/out.csv'`, `COPY (FROM change.secret) TO '${world.folder}/o'`, `COPY t FROM '${file}'`],
      ...[
        `ATTACH '${world.folder}/x.db' AS x`,
        'INSTALL httpfs',
        'LOAD httpfs',
        `INSTALL x FROM '${world.address}'`,
        'PRAGMA database_list',
      ],
      ...["SET custom_user_agent = 'x'", 'SET VARIABLE canary = 1', 'RESET threads', 'PREPARE p AS SELECT 1', 'EXECUTE p', 'CHECKPOINT'],
      ...[
        `CALL read_csv('${file}')`,
        `EXPORT DATABASE '${world.folder}/e'`,
        'CREATE MACRO z() AS 1',
        "CREATE TYPE e AS ENUM ('a')",
        'COMMIT',
      ],
      ...[
        'SHOW TABLES',
        'SHOW ALL TABLES',
        'DESCRIBE change.secret',
        'SUMMARIZE leak',
        'ALTER TABLE t ADD COLUMN z INTEGER',
        'USE memory.change',
      ],
    ]);
  const depth = 1 + random(3);
  const kinds: (() => string)[] = [
    () => `EXPLAIN ${random(2) === 0 ? 'ANALYZE ' : ''}${query(depth)}`,
    () =>
      `CREATE ${random(2) === 0 ? 'OR REPLACE ' : ''}${pick(random, ['TABLE', 'VIEW', 'MATERIALIZED VIEW', 'SCHEDULED QUERY'])} ${pick(random, ['made', 'mart.made', 'change.made', 't'])} AS ${query(depth)}`,
    () => `INSERT INTO ${pick(random, ['t', 'mart.s', 'change.secret'])} ${query(depth)}`,
    () => `UPDATE t SET a = ${value(depth)} ${random(2) === 0 ? `FROM ${source(depth)} ` : ''}WHERE ${value(depth)}`,
    () => `DELETE FROM t ${random(2) === 0 ? `USING ${source(depth)} ` : ''}WHERE ${value(depth)}`,
    () => `DROP ${pick(random, ['TABLE', 'VIEW', 'SCHEMA'])} ${pick(random, ['t', 'good', 'mart', 'change.secret'])}`,
    () => (left-- > 0 ? evilWhole() : query(depth)),
    () => (left-- > 0 ? `${query(1)}; ${evilWhole()}` : query(depth)),
  ];
  const text = random(3) > 0 ? query(depth) : pick(random, kinds)();
  // What was not used yet is put into a place of its own.
  const whole = left > 0 && /^select/i.test(text) ? `SELECT ${evilValues()} FROM (${text})` : text;
  return random(6) > 0 ? whole : spoiled(random, whole);
}

/** Words moved, doubled or left out; spaces that are others to a lexer. */
function spoiled(random: Below, text: string): string {
  const words = text.split(' ');
  const at = random(words.length);
  const other = random(words.length);
  switch (random(6)) {
    case 0:
      [words[at], words[other]] = [words[other]!, words[at]!];
      return words.join(' ');
    case 1:
      return words.toSpliced(at, 1).join(' ');
    case 2:
      return words.toSpliced(at, 0, words[other]!).join(' ');
    case 3:
      return words.join(pick(random, ['\u00a0', '\u3000', '\n', '\t', ' /* x */ ', ' -- x\n']));
    case 4:
      return `${text}${pick(random, [';', ';;', '; SELECT 1', ' --', '/*', "'", ')', '\u0000'])}`;
    default:
      return words.toSpliced(at, 0, pick(random, ['(', ')', "'", '"', '$$', '--', '/*', '*/', ';', 'E', ','])).join(' ');
  }
}

export interface Fuzzed {
  admitted: number;
  /** Of those, with queries for models in them. */
  called: number;
  refused: number;
  /** Refused ones that were run all the same, and touched something: so many the list has held back. */
  heldBack: number;
  tried: number;
}

/** A canary that does not sing would prove nothing: one statement for each. */
export async function silentCanaries(): Promise<string[]> {
  const silent: string[] = [];
  for (const make of [
    ({ folder }: World) => `SELECT count(*) FROM read_csv('${folder}/canary.csv')`,
    () => 'SELECT count(*) FROM leakfile',
    () => 'SELECT b FROM change.secret',
    () => 'SELECT mine(1)',
    () => 'SELECT sinh(1)',
    () => "SELECT getvariable('canary')",
    () => "SELECT current_setting('custom_user_agent')",
    () => 'SET threads = 2',
    ({ folder }: World) => `COPY t TO '${folder}/out.csv'`,
    ({ folder }: World) => `ATTACH '${folder}/x.db' AS x`,
    () => 'INSTALL httpfs',
    ({ address }: World) => `SELECT * FROM read_csv('${address}/x.csv')`,
  ]) {
    const world = await openWorld();
    const sql = make(world);
    if ((await world.touchedBy(sql)) === null) silent.push(sql);
    world.close();
  }
  return silent;
}

/** Every statement is refused with a code, or touches nothing. Each fifth of the refused is run as well, in a world of its own. */
export async function fuzzSql(statements: number, seed: number): Promise<Fuzzed> {
  const random = belowFrom(seed);
  const world = await openWorld();
  const found: Fuzzed = { admitted: 0, called: 0, refused: 0, heldBack: 0, tried: 0 };
  let open: World | null = null;
  try {
    for (let n = 0; n < statements; n++) {
      const text = statementOf(random, world);
      const role = pick<Role>(random, ['viewer', 'editor', 'admin']);
      const runs = await admitted(text, role, world);
      if (runs !== null) {
        found.admitted++;
        if (runs.sql.length > 1) found.called++;
        for (const sql of runs.sql) {
          const touched = await world.touchedBy(sql, runs.before);
          assert.equal(touched, null, `seed ${seed}, statement ${n}, as ${role}: ${text}`);
        }
        continue;
      }
      found.refused++;
      if (found.refused % 5 !== 0 || /^(CHECKPOINT|USE|COMMIT)/.test(text)) continue;
      open ??= await openWorld();
      found.tried++;
      const own = text.replaceAll(world.folder, open.folder).replaceAll(world.address, open.address);
      const touched = await open.touchedBy(own).catch((thrown: unknown) => String(thrown));
      if (touched === null) continue;
      found.heldBack++;
      open.close();
      open = null;
    }
  } finally {
    world.close();
    open?.close();
  }
  return found;
}

/** The texts that would be run, on their way through all that writes them anew (src/analyze/query.ts), or null where it is refused with a code. */
async function admitted(text: string, role: Role, { serialize, grants }: World): Promise<{ sql: string[]; before: string } | null> {
  const names: string[] = [];
  async function inputs(planned: Planned, who: Who): Promise<string[]> {
    names.push(...planned.names);
    const found: string[] = [];
    for (const { call } of planned.steps) {
      if (call.input === null) continue;
      const { inner, statement, asker } = await inputOf(planned, { ...call, input: call.input }, { serialize, who });
      found.push(...(await inputs(inner, asker)), statement.sql);
    }
    return found;
  }
  try {
    const planned = planCalls(spellFeatures(text).text);
    const statement = await readStatement(planned.text, serialize);
    const who = await grants.of({ name: 'fuzz', role, topics: null }, serialize);
    planned.check(statement, who);
    const sql = await inputs(planned, who);
    if ('sql' in statement) sql.push(statement.sql);
    // A definition's is run whenever it is kept fresh.
    else if ('body' in statement && statement.body !== null) sql.push(statement.body);
    return { sql, before: names.map((name) => `CREATE TEMP VIEW ${name} AS SELECT a, b FROM main.t;`).join(' ') };
  } catch (thrown) {
    assert.ok(thrown instanceof MillraceError && /^(SQL_|TABLE_NAME|MODEL_)/.test(thrown.code), `${text}\n${String(thrown)}`);
    return null;
  }
}
