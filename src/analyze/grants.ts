import { MillraceError, type Principal } from '#core';
import { isAllowedFunction, isCatalog, type Reads, readStatement, type Serialize, type Who } from '#sql';
import { OWN_SCHEMAS, type Store } from '#store';
import { type Grant, type GrantFiles, isGranted, openGrants } from './granted.ts';

/**
 * What somebody may read and write: as far as the role goes, narrowed by the files of grants/. A view is read with the rights of
 * whoever asks, not of whoever made it: all that stands behind it must be theirs to read, however many views deep. So it is with a
 * question within a question (a model's input): `Who` knows it by itself.
 */
export interface Grants {
  /** Errors: GRANTS_BROKEN. */
  of(who: Principal, serialize: Serialize): Promise<Who>;
  /** Names (schema.name) that they may read. Errors: GRANTS_BROKEN. */
  readable(who: Principal, serialize: Serialize): Promise<string[]>;
  /** The topics whose tables it reads, through views too. */
  topics(reads: Reads, serialize: Serialize): Promise<string[]>;
}

/** What a view reads, in full names; `foreign` where it does what no statement here may: nobody reads it. */
interface Behind {
  readonly tables: readonly string[];
  readonly foreign: boolean;
}

/** What a view's text says; null for one that is no statement of ours. What its names mean depends on where the view is and what else there is. */
type Said = Reads | null;

const NO_FILES: GrantFiles = { list: () => [], problems: () => [] };
const OF_OTHERS = 'it is a view of something that is not yours to read';

export function newGrants(store: Pick<Store, 'names' | 'rows'>, files: GrantFiles = NO_FILES): Grants {
  const granted = openGrants(files);
  /** As long as the names are the same object: every commit that changes a name makes it anew. */
  let known: { readonly names: ReadonlySet<string>; readonly catalog: Promise<Catalog> } | null = null;
  /** By the view's text. */
  let texts = new Map<string, Said>();

  async function catalogOf(names: ReadonlySet<string>, serialize: Serialize): Promise<Catalog> {
    const views = new Map<string, Behind>();
    const kept = new Map<string, Said>();
    const macros = new Set((await store.rows(MACROS)).map((row) => String(row['name'])));
    for (const row of await store.rows(VIEWS)) {
      const [schema, text] = [String(row['schema']), String(row['sql'])];
      const said = texts.has(text) ? texts.get(text)! : await saidIn(text, serialize);
      kept.set(text, said);
      views.set(fullName(schema, String(row['name'])), behindOf(said, schema, { names, macros }));
    }
    texts = kept;
    return { names, views, macros };
  }

  async function catalog(serialize: Serialize): Promise<Catalog> {
    const names = await store.names();
    if (known?.names !== names) {
      const entry = { names, catalog: catalogOf(names, serialize) };
      known = entry;
      // What failed is not kept.
      entry.catalog.catch(() => {
        if (known === entry) known = null;
      });
    }
    return known.catalog;
  }

  return {
    async of(who, serialize) {
      const { names, views, macros } = await catalog(serialize);
      const grant = granted.of(who);
      const problemOf = (full: string) => problemWith(full, { who, grant, views });
      return {
        role: who.role,
        mayRead(schema, name) {
          const full = fullName(schema, name);
          return names.has(full) && problemOf(full) === null;
        },
        problem(schema, name) {
          const full = fullName(schema, name);
          return names.has(full) ? problemOf(full) : null;
        },
        mayCall: (name) => !macros.has(name.toLowerCase()),
        mayWrite: (schema, name) => mayWrite(grant, schema, name),
      };
    },
    async readable(who, serialize) {
      const { names, views } = await catalog(serialize);
      const grant = granted.of(who);
      return [...names].filter((full) => problemWith(full, { who, grant, views }) === null);
    },
    async topics(reads, serialize) {
      const { views } = await catalog(serialize);
      const all = new Set(reads.tables.map(({ schema, name }) => fullName(schema, name)));
      for (const full of all) for (const behind of views.get(full)?.tables ?? []) all.add(behind);
      return [...all].filter((full) => full.startsWith(RAW)).map((full) => full.slice(RAW.length));
    },
  };
}

