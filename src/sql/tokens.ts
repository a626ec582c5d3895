/**
 * The lexer of DuckDB's SQL, so that a text can be split without being understood. Its rules are those of PostgreSQL's scan.l as
 * DuckDB keeps them: nested block comments, dollar quotes, E'' strings with backslashes, parameters $1 / $name / ?, and every character
 * beyond ASCII as part of a word. It splits text for our own statements and colours the console's editor; what a SELECT means is
 * always decided by DuckDB's own parser.
 */
export type TokenKind =
  | 'word'
  | 'quoted'
  | 'string'
  | 'number'
  | 'parameter'
  | 'operator'
  | 'punctuation'
  | 'space'
  | 'comment'
  | 'invalid';

/** `start` and `end` are indexes into the JavaScript string; the texts of all tokens, one after another, are the whole text. */
export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/** DuckDB takes these for spaces (Parser::StripUnicodeSpaces) and, replacing them, moves all positions behind them. */
const unicodeSpaces = /[\u00a0\u2000-\u200b\u202f\u205f\u2060\u3000\ufeff]/g;

/** All beyond ASCII but those spaces. */
const wordStart = 'A-Za-z_\\u0080-\\u009f\\u00a1-\\u1fff\\u200c-\\u202e\\u2030-\\u205e\\u2061-\\u2fff\\u3001-\\ufefe\\uff00-\\uffff';
const rules: readonly (readonly [TokenKind, RegExp])[] = [
  ['space', /[ \t\n\r\f\u00a0\u2000-\u200b\u202f\u205f\u2060\u3000\ufeff]+/y],
  ['comment', /--[^\n\r]*/y],
  ['string', /[eE]'(?:[^'\\]|''|\\[\s\S])*'(?!')/y],
  ['string', /(?:[xXbBnN]|[uU]&)?'(?:[^']|'')*'(?!')/y],
  ['string', new RegExp(`\\$((?:[${wordStart}][${wordStart}0-9]*)?)\\$[^]*?\\$\\1\\$`, 'y')],
  ['quoted', /(?:[uU]&)?"(?:[^"]|"")*"(?!")/y],
  ['invalid', new RegExp(`(?:[eExXbBnN]|[uU]&)?'[^]*|(?:[uU]&)?"[^]*|\\$(?:[${wordStart}][${wordStart}0-9]*)?\\$[^]*`, 'y')],
  ['number', /(?:\d[\d_]*(?:\.(?!\.)[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?\d[\d_]*)?/y],
  ['parameter', new RegExp(`\\$\\d+|\\$[${wordStart}][${wordStart}0-9]*|\\?\\d*`, 'y')],
  ['word', new RegExp(`[${wordStart}][${wordStart}0-9$]*`, 'y')],
  ['punctuation', /::|:=|[,()[\]{}.;:]/y],
  ['operator', /[~!@#^&|`+\-*/%<>=]+/y],
];

/** Splits any text into tokens, never failing: what begins and doesn't end (a string, a comment) is one `invalid` token to the end. */
export function tokens(text: string): Token[] {
  const found: Token[] = [];
  for (let start = 0; start < text.length; ) {
    const [kind, end] = tokenAt(text, start);
    found.push({ kind, text: text.slice(start, end), start, end });
    start = end;
  }
  return found;
}

function tokenAt(text: string, start: number): [TokenKind, number] {
  if (text.startsWith('/*', start)) return blockComment(text, start);
  for (const [kind, pattern] of rules) {
    pattern.lastIndex = start;
    const match = pattern.exec(text);
    if (match) return [kind, start + (kind === 'operator' ? operatorLength(match[0]) : match[0].length)];
  }
  return ['invalid', start + 1];
}

function blockComment(text: string, start: number): [TokenKind, number] {
  const edge = /\/\*|\*\//g;
  edge.lastIndex = start;
  let depth = 0;
  for (let match = edge.exec(text); match; match = edge.exec(text)) {
    depth += match[0] === '/*' ? 1 : -1;
    if (depth === 0) return ['comment', edge.lastIndex];
  }
  return ['invalid', text.length];
}

/** scan.l: a comment ends an operator, and an operator ends in + or - only if it also has one of ~ ! @ # ^ & | ` %. */
function operatorLength(run: string): number {
  const comment = run.search(/--|\/\*/);
  const operator = comment < 0 ? run : run.slice(0, comment);
  if (/[~!@#^&|`%]/.test(operator)) return operator.length;
  return Math.max(1, operator.replace(/[+-]+$/, '').length);
}

/** Tokens that mean something: without spaces and comments. */
export function significant(all: readonly Token[]): Token[] {
  return all.filter((token) => token.kind !== 'space' && token.kind !== 'comment');
}

/** The same text, character for character, with ASCII spaces where DuckDB would put them: positions in it stay true. */
export function withPlainSpaces(text: string): string {
  if (text.search(unicodeSpaces) < 0) return text;
  return tokens(text)
    .map((token) => (token.kind === 'space' || token.kind === 'comment' ? token.text.replace(unicodeSpaces, ' ') : token.text))
    .join('');
}

/** DuckDB folds case in ASCII only. Folding more here would take two names for one. */
export function asciiLower(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/** A name as DuckDB reads it back, whatever is in it. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A value as a literal. Text in '' has no escapes in DuckDB but the doubled quote. */
export function quoteLiteral(value: string | number | bigint | boolean | null): string {
  return typeof value === 'string' ? `'${value.replaceAll("'", "''")}'` : String(value);
}

/** The name that a `word` or `quoted` token stands for. */
export function identifier(token: Token): string {
  return token.kind === 'quoted' ? token.text.slice(1, -1).replaceAll('""', '"') : token.text;
}
