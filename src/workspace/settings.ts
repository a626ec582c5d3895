import { type Bytes, isTimeZone, type Millis, nearest, type Role, type Weekday, weekdays } from '#core';
import { readDefinition, type Section } from '#definition';

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
  /** Weeks of answers begin on it. */
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
  readonly transfer: {
    /** Of a file that a user drops, unpacked by the sender or not. */
    readonly uploadBytes: Bytes;
    /** Of a file that is fetched by its URL. */
    readonly downloadBytes: Bytes;
    /** How long fetching it may take. */
    readonly downloadTime: Millis;
    /** Addresses (10.0.0.0/8, ::1) that URLs may lead to although they are private. */
    readonly privateAddresses: readonly string[];
    /** Environment variables that definitions may read; null for all but Millrace's own. A * at the end stands for anything. */
    readonly env: readonly string[] | null;
    /** Folders whose files definitions may read as secrets, relative to the workspace; null for the workspace alone. */
    readonly files: readonly string[] | null;
  };
  /** A write key asks nothing: its limits are 0. */
  readonly roles: Readonly<Record<Role, RoleLimits>>;
}

const settingsOptions = [
  'name',
  'time_zone',
  'currency',
  'week_start',
  'memory',
  'topics',
  'limits',
  'retention',
  'transfer',
  'roles',
] as const;
const topicsOptions = ['create'] as const;
const limitOptions = ['record_bytes', 'body_bytes', 'batch_records', 'depth', 'disk_reserve'] as const;
const retentionOptions = ['log', 'quarantine'] as const;
const transferOptions = ['upload_bytes', 'download_bytes', 'download_time', 'private_addresses', 'env', 'files'] as const;
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
  const top = readDefinition(yamlText, file, settingsOptions);
  const limits = top.section('limits', limitOptions);
  const retention = top.section('retention', retentionOptions);
  const recordBytes = limits.bytes('record_bytes', { min: 1024, max: 16 * MiB }, MiB);
  return {
    name: top.needText('name'),
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
    transfer: readTransfer(top.section('transfer', transferOptions)),
    roles: readRoles(top.section('roles', roleNames)),
  };
}

function readTransfer(section: Section): Settings['transfer'] {
  const listed = (key: string) => (section.node(key) === null ? null : section.texts(key));
  const addresses = section.texts('private_addresses');
  for (const address of addresses)
    if (!/^[0-9A-Fa-f.:]{2,45}(\/\d{1,3})?$/.test(address))
      section.refuse('private_addresses', `can't hold "${address}"; use an address or a block such as 10.0.0.0/8`);
  return {
    uploadBytes: section.bytes('upload_bytes', { min: MiB, max: 2 ** 44 }, 16 * 2 ** 30),
    downloadBytes: section.bytes('download_bytes', { min: 1024, max: 2 ** 44 }, 16 * 2 ** 30),
    downloadTime: section.duration('download_time', { min: 1000, max: day }, 3_600_000),
    privateAddresses: addresses,
    env: listed('env'),
    files: listed('files'),
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
  const zone = top.text('time_zone') ?? top.refuse('time_zone', 'is missing; give an IANA name such as Asia/Seoul');
  if (isTimeZone(zone)) return zone;
  const hint = nearest(zone, Intl.supportedValuesOf('timeZone'));
  return top.refuse('time_zone', `can't be "${zone}": it is not an IANA time zone${hint ? `; ${hint} is near` : ', such as Asia/Seoul'}`);
}

function readCurrency(top: Section): string {
  const currency = top.text('currency') ?? top.refuse('currency', 'is missing; give an ISO 4217 code such as KRW');
  if (Intl.supportedValuesOf('currency').includes(currency)) return currency;
  return top.refuse('currency', `can't be "${currency}": it is not a currency of ISO 4217, such as KRW or USD`);
}

/** What `millrace init` writes: every option that most people change, the others as comments with their defaults. */
function settingsTemplate(of: { name: string; timeZone: string; currency: string }): string {
  // A JSON string is a YAML string, whatever it holds.
  const quote = (text: string) => JSON.stringify(text);
  return `# The settings of this workspace. docs/definitions.md lists every option.
# Changes of topics, transfer and retention are heeded while Millrace runs; all else is read when it starts.

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

# transfer:
#   upload_bytes: 16GiB     # the largest file that can be dropped
#   private_addresses: []   # such as 10.0.0.0/8: URLs may lead there; all other private addresses are refused
#   env: [SHOP_*]           # environment variables that definitions may read; all but MILLRACE_* where it is left out
#   files: [secrets]        # folders whose files they may read; the workspace where it is left out

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
