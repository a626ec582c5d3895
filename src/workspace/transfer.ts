import { type Drift, fail, type Lookback, type Reference, type Transfer, type TransferMode, type TransferTable } from '#core';
import { Section } from './section.ts';
import { parseDuration } from './units.ts';
import { type Node, readYaml } from './yaml.ts';

const tableOptions = ['target', 'mode', 'key', 'cursor', 'lookback', 'drift', 'types'] as const;
const modes: readonly TransferMode[] = ['full', 'append', 'merge'];
const drifts: readonly Drift[] = ['evolve', 'freeze', 'discard'];

/**
 * A transfer's definition file as checked data. Pure. `file` is only for messages. What the connection's options mean, the source says.
 * DEFINITION_YAML and DEFINITION_INVALID name the line.
 */
export function parseTransfer(name: string, yamlText: string, file: string): Transfer {
  if (!/^[a-z][a-z0-9_]{0,62}$/.test(name))
    fail('DEFINITION_INVALID', { file, problem: 'the name must be lower-case letters, digits and _' });
  const top = new Section(readYaml(yamlText, file), file, ['source', 'connection', 'tables']);
  const tables = top.section('tables', 'any');
  const found = tables.keys().map((source) => readTable(tables, source));
  if (found.length === 0) top.refuse('tables', '"tables" names no table');
  const targets = new Set<string>();
  for (const { source, target } of found) {
    if (targets.has(target)) tables.refuse(source, `"${target}" is the target of two tables`);
    targets.add(target);
  }
  return {
    name,
    source: top.text('source', null) ?? top.refuse('source', '"source" is missing: it names where the tables are'),
    connection: readConnection(top),
    tables: found,
  };
}

function readConnection(top: Section): Transfer['connection'] {
  const section = top.section('connection', 'any');
  return Object.fromEntries(section.keys().map((key) => [key, readValue(section, key)]));
}

function readValue(section: Section, key: string): string | number | boolean | Reference {
  const node = section.node(key);
  if (node?.kind === 'scalar') {
    // 007 and 1e3 are numbers to YAML; a user name or password of that spelling is text.
    return typeof node.value === 'number' && String(node.value) !== node.text ? node.text : (node.value ?? '');
  }
  if (node?.kind !== 'map') return section.refuse(key, `"connection.${key}" must be a value, { env: NAME } or { file: PATH }`);
  const reference = section.section(key, ['env', 'file']);
  const env = reference.text('env', null);
  const path = reference.text('file', null);
  if ((env === null) === (path === null)) section.refuse(key, `"connection.${key}" needs either env or file`);
  return env === null ? { file: path! } : { env };
}

function readTable(tables: Section, source: string): TransferTable {
  const section = tables.section(source, tableOptions);
  const target =
    section.text('target', null) ?? section.refuse('target', `"tables.${source}.target" is missing: it names the table in the warehouse`);
  if (!/^[a-z][a-z0-9_]{0,62}\.[a-z][a-z0-9_]{0,62}$/.test(target))
    section.refuse('target', `"${target}" can't be a target; use schema.name in lower case`);
  const mode = section.choice('mode', modes, 'full');
  const cursor = section.text('cursor', null);
  const lookback = readLookback(section);
  if (cursor !== null && mode === 'full') section.refuse('cursor', 'mode full reads the whole table: it takes no cursor');
  if (lookback !== null && cursor === null) section.refuse('lookback', 'a lookback needs a cursor');
  if (lookback !== null && mode !== 'merge') section.refuse('lookback', 'only mode merge can read rows again without doubling them');
  return {
    source,
    target,
    mode,
    key: readNames(section, 'key'),
    cursor,
    lookback,
    drift: section.choice('drift', drifts, 'evolve'),
    types: readTypes(section),
  };
}

function readLookback(section: Section): Lookback | null {
  const text = section.text('lookback', null);
  if (text === null) return null;
  if (/^\d{1,15}$/.test(text)) return { units: Number(text) };
  const millis = parseDuration(text);
  return millis === null ? section.refuse('lookback', `"${text}" is neither a duration (10m) nor a number`) : { millis };
}

function readNames(section: Section, key: string): string[] {
  const node = section.node(key);
  if (node === null) return [];
  const items: readonly Node[] = node.kind === 'list' ? node.items : [node];
  return items.map((item) =>
    item.kind === 'scalar' && item.text !== '' ? item.text : section.refuse(key, `"${key}" must be a column or a list of columns`),
  );
}

const type = /^(VARCHAR|BOOLEAN|U?(TINY|SMALL|BIG)INT|U?INTEGER|DOUBLE|DATE|TIMESTAMP( WITH TIME ZONE)?|DECIMAL\((\d{1,2}),(\d{1,2})\))$/;

function readTypes(section: Section): Readonly<Record<string, string>> {
  const types = section.section('types', 'any');
  return Object.fromEntries(
    types.keys().map((column) => {
      const spelled = (types.text(column, '') ?? '').toUpperCase().replace(/ *, */, ',');
      const match = type.exec(spelled);
      const decimal = match?.[4] === undefined || (Number(match[4]) >= 1 && Number(match[4]) <= 38 && Number(match[5]) <= Number(match[4]));
      if (match === null || !decimal)
        types.refuse(column, `"${spelled}" is no type for a column; use VARCHAR, BIGINT, DOUBLE, DECIMAL(p,s), BOOLEAN, DATE, TIMESTAMP …`);
      return [column, spelled];
    }),
  );
}
