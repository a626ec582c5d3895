/** Names and texts as the console writes them into a statement. */

export const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;
export const literal = (text: string) => `'${text.replaceAll("'", "''")}'`;

/** A column may be called like a word of SQL; behind a dot that does no harm. */
const plain = (name: string) => (/^[a-z_][a-z0-9_]*$/.test(name) ? name : quoted(name));
export const quotedTable = ({ schema, name }: { readonly schema: string; readonly name: string }) => `${plain(schema)}.${plain(name)}`;

/** A text as a name of a table: small letters of any script, digits and underscores, no digit first. */
export const tableWord = (text: string): string =>
  text
    .toLowerCase()
    .replace(/[^\p{Ll}\p{Lo}\d_]+/gu, '_')
    .replace(/^[\d_]+/, '');
