import { type Drift, type EventTime, type Field, type FieldType, fail, type Micros, type TimeUnit, type Topic } from '#core';
import { type Node, readDefinition, type Section, textProblem } from '#definition';

const topicOptions = ['title', 'fields', 'id', 'time', 'type', 'drift', 'dedupe_window'] as const;
const fieldOptions = ['type', 'required'] as const;
const timeOptions = ['field', 'unit', 'required', 'earliest', 'ahead'] as const;
const fieldTypes = ['text', 'integer', 'double', 'boolean', 'timestamp', 'date', 'json', 'decimal(p,s)'] as const;
const drifts: readonly Drift[] = ['evolve', 'freeze', 'discard'];
const timeUnits: readonly TimeUnit[] = ['iso', 's', 'ms', 'us'];

/** Delivery promotes at most this many columns of a topic; wide tables cost more time each tick than they are worth. */
const maxFields = 200;
const maxNameLength = 63;
const hour = 3_600_000;
const year = 366 * 24 * hour;
const year2000: Micros = Date.UTC(2000, 0, 1) * 1_000;

/** 1 to 63 of a–z, 0–9 and _, starting with a letter: a name that is the same in a path, in a URL and in SQL. */
export function isTopicName(name: string): boolean {
  return /^[a-z][a-z0-9_]{0,62}$/.test(name);
}

/**
 * A topic's definition file as checked data. Pure. `file` is only for messages.
 * TOPIC_NAME; DEFINITION_YAML and DEFINITION_INVALID name the line.
 */
export function parseTopic(name: string, yamlText: string, file: string): Topic {
  if (!isTopicName(name)) fail('TOPIC_NAME', { topic: name.slice(0, 100) });
  const top = readDefinition(yamlText, file, topicOptions);
  const fields = readFields(top);
  const names = fields.map((field) => field.name);
  const id = readId(top, fields);
  requireColumn(top, 'id', id, names, '_id');
  const time = readTime(top, fields);
  requireColumn(top, 'time', time?.field ?? null, id === null ? names : [...names, id], '_time');
  const type = top.text('type', maxNameLength);
  requireColumn(top, 'type', type, [...names, ...[id, time?.field ?? null].filter((field) => field !== null)], null);
  return {
    name,
    title: top.text('title') ?? name,
    fields,
    id,
    time,
    type,
    drift: top.choice('drift', drifts, 'evolve'),
    dedupeWindow: top.duration('dedupe_window', { min: 0, max: year }, 24 * hour),
  };
}

function readFields(top: Section): Field[] {
  const section = top.section('fields', 'any');
  const names = section.keys();
  if (names.length > maxFields) top.refuse('fields', `has ${names.length} fields; at most ${maxFields} are taken`);
  const taken = new Map<string, string>();
  return names.map((name) => {
    const problem = fieldNameProblem(name);
    if (problem) section.refuse(name, problem);
    // The warehouse takes column names without regard to case.
    const twin = taken.get(name.toLowerCase());
    if (twin !== undefined) section.refuse(name, `stands twice: the fields "${twin}" and "${name}" differ only in case`);
    taken.set(name.toLowerCase(), name);
    return readField(section, name);
  });
}

