import { Cron } from 'croner';
import {
  type Drift,
  fail,
  isTableWord,
  isTimeZone,
  isWatchedSource,
  type Lookback,
  type Reference,
  type Transfer,
  type TransferMode,
  type TransferSchedule,
  type TransferTable,
  watchedSources,
} from '#core';
import { parseDuration, readDefinition, type Section } from '#definition';

const tableOptions = ['target', 'mode', 'key', 'cursor', 'lookback', 'drift', 'types'] as const;
const scheduleOptions = ['cron', 'watch', 'time_zone', 'retries', 'alerts'] as const;
const followOptions = ['follow', 'retries', 'alerts'] as const;
const modes: readonly TransferMode[] = ['full', 'append', 'merge', 'cdc'];
const drifts: readonly Drift[] = ['evolve', 'freeze', 'discard'];

/**
 * A transfer's definition file as checked data. Pure. `file` is only for messages. What the connection's options mean, the source says.
 * DEFINITION_YAML and DEFINITION_INVALID name the line.
 */
export function parseTransfer(name: string, yamlText: string, file: string): Transfer {
  if (!/^[a-z][a-z0-9_]{0,62}$/.test(name))
    fail('DEFINITION_INVALID', { file, problem: 'the name must be lower-case letters, digits and _' });
  const top = readDefinition(yamlText, file, ['source', 'connection', 'tables', 'schedule']);
  const tables = top.section('tables', 'any');
  const found = tables.keys().map((source) => readTable(tables, source));
  if (found.length === 0) top.refuse('tables', 'names no table');
  const targets = new Set<string>();
  for (const { source, target } of found) {
    if (targets.has(target)) tables.refuse(source, `can't have the target "${target}": it is the target of two tables`);
    targets.add(target);
  }
  if (found.some(({ mode }) => mode === 'cdc') && found.some(({ mode }) => mode !== 'cdc'))
    top.refuse(
      'tables',
      'mixes the mode cdc with others: it needs a transfer of its own, since it follows the source for as long as Millrace runs',
    );
  const source = top.text('source') ?? top.refuse('source', 'is missing: it names where the tables are');
  const follows = found[0]!.mode === 'cdc';
  const schedule = follows
    ? readFollowing(top)
    : top.node('schedule') === null
      ? null
      : readSchedule(top.section('schedule', scheduleOptions), source);
  return {
    name,
    source,
    connection: readConnection(top),
    tables: found,
    ...(schedule === null ? {} : { schedule }),
  };
}

function readSchedule(section: Section, source: string): TransferSchedule | null {
  if (section.boolean('watch', false)) return readWatching(section, source);
  if (section.node('watch') !== null && section.node('cron') === null) return null;
  const cron = section.needText('cron');
  try {
    new Cron(cron, { mode: '5-part', paused: true });
  } catch (error) {
    section.refuse('cron', `can't be "${cron}" (${(error as Error).message}); use minute, hour, day, month, weekday, as in 0 6 * * *`);
  }
  const timeZone = section.text('time_zone');
  if (timeZone !== null && !isTimeZone(timeZone)) section.refuse('time_zone', `can't be "${timeZone}": it is not an IANA time zone`);
  return { cron, timeZone, ...readAlarms(section) };
}

/** A folder says itself when there is something to do. */
function readWatching(section: Section, source: string): TransferSchedule {
  if (!isWatchedSource(source))
    section.refuse('watch', `has no use with the source ${source}: only folders are watched (${Object.keys(watchedSources).join(', ')})`);
  for (const key of ['cron', 'time_zone'])
    if (section.node(key) !== null) section.refuse(key, 'can’t stand beside "watch": a folder that is watched is loaded when files come');
  return { cron: 'files', timeZone: null, ...readAlarms(section) };
}

