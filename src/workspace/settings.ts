import type { Bytes, Millis, Role } from '#core';
import { near } from './near.ts';
import { Section } from './section.ts';
import { readYaml } from './yaml.ts';

/** What one role may ask of the machine: seconds of a query, rows of its result, queries at a time. */
export interface RoleLimits {
  readonly seconds: number;
  readonly rows: number;
  readonly concurrency: number;
}

/** millrace.yaml as checked data. */
export interface Settings {
  readonly name: string;
  /** IANA name; days, hours and weeks of answers are cut in it. Instants are kept in UTC. */
  readonly timeZone: string;
  /** ISO 4217. */
  readonly currency: string;
  readonly weekStart: Weekday;
  /** For all processes together. Read when Millrace starts. */
  readonly memory: Bytes;
  readonly limits: {
    readonly recordBytes: Bytes;
    readonly bodyBytes: Bytes;
    readonly batchRecords: number;
    /** Levels of nesting in a record. */
    readonly depth: number;
    /** Records are refused while less than this is free on the disk. */
    readonly diskReserve: Bytes;
  };
  readonly topicsCreate: 'never' | 'on_first_use';
  readonly retention: {
    /** How long the log keeps what is in the warehouse. */
    readonly log: Millis;
    /** How long a refused record stays in quarantine. */
    readonly quarantine: Millis;
  };
  /** A write key asks nothing: its limits are 0. */
  readonly roles: Readonly<Record<Role, RoleLimits>>;
}

export type Weekday = (typeof weekdays)[number];
const weekdays = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'] as const;
const settingsOptions = ['name', 'time_zone', 'currency', 'week_start', 'memory', 'topics', 'limits', 'retention', 'roles'] as const;
const topicsOptions = ['create'] as const;
const limitOptions = ['record_bytes', 'body_bytes', 'batch_records', 'depth', 'disk_reserve'] as const;
const retentionOptions = ['log', 'quarantine'] as const;
const roleOptions = ['seconds', 'rows', 'concurrency'] as const;
const roleNames = ['admin', 'editor', 'viewer'] as const;

const MiB = 2 ** 20;
const day = 86_400_000;
const roleDefaults: Readonly<Record<Role, RoleLimits>> = {
  admin: { seconds: 600, rows: 10_000_000, concurrency: 8 },
  editor: { seconds: 300, rows: 10_000_000, concurrency: 4 },
  viewer: { seconds: 60, rows: 1_000_000, concurrency: 4 },
  write: { seconds: 0, rows: 0, concurrency: 0 },
};

/** millrace.yaml as checked data. Pure. DEFINITION_YAML and DEFINITION_INVALID name the line. */
export function parseSettings(yamlText: string, file: string): Settings {
  const top = new Section(readYaml(yamlText, file), file, settingsOptions);
  const limits = top.section('limits', limitOptions);
  const retention = top.section('retention', retentionOptions);
  const recordBytes = limits.bytes('record_bytes', { min: 1024, max: 16 * MiB }, MiB);
  return {
    name: top.text('name', null) ?? top.refuse('name', '"name" is missing'),
    timeZone: readTimeZone(top),
    currency: readCurrency(top),
    weekStart: top.choice('week_start', weekdays, 'monday'),
    memory: top.bytes('memory', { min: 256 * MiB, max: 2 ** 44 }, 1e9),
    limits: {
      recordBytes,
      bodyBytes: limits.bytes('body_bytes', { min: recordBytes, max: 256 * MiB }, 16 * MiB),
      batchRecords: limits.integer('batch_records', { min: 1, max: 100_000 }, 10_000),
      depth: limits.integer('depth', { min: 1, max: 256 }, 64),
      diskReserve: limits.bytes('disk_reserve', { min: MiB, max: 2 ** 44 }, 256 * MiB),
    },
    topicsCreate: top.section('topics', topicsOptions).choice('create', ['never', 'on_first_use'], 'never'),
    retention: {
      log: retention.duration('log', { min: day, max: 3_660 * day }, 30 * day),
      quarantine: retention.duration('quarantine', { min: day, max: 3_660 * day }, 30 * day),
    },
    roles: readRoles(top.section('roles', roleNames)),
  };
}

function readRoles(section: Section): Settings['roles'] {
  const read = (role: (typeof roleNames)[number]): RoleLimits => {
    const limits = section.section(role, roleOptions);
    const absent = roleDefaults[role];
    return {
      seconds: limits.integer('seconds', { min: 1, max: 86_400 }, absent.seconds),
      rows: limits.integer('rows', { min: 1, max: 1e12 }, absent.rows),
      concurrency: limits.integer('concurrency', { min: 1, max: 1_000 }, absent.concurrency),
    };
  };
  return { admin: read('admin'), editor: read('editor'), viewer: read('viewer'), write: roleDefaults.write };
}

function readTimeZone(top: Section): string {
  const zone = top.text('time_zone', null) ?? top.refuse('time_zone', '"time_zone" is missing; give an IANA name such as Asia/Seoul');
  if (isTimeZone(zone)) return zone;
  const hint = near(zone, Intl.supportedValuesOf('timeZone'));
  return top.refuse('time_zone', `"${zone}" is not an IANA time zone${hint ? `; ${hint} is near` : ', such as Asia/Seoul'}`);
}

/** An offset (+09:00) is no zone: it knows no daylight saving time. */
function isTimeZone(zone: string): boolean {
  if (!/^[A-Z][A-Za-z0-9_+/-]{0,63}$/.test(zone)) return false;
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

function readCurrency(top: Section): string {
  const currency = top.text('currency', null) ?? top.refuse('currency', '"currency" is missing; give an ISO 4217 code such as KRW');
  if (Intl.supportedValuesOf('currency').includes(currency)) return currency;
  return top.refuse('currency', `"${currency}" is not a currency of ISO 4217, such as KRW or USD`);
}

/** What `millrace init` writes: every option that most people change, the others as comments with their defaults. */
function settingsTemplate(of: { name: string; timeZone: string; currency: string }): string {
  // A JSON string is a YAML string, whatever it holds.
  const quote = (text: string) => JSON.stringify(text);
  return `# The settings of this workspace. docs/definitions.md lists every option.
# A change is seen while Millrace runs, except memory, which is read at the start.

name: ${quote(of.name)}
time_zone: ${quote(of.timeZone)}     # IANA name; days, hours and weeks are cut in it
currency: ${quote(of.currency)}             # ISO 4217
week_start: monday

memory: 1GB                 # for all processes together

topics:
  create: never             # never, or on_first_use: a record to an unknown topic makes it

# limits:
#   record_bytes: 1MiB      # the largest record (up to 16MiB)
#   body_bytes: 16MiB       # the largest request
#   batch_records: 10000
#   depth: 64               # levels of nesting in a record
#   disk_reserve: 256MiB    # records are refused while less is free

# retention:
#   quarantine: 30d         # how long refused records are kept

# roles:                    # limits of queries
#   viewer: { seconds: 60, rows: 1000000, concurrency: 4 }
`;
}

/** Refuses a choice of `init` with the words of the file that it would write. */
export function checkedTemplate(of: { name: string; timeZone: string; currency: string }, file: string): string {
  const text = settingsTemplate(of);
  parseSettings(text, file);
  return text;
}
