/** Names and texts as the console writes them into a statement. */

export const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;
export const literal = (text: string) => `'${text.replaceAll("'", "''")}'`;

/** A column may be called like a word of SQL; behind a dot that does no harm. */
const plain = (name: string) => (/^[a-z_][a-z0-9_]*$/.test(name) ? name : quoted(name));
export const quotedTable = ({ schema, name }: { readonly schema: string; readonly name: string }) => `${plain(schema)}.${plain(name)}`;

/** A text as a name of a table (`isTableWord`): a–z, letters of scripts without capitals, digits and underscores; '' where nothing is left. */
export const tableWord = (text: string): string =>
  text
    // A Mac spells a file's 한 as ㅎㅏㄴ.
    .normalize('NFC')
    .toLowerCase()
    .replace(/[^a-z\p{Lo}\d]+/gu, '_')
    .replace(/^[\d_]+|_+$/g, '')
    .slice(0, 63);

/** What a file's table is called at first: its name without its kind. One that begins with digits keeps them behind a t. */
export function tableOfFile(file: string): string {
  const stem = file.replace(/(\.\w+){1,2}$/, '');
  return tableWord(/^[^\p{L}]*\d/u.test(stem) ? `t_${stem}` : stem) || 'loaded';
}

/** The name, or with the first number behind it that makes it one that nothing has. */
export function freeTable(word: string, taken: (word: string) => boolean): string {
  if (!taken(word)) return word;
  let n = 2;
  while (taken(numbered(word, n))) n++;
  return numbered(word, n);
}

const numbered = (word: string, n: number) => `${word.slice(0, 62 - String(n).length)}_${n}`;