/** What follows a log begins with Millrace, unless it says that it does not. */
function readFollowing(top: Section): TransferSchedule | null {
  if (top.node('schedule') === null) return { cron: 'always', timeZone: null, retries: 3, alerts: null };
  const section = top.section('schedule', followOptions);
  return section.boolean('follow', true) ? { cron: 'always', timeZone: null, ...readAlarms(section) } : null;
}

function readAlarms(section: Section): Pick<TransferSchedule, 'retries' | 'alerts'> {
  const alerts = section.text('alerts');
  if (alerts !== null && !/^[a-z][a-z0-9_]{0,62}$/.test(alerts)) section.refuse('alerts', `can't be "${alerts}": it is no name of a topic`);
  return { retries: section.integer('retries', { min: 0, max: 20 }, 3), alerts };
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
  if (node?.kind !== 'map') return section.refuse(key, 'must be a value, { env: NAME } or { file: PATH }');
  const reference = section.section(key, ['env', 'file']);
  const env = reference.text('env');
  const path = reference.text('file');
  if ((env === null) === (path === null)) section.refuse(key, 'needs either env or file');
  return env === null ? { file: path! } : { env };
}

function readTable(tables: Section, source: string): TransferTable {
  const section = tables.section(source, tableOptions);
  const target = section.text('target') ?? section.refuse('target', 'is missing: it names the table in the warehouse');
  const words = target.split('.');
  if (words.length !== 2 || !words.every(isTableWord)) section.refuse('target', `can't be "${target}"; use schema.name in lower case`);
  const mode = section.choice('mode', modes, 'full');
  const cursor = section.text('cursor');
  const lookback = readLookback(section);
  if (cursor !== null && mode === 'cdc') section.refuse('cursor', 'has no use: mode cdc follows the source’s own log');
  if (cursor !== null && mode === 'full') section.refuse('cursor', 'has no use: mode full reads the whole table, so it takes no cursor');
  if (lookback !== null && cursor === null) section.refuse('lookback', 'needs a cursor beside it');
  if (lookback !== null && mode !== 'merge')
    section.refuse('lookback', 'needs mode merge: only mode merge can read rows again without doubling them');
  return {
    source,
    target,
    mode,
    key: section.texts('key'),
    cursor,
    lookback,
    drift: section.choice('drift', drifts, 'evolve'),
    types: readTypes(section),
  };
}

function readLookback(section: Section): Lookback | null {
  const text = section.text('lookback');
  if (text === null) return null;
  if (/^\d{1,15}$/.test(text)) return { units: Number(text) };
  const millis = parseDuration(text);
  return millis === null ? section.refuse('lookback', `can't be "${text}": it is neither a duration (10m) nor a number`) : { millis };
}

const columnTypes =
  /^(VARCHAR|JSON|BOOLEAN|U?(TINY|SMALL|BIG)INT|U?INTEGER|DOUBLE|DATE|TIMESTAMP( WITH TIME ZONE)?|DECIMAL\((\d{1,2}),(\d{1,2})\))$/;

function readTypes(section: Section): Readonly<Record<string, string>> {
  const types = section.section('types', 'any');
  return Object.fromEntries(
    types.keys().map((column) => {
      const spelled = types.text(column) ?? '';
      const type =
        columnType(spelled) ??
        types.refuse(
          column,
          `can't be "${spelled}": it is no type for a column; use VARCHAR, BIGINT, DOUBLE, DECIMAL(p,s), BOOLEAN, DATE, TIMESTAMP …`,
        );
      return [column, type];
    }),
  );
}

/** A type that a user may give to a column, as the warehouse spells it; null where it is none. */
export function columnType(spelled: string): string | null {
  const type = spelled.toUpperCase().replace(/ *, */, ',');
  const match = columnTypes.exec(type);
  const decimal = match?.[4] === undefined || (Number(match[4]) >= 1 && Number(match[4]) <= 38 && Number(match[5]) <= Number(match[4]));
  return match !== null && decimal ? type : null;
}
