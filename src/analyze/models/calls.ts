/**
 * Calls of ML functions in a text: ML.NAME(MODEL model [, TABLE table | (query)] [, GENERATE_ARRAY(from, to, step) | [literal, …]]
 * [, STRUCT(literal AS setting, …)]), where a table may stand.
 * They are found by their tokens; what the query in them means is left to DuckDB's parser, like every other query.
 */
import { fail, type Parameters } from '#core';
import { type Token, tokens } from '#sql';

export interface Call {
  /** In upper case, without ML. */
  readonly name: string;
  /** As it is spelled: name, schema.name, and @version or @alias behind it. */
  readonly model: string;
  /** A table's name or a query (without its parentheses), with its place in the text. */
  readonly input: { readonly kind: 'table' | 'query'; readonly start: number; readonly end: number } | null;
  /** The numbers of an array, or null where there is none. */
  readonly numbers: readonly number[] | null;
  readonly settings: Readonly<Record<string, string | number | boolean>>;
  readonly start: number;
  readonly end: number;
}

/** The outermost calls, in the order of the text. MODEL_CALL where one is not written as it must be. */
export function findCalls(text: string): Call[] {
  if (!/\bml\s*\./i.test(text)) return [];
  const own = tokens(text).filter(({ kind }) => kind !== 'space' && kind !== 'comment');
  const calls: Call[] = [];
  for (let at = 0; at < own.length; at++) {
    if (!isCall(own, at)) continue;
    const { call, next } = readCall(text, own, at);
    calls.push(call);
    at = next - 1;
  }
  return calls;
}

/** `ML.` is a call only with MODEL behind the parenthesis: a user's own schema may be named ml. */
function isCall(own: readonly Token[], at: number): boolean {
  const texts = own.slice(at, at + 5).map(({ text, kind }) => (kind === 'word' ? text.toUpperCase() : text));
  return texts[0] === 'ML' && texts[1] === '.' && own[at + 2]?.kind === 'word' && texts[3] === '(' && texts[4] === 'MODEL';
}

function readCall(text: string, own: readonly Token[], first: number): { call: Call; next: number } {
  const name = own[first + 2]!.text.toUpperCase();
  let at = first + 5;
  const refuse = (problem: string): never => {
    const place = own[Math.min(at, own.length - 1)]!.start;
    return fail('MODEL_CALL', { call: `ML.${name}`, problem, ...placeOf(text, place) });
  };
  const is = (mark: string): boolean => own[at]?.text.toUpperCase() === mark && own[at]!.kind !== 'quoted' && own[at]!.kind !== 'string';
  const take = (mark: string): boolean => is(mark) && ++at > 0;
  const expect = (mark: string): void => {
    if (!take(mark)) refuse(`needs "${mark}" here`);
  };
  const word = (): string => {
    const token = own[at];
    if (token?.kind !== 'word' && token?.kind !== 'quoted') return refuse('needs a name here');
    at++;
    return token.kind === 'quoted' ? token.text.slice(1, -1).replaceAll('""', '"') : token.text;
  };

  /** The index of the parenthesis that closes the one before `at`. */
  const closing = (): number => {
    for (let depth = 1, to = at; to < own.length; to++) {
      if (own[to]!.text === '(' && own[to]!.kind === 'punctuation') depth++;
      if (own[to]!.text === ')' && own[to]!.kind === 'punctuation' && --depth === 0) return to;
    }
    return refuse('has a parenthesis that is not closed');
  };

  let model = word();
  if (take('.')) model += `.${word()}`;
  if (take('@')) {
    model += `@${own[at]?.text ?? ''}`;
    at++;
  }
  let input: Call['input'] = null;
  let numbers: readonly number[] | null = null;
  const settings: Record<string, string | number | boolean> = {};
  /** Literals up to the mark that closes them. */
  const listed = (mark: string): number[] => {
    const values: number[] = [];
    while (!is(mark)) {
      const value = literal(own[at], refuse);
      if (typeof value !== 'number') refuse('takes numbers in its array');
      values.push(value as number);
      at++;
      if (!take(',')) break;
    }
    expect(mark);
    return values;
  };
  while (take(',')) {
    if (take('TABLE')) {
      const start = own[at]?.start ?? text.length;
      word();
      if (take('.')) word();
      if (input !== null) refuse('takes one table');
      input = { kind: 'table', start, end: own[at - 1]!.end };
    } else if (take('STRUCT')) {
      expect('(');
      while (!is(')')) {
        const value = literal(own[at], refuse);
        at++;
        expect('AS');
        settings[word().toLowerCase()] = value;
        if (!take(',')) break;
      }
      expect(')');
    } else if (is('GENERATE_ARRAY') || is('[')) {
      if (numbers !== null) refuse('takes one array');
      const generated = take('GENERATE_ARRAY');
      expect(generated ? '(' : '[');
      numbers = generated ? (spaced(listed(')')) ?? refuse('takes GENERATE_ARRAY(from, to, step) of at most 10,000 numbers')) : listed(']');
    } else if (take('(')) {
      const to = closing();
      if (to === at) refuse('has an empty query');
      if (input !== null) refuse('takes one query');
      input = { kind: 'query', start: own[at]!.start, end: own[to - 1]!.end };
      at = to + 1;
    } else refuse('takes TABLE name, (query), an array of numbers or STRUCT(value AS setting, …) here');
  }
  expect(')');
  const call: Call = { name, model: model.toLowerCase(), input, numbers, settings, start: own[first]!.start, end: own[at - 1]!.end };
  return { call, next: at };
}

