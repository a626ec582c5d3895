import { readStatement, type Statement } from '#sql';

type Serialize = Parameters<typeof readStatement>[1];

/** Texts kept, and the longest that is: dashboards ask the same again and again, and reading one takes up to a millisecond. */
const MOST = 256;
const LONGEST = 20_000;

/**
 * Reads statements as `readStatement` does, and remembers the newest: what a text means depends on nothing but the text. Whether
 * it may run depends on who asks and on what there is, so that is checked each time anew.
 */
export function newStatements(): { read(text: string, serialize: Serialize): Promise<Statement> } {
  const known = new Map<string, Statement>();
  return {
    async read(text, serialize) {
      const found = known.get(text);
      if (found !== undefined) {
        known.delete(text);
        known.set(text, found);
        return found;
      }
      const statement = await readStatement(text, serialize);
      if (text.length <= LONGEST) known.set(text, statement);
      if (known.size > MOST) known.delete(known.keys().next().value!);
      return statement;
    },
  };
}
