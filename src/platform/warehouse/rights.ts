/** What a file of grants/ lets somebody do beside statements: loads, transfers, views made at a word, and what is told of the work on tables. */
import { json } from 'node:stream/consumers';
import { type GrantFiles, mayRead, mayWrite, openGrants } from '#analyze';
import { fail, type Principal } from '#core';
import type { Routes } from './http.ts';

/** null is the front itself, which may all. Tables are schema.name, or name for one of main; they need not be there. Errors: GRANTS_BROKEN. */
export interface Rights {
  /** Whether each is theirs to read. What stands behind a view is not looked at. */
  mayRead(who: Principal | null, tables: readonly string[]): boolean;
  /** Errors: SQL_TABLE. */
  checkRead(who: Principal | null, tables: readonly string[]): void;
  /** Errors: SQL_WRITE. */
  checkWrite(who: Principal | null, tables: readonly string[]): void;
}

export function newRights(files: GrantFiles): Rights {
  const grants = openGrants(files);
  const named = (table: string) => (table.includes('.') ? table : `main.${table}`);

  function first(who: Principal | null, tables: readonly string[], isAllowed: (full: string) => boolean): string | undefined {
    return who === null ? undefined : tables.find((table) => !isAllowed(named(table)));
  }
  const unreadable = (who: Principal | null, tables: readonly string[]) =>
    first(who, tables, (full) => mayRead(grants.of(who as Principal), full));

  return {
    mayRead: (who, tables) => unreadable(who, tables) === undefined,
    checkRead(who, tables) {
      const table = unreadable(who, tables);
      if (table !== undefined) fail('SQL_TABLE', { table, problem: 'it does not exist, or is not yours to read' });
    },
    checkWrite(who, tables) {
      const table = first(who, tables, (full) => {
        const [schema, name] = full.split('.') as [string, string];
        const grant = grants.of(who as Principal);
        // Millrace's own schemas are refused by what writes, in its own words.
        return grant?.write == null || mayWrite(grant, schema, name);
      });
      if (table !== undefined) fail('SQL_WRITE', { table, problem: 'it does not exist, or is not yours to write' });
    },
  };
}

export function rightsRoutes(rights: Rights): Routes {
  return {
    /** For what the front does by itself. Errors: SQL_TABLE, SQL_WRITE. */
    'POST /rights': async ({ who, request }) => {
      const { read = [], write = [] } = (await json(request)) as { read?: readonly string[]; write?: readonly string[] };
      rights.checkRead(who, read);
      rights.checkWrite(who, write);
      return {};
    },
    /** Which of the lists of tables are theirs to read, each as a whole. */
    'POST /rights/readable': async ({ who, request }) => {
      const { lists } = (await json(request)) as { lists: readonly (readonly string[])[] };
      return { readable: lists.map((tables) => rights.mayRead(who, tables)) };
    },
  };
}
