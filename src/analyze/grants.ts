import { fail, type Role } from '#core';
import { readStatement, type Serialize, type Statement, type Who } from '#sql';
import { OWN_SCHEMAS, type Store } from '#store';

/**
 * What each role may read and write. A view is read with the rights of whoever asks, not of whoever made it: what stands behind it
 * is checked as well, however many views deep.
 */
export interface Grants {
  of(role: Role): Promise<Who>;
  /** Names (schema.name) that the role may read. */
  readable(role: Role): Promise<string[]>;
  /** SQL_TABLE, naming the view, where a view that the statement reads rests on something that the role may not read. */
  checkThrough(statement: Statement, role: Role, serialize: Serialize): Promise<void>;
}

export function newGrants(store: Pick<Store, 'names' | 'rows'>): Grants {
  /** Views and their texts, as long as the names are the same object: every commit that changes a name makes it anew. */
  let known: { readonly names: ReadonlySet<string>; readonly views: Promise<ReadonlyMap<string, string>> } | null = null;

  async function views(): Promise<ReadonlyMap<string, string>> {
    const names = await store.names();
    if (known?.names !== names) known = { names, views: viewsOf(store) };
    return known.views;
  }

  async function checkView(full: string, role: Role, serialize: Serialize, shown: string, seen: Set<string>): Promise<void> {
    const text = (await views()).get(full);
    if (text === undefined || seen.has(full)) return;
    seen.add(full);
    const { reads } = await readStatement(text, serialize);
    for (const { schema, name } of reads.tables) {
      const behind = fullName(schema, name);
      if (isWithheld(role, behind)) fail('SQL_TABLE', { table: shown, problem: 'it is a view of something that is not yours to read' });
      await checkView(behind, role, serialize, shown, seen);
    }
  }

  return {
    async of(role) {
      const names = await store.names();
      return {
        role,
        mayRead(schema, name) {
          const full = fullName(schema, name);
          return names.has(full) && !isWithheld(role, full);
        },
        mayWrite: (schema) => !OWN_SCHEMAS.has(asciiLower(schema)),
      };
    },
    readable: async (role) => [...(await store.names())].filter((full) => !isWithheld(role, full)),
    async checkThrough(statement, role, serialize) {
      const seen = new Set<string>();
      for (const { schema, name } of statement.reads.tables) {
        const full = fullName(schema, name);
        await checkView(full, role, serialize, full, seen);
      }
    },
  };
}

async function viewsOf(store: Pick<Store, 'rows'>): Promise<ReadonlyMap<string, string>> {
  const rows = await store.rows(
    `SELECT lower(schema_name || '.' || view_name) AS name, sql FROM duckdb_views() WHERE NOT internal AND NOT temporary`,
  );
  return new Map(rows.map((row) => [String(row['name']), String(row['sql'])]));
}

/** The bytes of quarantine, which are an admin's through their own route; rows that were replaced; others' questions. */
function isWithheld(role: Role, full: string): boolean {
  if (full === 'millrace.query_log') return role !== 'admin';
  return full === 'millrace.quarantine' || full.startsWith('change.');
}

function fullName(schema: string | null, name: string): string {
  return `${schema ?? 'main'}.${name}`.toLowerCase();
}

function asciiLower(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}
