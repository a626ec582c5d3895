/** The tables that a statement names, found by name in its text: enough to say what something stands on, never to decide who may read it. */
import type { Table } from '#core';

export const fullName = ({ schema, name }: Pick<Table, 'schema' | 'name'>): string => `${schema}.${name}`;

/** The tables that the statement names, as the catalog knows them: schema.name anywhere, a bare name of main after FROM, JOIN or a comma. */
export function named(sql: string, tables: readonly Table[]): { found: Table[]; called: string[] } {
  const byName = new Map(tables.filter(({ origin }) => origin !== 'system').map((table) => [fullName(table).toLowerCase(), table]));
  const names = new Set<string>();
  const calls = new Set<string>();
  const ctes = new Set(
    [...bare(sql).matchAll(/([\p{L}_][\p{L}\p{N}_$]*)\s+AS\s+(?:NOT\s+)?(?:MATERIALIZED\s+)?\(/giu)].map((match) =>
      match[1]!.toLowerCase(),
    ),
  );
  const word = String.raw`(?:"(?:[^"]|"")+"|[\p{L}_][\p{L}\p{N}_$]*)`;
  const pattern = new RegExp(String.raw`(\b(?:FROM|JOIN)\s+|,\s*)?(${word})(?:\s*\.\s*(${word}))?(\s*\()?`, 'giu');
  for (const [, lead, first, second, call] of bare(sql).matchAll(pattern)) {
    const [a, b] = [plain(first!), second === undefined ? undefined : plain(second)];
    if (b !== undefined && call !== undefined && ['answers', 'metrics', 'ml'].includes(a)) calls.add(`${a}.${b}`);
    if (b !== undefined) names.add(`${a}.${b}`);
    else if (lead !== undefined && call === undefined && !ctes.has(a)) names.add(`main.${a}`);
  }
  return { found: [...names].flatMap((name) => byName.get(name) ?? []), called: [...calls] };
}

/** Without comments and texts. */
function bare(sql: string): string {
  return sql.replace(/'(?:[^']|'')*'|--[^\n]*|\/\*[\s\S]*?\*\/|\$([A-Za-z_]\w*)?\$[\s\S]*?\$\1\$/g, ' ');
}

function plain(word: string): string {
  return (word.startsWith('"') ? word.slice(1, -1).replaceAll('""', '"') : word).toLowerCase();
}

/** Its names and words, in lower case. */
export function wordsOf(sql: string): ReadonlySet<string> {
  return new Set([...bare(sql).matchAll(/"(?:[^"]|"")+"|[\p{L}_][\p{L}\p{N}_$]*/gu)].map(([word]) => plain(word)));
}