/** `name: type` or `name: {type, required}`. */
function readField(fields: Section, name: string): Field {
  const node = fields.node(name);
  if (node?.kind !== 'map') return { name, type: readType(fields, name, node), required: false };
  const type = node.entries.get('type')?.value;
  // YAML ends an unquoted text at a comma inside { }: {type: decimal(18,2)} has the two keys `type` and `2)`.
  if (type?.kind === 'scalar' && /^decimal\(\d+$/.test(type.text))
    fields.refuse(name, 'breaks at its comma: inside { } a decimal needs quotes: "decimal(18,2)"');
  const section = fields.section(name, fieldOptions);
  return { name, type: readType(section, 'type', section.node('type')), required: section.boolean('required', false) };
}

function readType(section: Section, key: string, node: Node | null): FieldType {
  if (node?.kind !== 'scalar') return section.refuse(key, `needs a type: ${fieldTypes.join(', ')}`);
  const type = parseFieldType(node.text);
  return type ?? section.refuse(key, `can't be: "${node.text.slice(0, 100)}" is not a type; use ${fieldTypes.join(', ')}`);
}

/** The warehouse's decimals have 1 to 38 digits, `s` of them after the point. */
function parseFieldType(text: string): FieldType | null {
  const decimal = /^decimal\( ?(\d{1,2}) ?, ?(\d{1,2}) ?\)$/.exec(text);
  if (!decimal) return (fieldTypes as readonly string[]).includes(text) && text !== 'decimal(p,s)' ? (text as FieldType) : null;
  const [precision, scale] = [Number(decimal[1]), Number(decimal[2])];
  return precision >= 1 && precision <= 38 && scale <= precision ? `decimal(${precision},${scale})` : null;
}

function fieldNameProblem(name: string): string | null {
  if (name.startsWith('_')) return 'starts with _; such columns belong to Millrace';
  if (name.toLowerCase() === 'data') return 'is the name of the column that keeps the record as it was sent';
  return textProblem(name, maxNameLength);
}

function readId(top: Section, fields: readonly Field[]): string | null {
  const id = top.text('id', maxNameLength);
  if (id !== null) requireType(top, 'id', id, fields, ['text', 'integer']);
  return id;
}

/** `time: field` or `time: {field, unit, …}`. */
function readTime(top: Section, fields: readonly Field[]): EventTime | null {
  const node = top.node('time');
  if (node === null) return null;
  const short = node.kind === 'scalar';
  const section = short ? top : top.section('time', timeOptions);
  const key = short ? 'time' : 'field';
  const field = section.text(key, maxNameLength) ?? section.refuse(key, 'is missing: it names the field that carries the time');
  const unit = short ? 'iso' : section.choice('unit', timeUnits, 'iso');
  requireType(section, key, field, fields, unit === 'iso' ? ['text', 'timestamp'] : ['integer', 'double', 'text']);
  return {
    field,
    unit,
    required: short || section.boolean('required', true),
    earliest: short ? year2000 : readEarliest(section),
    ahead: (short ? 24 * hour : section.duration('ahead', { min: 0, max: 10 * year }, 24 * hour)) * 1_000,
  };
}

/** A date (its start in UTC) or an instant with an offset. */
function readEarliest(section: Section): Micros {
  const text = section.text('earliest');
  if (text === null) return year2000;
  const shape = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2}))?$/;
  const at = shape.test(text) ? Date.parse(text) : Number.NaN;
  // Date.parse takes 31 February and gives a day of March.
  const real = !Number.isNaN(at) && new Date(`${text.slice(0, 10)}T00:00:00Z`).toISOString().startsWith(text.slice(0, 10));
  return real ? at * 1_000 : section.refuse('earliest', `can't be "${text}"; use a date (2020-01-31) or an instant with an offset`);
}

/** The columns that every topic's table has: src/store/columns.ts fills them. */
const ownColumns: readonly string[] = ['_position', '_batch', '_received', '_time', '_id', 'data'];

/**
 * The fields that carry id, time and type become columns too: a table that has a column of that name already could not be made, and
 * nothing of the topic be delivered. `own` is the column of Millrace's that holds what the field says anyway.
 */
function requireColumn(top: Section, key: string, field: string | null, before: readonly string[], own: string | null): void {
  if (field === null) return;
  const lower = field.toLowerCase();
  if (ownColumns.includes(lower) && lower !== own)
    top.refuse(key, `can't be "${field}": the table has a column of Millrace's with that name`);
  // The warehouse takes column names without regard to case.
  const twin = before.find((name) => name !== field && name.toLowerCase() === lower);
  if (twin !== undefined) top.refuse(key, `can't be "${field}": it differs only in case from "${twin}"`);
}

function requireType(section: Section, key: string, name: string, fields: readonly Field[], types: readonly FieldType[]): void {
  const declared = fields.find((field) => field.name === name);
  if (declared && !types.includes(declared.type)) {
    section.refuse(key, `can't be that field: "${name}" is declared as ${declared.type}; here it must be ${types.join(' or ')}`);
  }
}
