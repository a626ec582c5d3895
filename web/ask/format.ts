/** SQL laid out anew: a clause a line, words of SQL in capitals. Only spaces and the case of those words change; comments stay. Pure. */

const token =
  /--[^\n]*|\/\*[\s\S]*?\*\/|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$([A-Za-z_]\w*)?\$[\s\S]*?\$\1\$|\$?[\p{L}_][\p{L}\p{N}_$]*|\d[\d_.]*(?:[eE][+-]?\d+)?|::|:=|=>|->>|->|<=|>=|<>|!=|\|\||\*\*|[^\s]/gu;

/** Begin a line of their own. */
const clauses = [
  'SELECT',
  'FROM',
  'WHERE',
  'GROUP BY',
  'HAVING',
  'QUALIFY',
  'ORDER BY',
  'LIMIT',
  'OFFSET',
  'UNION',
  'EXCEPT',
  'INTERSECT',
  'VALUES',
  'WITH',
  'WINDOW',
  'SET',
];
const joins = /^((NATURAL|ASOF|POSITIONAL|INNER|CROSS|LEFT|RIGHT|FULL|SEMI|ANTI)( (OUTER|JOIN))?|JOIN)$/;
const words = new Set(
  'SELECT DISTINCT FROM WHERE GROUP BY HAVING QUALIFY ORDER LIMIT OFFSET UNION ALL EXCEPT INTERSECT VALUES WITH RECURSIVE AS ON USING AND OR NOT IN IS NULL LIKE ILIKE BETWEEN CASE WHEN THEN ELSE END JOIN INNER LEFT RIGHT FULL OUTER CROSS NATURAL ASOF SEMI ANTI CAST ASC DESC NULLS FIRST LAST OVER PARTITION FILTER EXISTS INTERVAL TRUE FALSE ROLLUP CUBE GROUPING SETS WINDOW ROWS RANGE PRECEDING FOLLOWING UNBOUNDED CURRENT ROW EXCLUDE REPLACE'.split(
    ' ',
  ),
);
const longest = 100;

export function formatSql(sql: string): string {
  const list = [...sql.matchAll(token)].map(([text]) => (words.has(text.toUpperCase()) ? text.toUpperCase() : text));
  // A word of SQL behind a dot, or called like a function that it is not, is a name.
  const tokens = list.map((text, at) => (list[at - 1] === '.' || list[at + 1] === '.' ? [...sql.matchAll(token)][at]![0] : text));
  return lay(tokens, 0).join('\n');
}

/** Lines of the tokens, each clause on its own; what stands in parentheses is laid out too where it is a query or does not fit. */
function lay(tokens: readonly string[], indent: number): string[] {
  const lines: string[] = [];
  const pad = ' '.repeat(indent);
  let line: string[] = [];
  let within = 0;
  let between = false;
  const end = () => {
    if (line.length > 0) lines.push(...wrapped(line, pad));
    line = [];
  };
  for (let at = 0; at < tokens.length; at++) {
    const text = tokens[at]!;
    const pair = `${text} ${tokens[at + 1] ?? ''}`;
    const isComment = text.startsWith('--');
    if (within === 0) {
      const clause = clauses.find((each) => each === text || each === pair);
      const join = joins.test(text) && (line.length === 0 || !joins.test(line.at(-1)!.split(' ').at(-1)!)) && tokens[at + 1] !== '(';
      if (clause !== undefined || join) end();
      else if (text === 'AND' && between) between = false;
      else if ((text === 'AND' || text === 'OR') && line[0] !== 'CASE') {
        if (['WHERE', 'HAVING', 'QUALIFY', 'ON', 'AND', 'OR'].includes(line[0] ?? '')) end();
      }
      if (text === 'BETWEEN') between = true;
    }
    if (text === '(' || text === '[') within++;
    if (text === ')' || text === ']') within = Math.max(0, within - 1);
    line.push(text);
    if (isComment) {
      lines.push(...wrapped(line, pad));
      line = [];
    }
  }
  end();
  return lines;
}

function wrapped(line: readonly string[], pad: string): string[] {
  const inner = ['AND', 'OR'].includes(line[0]!) ? `${pad}  ` : pad;
  const whole = inner + joined(line);
  const open = line.findIndex((text, at) => text === '(' && ['SELECT', 'WITH', 'FROM', 'VALUES'].includes(line[at + 1] ?? ''));
  if (open >= 0) {
    const close = closing(line, open);
    const rest = line.slice(close);
    const head = inner + joined(line.slice(0, open + 1));
    const body = lay(line.slice(open + 1, close), inner.length + 2);
    const [first, ...others] = rest.length > 1 ? lay(rest, inner.length) : [inner + joined(rest)];
    return [head, ...body, first!, ...others];
  }
  if (whole.length <= longest || !line.includes(',')) return [whole];
  const parts: string[][] = [[]];
  let depth = 0;
  for (const text of line) {
    if (text === '(' || text === '[') depth++;
    if (text === ')' || text === ']') depth--;
    parts.at(-1)!.push(text);
    if (text === ',' && depth === 0) parts.push([]);
  }
  if (parts.length === 1) return [whole];
  const head = line[0] === 'SELECT' || line[0] === 'WITH' ? parts[0]!.splice(0, 1) : [];
  return [
    ...(head.length > 0 ? [inner + head[0]] : []),
    ...parts.filter((part) => part.length > 0).map((part, at) => `${inner}${head.length > 0 || at > 0 ? '  ' : ''}${joined(part)}`),
  ];
}

function closing(line: readonly string[], open: number): number {
  let depth = 0;
  for (let at = open; at < line.length; at++) {
    if (line[at] === '(') depth++;
    if (line[at] === ')' && --depth === 0) return at;
  }
  return line.length;
}

/** One space between tokens, none where SQL has none by custom. */
function joined(line: readonly string[]): string {
  return line.reduce((text, next, at) => {
    const before = line[at - 1];
    if (before === undefined) return next;
    const tight =
      [',', ')', ']', '}', ';', '.', ':', '::'].includes(next) ||
      ['(', '[', '{', '.', '::', '$'].includes(before) ||
      (next === '(' && /^[\p{L}_"]/u.test(before) && !words.has(before)) ||
      (next === '(' && before === 'CAST') ||
      (next === '[' && /[\p{L}\p{N}_")\]]$/u.test(before) && !words.has(before)) ||
      ((before === '-' || before === '+') &&
        ['(', ',', '=', '<', '>', 'SELECT', 'THEN', 'ELSE', 'WHEN', 'AND', 'BETWEEN', 'LIMIT'].includes(line[at - 2] ?? '('));
    return text + (tight ? '' : ' ') + next;
  }, '');
}