const MOST_NUMBERS = 10_000;

/** GENERATE_ARRAY's numbers, the end among them where a step meets it; null where it has no such numbers. */
function spaced([from, to, step = 1, ...more]: readonly number[]): number[] | null {
  if (from === undefined || to === undefined || step === 0 || more.length > 0) return null;
  const steps = Math.floor((to - from) / step + 1e-9);
  // Tenths add up to 0.30000000000000004; what is meant is 0.3.
  return steps < MOST_NUMBERS ? Array.from({ length: Math.max(0, steps + 1) }, (_, k) => Number((from + k * step).toPrecision(12))) : null;
}

function literal(token: Token | undefined, refuse: (problem: string) => never): string | number | boolean {
  if (token?.kind === 'number') return Number(token.text.replaceAll('_', ''));
  if (token?.kind === 'string' && token.text.startsWith("'")) return token.text.slice(1, -1).replaceAll("''", "'");
  const word = token?.kind === 'word' ? token.text.toUpperCase() : '';
  return word === 'TRUE' || word === 'FALSE' ? word === 'TRUE' : refuse('needs a literal as the setting’s value');
}

/** The place of an index of the text; lines and columns count from 1. */
export function placeOf(text: string, position: number): Parameters {
  const before = text.slice(0, position).split('\n');
  return { position, line: before.length, column: before.at(-1)!.length + 1 };
}

/**
 * Where the outermost WITH stands, and where the last of its CTEs ends that is complete before the place: a query at the place sees them.
 * Null where there are none. WITH "x AS (…)" is told from other parentheses by the AS [NOT] [MATERIALIZED] before it.
 */
export function ctesBefore(text: string, place: number): { start: number; end: number } | null {
  const own = tokens(text).filter(({ kind, end }) => kind !== 'space' && kind !== 'comment' && end <= place);
  const opened: number[] = [];
  let start = -1;
  let end = -1;
  for (const [at, token] of own.entries()) {
    if (token.kind === 'word' && opened.length === 0) {
      if (token.text.toUpperCase() === 'WITH' && start < 0) start = token.start;
      // Behind the list stands the query; what looks like a CTE there is none.
      else if (/^(select|from|values|table|pivot)$/i.test(token.text) && start >= 0) break;
    }
    if (token.kind !== 'punctuation') continue;
    if (token.text === '(') opened.push(at);
    if (token.text !== ')') continue;
    const from = opened.pop() ?? 0;
    const body = opened.length === 0 && start >= 0 && /^(as|materialized)$/i.test(own[from - 1]?.text ?? '');
    if (body) end = token.end;
  }
  return end > start ? { start, end } : null;
}

/** The same length and lines, nothing but spaces. */
export const blank = (text: string): string => text.replace(/[^\n]/g, ' ');

/**
 * Puts the words into spaces without moving a line. There is room: "ML.PREDICT(MODEL m," is longer than "SELECT*FROM("; a call that
 * breaks its line at every word only loses the true place of its errors.
 */
export function writeInto(spaces: string, words: readonly string[]): string {
  let done = '';
  for (const word of words) {
    const room = spaces.slice(done.length).search(new RegExp(` {${word.length}}`));
    if (room < 0) return `${words.join(' ')} `;
    done += spaces.slice(done.length, done.length + room) + word;
  }
  return `${done}${spaces.slice(done.length) || ' '}`;
}