/** Whether a grant lets its holder make, change or drop a table of that name (null: the schema itself). */
export function mayWrite(grant: Grant | null, schema: string, name: string | null): boolean {
  const full = `${schema.toLowerCase()}.${name === null ? '*' : name.toLowerCase()}`;
  return !OWN_SCHEMAS.has(schema.toLowerCase()) && (grant === null || grant.write === null || isGranted(full, grant.write));
}

/** Whether a grant lets its holder read a table of that name (schema.name), be it there or not; what stands behind a view is not looked at. */
export function mayRead(grant: Grant | null, full: string): boolean {
  return grant?.read == null || isGranted(full.toLowerCase(), grant.read);
}

interface Catalog {
  readonly names: ReadonlySet<string>;
  readonly views: ReadonlyMap<string, Behind>;
  /** Functions that somebody has made in the file: a name of the list could stand for one of them. */
  readonly macros: ReadonlySet<string>;
}

const VIEWS = `SELECT schema_name AS schema, view_name AS name, sql FROM duckdb_views() WHERE NOT internal AND NOT temporary`;
const MACROS = `SELECT DISTINCT lower(function_name) AS name FROM duckdb_functions() WHERE NOT internal`;

async function saidIn(text: string, serialize: Serialize): Promise<Said> {
  try {
    return (await readStatement(text, serialize)).reads;
  } catch (thrown) {
    if (!(thrown instanceof MillraceError)) throw thrown;
    return null;
  }
}

/** DuckDB looks for a bare name of a view in the view's own schema, then in main, anew at each reading; and so it does for a macro. */
function behindOf(said: Said, schema: string, { names, macros }: Pick<Catalog, 'names' | 'macros'>): Behind {
  if (said === null) return { tables: [], foreign: true };
  const bound = (name: string) => (names.has(fullName(schema, name)) ? fullName(schema, name) : fullName(null, name));
  return {
    tables: said.tables.map((table) => (table.schema === null ? bound(table.name) : fullName(table.schema, table.name))),
    foreign:
      said.tables.some((table) => isCatalog(table.schema, table.name)) ||
      said.functions.some(({ name, inFrom }) => !isAllowedFunction(name, inFrom) || macros.has(name.toLowerCase())),
  };
}

interface Asked {
  readonly who: Principal;
  readonly grant: Grant | null;
  readonly views: ReadonlyMap<string, Behind>;
}

/** Why they may not read it; null if they may. Behind a view the grant counts for each table; the view itself must be granted too. */
function problemWith(full: string, { who, grant, views }: Asked): string | null {
  const isOwn = (name: string) => !isWithheld(who.role, name) && (grant?.read == null || isToldToAll(name) || isGranted(name, grant.read));
  if (!isOwn(full)) return NOT_YOURS;
  const seen = new Set<string>();
  const reaches = (name: string): boolean => {
    if (seen.has(name)) return false;
    seen.add(name);
    const behind = views.get(name);
    return behind !== undefined && (behind.foreign || behind.tables.some((each) => !isOwn(each) || reaches(each)));
  };
  return reaches(full) ? OF_OTHERS : null;
}

/** Where the tables of topics are. */
const RAW = 'raw.';

const NOT_YOURS = 'it does not exist, or is not yours to read';

/** The bytes of quarantine, which are an admin's through their own route; rows that were replaced; others' questions. */
function isWithheld(role: Principal['role'], full: string): boolean {
  if (full === 'millrace.query_log') return role !== 'admin';
  return full === 'millrace.quarantine' || full.startsWith('change.');
}

/** Of Millrace's own tables those that hold rows of others, or words about them that may quote a value: to be named in a file of grants. */
const QUOTING = new Set(
  ['late', 'audit', 'pause', 'query_run', 'transfer', 'transfer_hold', 'transfer_run'].map((name) => `millrace.${name}`),
);

/** What Millrace says of its own work else (batches, definitions of views) has names and counts; the console needs it. */
function isToldToAll(full: string): boolean {
  return full.startsWith('millrace.') && !QUOTING.has(full);
}

function fullName(schema: string | null, name: string): string {
  return `${schema ?? 'main'}.${name}`.toLowerCase();
}
