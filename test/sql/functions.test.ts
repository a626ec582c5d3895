import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { functionFamilies, isAllowedFunction, tableFunctions } from '#sql';
import { openDuckdb } from './duckdb.ts';

let duckdb: Awaited<ReturnType<typeof openDuckdb>>;
before(async () => {
  duckdb = await openDuckdb();
});
after(() => duckdb.close());

/** Functions of DuckDB that were looked at and left out, by reason. */
const refused: Record<string, RegExp> = {
  'planner and storage internals':
    /^(__internal_.*|combine|finalize|create_sort_key|cast_to_type|can_cast_implicitly|make_type|get_type|replace_type|remap_struct|unpivot_list|timetz_byte_comparable|stats|vector_type|in_search_path|switch|variant_bytes_to_variant|variant_normalize|variant_to_parquet_variant|parse_duckdb_log_message|get_block_size|icu_.*)$/,
  'settings, session and process':
    /^(current_setting|getvariable|setseed|sleep_ms|write_log|version|current_(connection_id|query|query_id|transaction_id|database|schema|schemas|catalog|role|user)|session_user|user|txid_current)$/,
  sequences: /^(nextval|currval)$/,
  'SQL inside SQL': /^json_(de)?serialize_(sql|plan)$/,
  geometry: /^st_.*$/,
};

test('each function of this DuckDB is allowed, or refused for a reason', async () => {
  const reader = await duckdb.connection.runAndReadAll(
    "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type IN ('scalar', 'aggregate', 'macro') AND schema_name = 'main'",
  );
  const names = reader.getRows() as string[][];
  assert.ok(names.length > 500, `DuckDB named ${names.length} functions`);
  for (const [name] of names) {
    const reasons = Object.keys(refused).filter((reason) => refused[reason]!.test(name!));
    assert.equal(reasons.length, isAllowedFunction(name!, false) ? 0 : 1, `${name}: ${reasons}`);
  }
});

test('no allowed function changes something or depends on more than its arguments, the clock and chance', async () => {
  const reader = await duckdb.connection.runAndReadAll(
    "SELECT DISTINCT function_name FROM duckdb_functions() WHERE has_side_effects OR stability = 'VOLATILE' ORDER BY 1",
  );
  const volatile = (reader.getRows() as string[][]).map(([name]) => name!).filter((name) => isAllowedFunction(name, false));
  assert.deepEqual(volatile, ['error', 'gen_random_uuid', 'random', 'uuid', 'uuidv4', 'uuidv7']);
});

test('what stands in FROM is one of a few', async () => {
  const reader = await duckdb.connection.runAndReadAll(
    "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type IN ('table', 'table_macro', 'pragma') ORDER BY 1",
  );
  const allowed = (reader.getRows() as string[][]).map(([name]) => name!).filter((name) => isAllowedFunction(name, true));
  assert.deepEqual(allowed, ['generate_series', 'json_each', 'json_tree', 'range', 'repeat', 'repeat_row', 'unnest']);
});

test('the list has no name that DuckDB does not know, and none twice', async () => {
  const reader = await duckdb.connection.runAndReadAll('SELECT DISTINCT function_name FROM duckdb_functions()');
  const known = new Set((reader.getRows() as string[][]).map(([name]) => name));
  const listed = Object.values(functionFamilies).flatMap((names) => names.split(' '));
  assert.deepEqual(
    listed.filter((name) => !known.has(name)),
    [],
  );
  assert.equal(new Set(listed).size, listed.length);
});

test('docs/sql.md lists the functions as they are allowed', () => {
  const page = readFileSync(new URL('../../docs/sql.md', import.meta.url), 'utf8');
  const families = new Map([...page.matchAll(/^\*\*(.+)\*\*: (.+)$/gm)].map(([, family, names]) => [family!, names!.replaceAll('`', '')]));
  for (const [family, names] of Object.entries({ ...functionFamilies, 'in FROM': tableFunctions })) {
    assert.equal(families.get(family), names, family);
  }
});
