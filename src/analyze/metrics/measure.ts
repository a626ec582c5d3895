import { type Token, tokens } from '#sql';

/**
 * How a figure is made of parts of its rows: a sum, one sum over another, or a sum over a count of distinct values. Sums and counts add
 * up over groups of rows; a count of distinct values doesn't, and neither does any other aggregate.
 */
export interface Measure {
  readonly kind: 'sum' | 'ratio' | 'by category';
  /** SQL: an aggregate that adds up. */
  readonly sum: string;
  /** SQL: what it is divided by; null of a sum. */
  readonly over: string | null;
}

/** The expression of a metric as sums and counts, `avg(x)` as sum(x) over count(x); null where it is anything else. Pure. */
export function measureOf(expression: string): Measure | null {
  const meaning = unwrapped(meant(expression));
  if (addsUp(meaning)) return { kind: 'sum', sum: text(meaning), over: null };
  const mean = calledOf(meaning);
  if (mean?.name === 'avg' && !mean.distinct) {
    const behind = text(meaning.slice(1));
    return { kind: 'ratio', sum: `sum${behind}`, over: `count${behind}` };
  }
  if (splitAt(meaning, /^[+-]$/).length > 1) return null;
  const factors = factorsOf(meaning);
  const divisor = factors.find(({ divides, tokens }) => divides && !isNumber(tokens));
  if (divisor === undefined) return null;
  const others = factors.filter((factor) => factor !== divisor).map(({ by, tokens }) => `${by} ${text(tokens)}`);
  const sum = others.join(' ').trim();
  if (!addsUp(meant(sum))) return null;
  const over = text(divisor.tokens);
  if (addsUp(divisor.tokens)) return { kind: 'ratio', sum, over };
  return countsDistinct(divisor.tokens) ? { kind: 'by category', sum, over } : null;
}

/** What is added up of each row, where the expression is `sum(x)` and no more; else null. Pure. */
export function summandOf(expression: string): string | null {
  const called = calledOf(unwrapped(meant(expression)));
  return called?.name === 'sum' && !called.distinct && !called.filter && called.rest.length === 0 ? text(called.first) : null;
}

type Tokens = readonly Token[];
const meant = (sql: string) => tokens(sql).filter(({ kind }) => kind !== 'space' && kind !== 'comment');
/** As it was written, less comments. */
const text = (all: Tokens) => all.map((token, at) => (at > 0 && all[at - 1]!.end < token.start ? ` ${token.text}` : token.text)).join('');
const isNumber = (all: Tokens) => all.length === 1 && all[0]!.kind === 'number';

/** A sum of terms, each a sum or a count times or by numbers. */
function addsUp(all: Tokens): boolean {
  const terms = splitAt(all, /^[+-]$/);
  if (terms.length > 1) return terms.every((term, at) => (at === 0 && term.tokens.length === 0 ? true : addsUp(term.tokens)));
  const factors = factorsOf(all);
  if (factors.length > 1) {
    const parts = factors.filter(({ tokens }) => !isNumber(tokens));
    return parts.length === 1 && !parts[0]!.divides && addsUp(parts[0]!.tokens);
  }
  const inner = unwrapped(all);
  if (inner.length < all.length) return addsUp(inner);
  const called = calledOf(all);
  if (called === null) return false;
  if (SUMS.has(called.name)) return !called.distinct;
  return isDressed(called) && addsUp(called.first);
}

function countsDistinct(all: Tokens): boolean {
  const inner = unwrapped(all);
  const called = calledOf(inner);
  if (called === null) return false;
  if (called.name === 'count') return called.distinct;
  return isDressed(called) && countsDistinct(called.first);
}

const SUMS = new Set(['sum', 'count', 'count_if', 'countif', 'count_star']);
/** What a sum may wear: against zero and NULL, or another type. */
const DRESSES = new Set(['coalesce', 'nullif', 'ifnull', 'cast']);
const isDressed = ({ name, filter, rest }: Called) =>
  DRESSES.has(name) && !filter && rest.every((each) => isNumber(each) && Number(each[0]!.text) === 0);

interface Called {
  readonly name: string;
  readonly distinct: boolean;
  readonly filter: boolean;
  readonly first: Tokens;
  readonly rest: readonly Tokens[];
}

/** `name(…)` and `name(…) FILTER (…)`, and nothing behind them but a cast. */
function calledOf(all: Tokens): Called | null {
  const bare = castless(all);
  const [name, open] = bare;
  if (name?.kind !== 'word' || open?.text !== '(') return null;
  const close = closing(bare, 1);
  const behind = bare.slice(close + 1);
  const filter = behind[0]?.text.toLowerCase() === 'filter' && behind[1]?.text === '(' && closing(behind, 1) === behind.length - 1;
  if (behind.length > 0 && !filter) return null;
  const [first, ...rest] = splitAt(bare.slice(2, close), /^,$/).map(({ tokens }) => tokens);
  const type = first!.findIndex(({ text }, index) => text.toLowerCase() === 'as' && depthAt(first!, index) === 0);
  const distinct = first![0]?.text.toLowerCase() === 'distinct';
  return { name: name.text.toLowerCase(), distinct, filter, first: type < 0 ? first! : first!.slice(0, type), rest };
}

/** Without `::TYPE` and `::TYPE(18, 2)` behind it. */
function castless(all: Tokens): Tokens {
  const at = all.findIndex(({ text }, index) => text === '::' && depthAt(all, index) === 0);
  return at > 0 &&
    /^\w+(\(\d+(,\d+)?\))?$/.test(
      all
        .slice(at + 1)
        .map((token) => token.text)
        .join(''),
    )
    ? all.slice(0, at)
    : all;
}

function unwrapped(all: Tokens): Tokens {
  return all.length > 2 && all[0]!.text === '(' && closing(all, 0) === all.length - 1 ? unwrapped(all.slice(1, -1)) : all;
}

interface Part {
  readonly tokens: Tokens;
  /** What stands before it; '' before the first. */
  readonly by: string;
}

function splitAt(all: Tokens, separator: RegExp): Part[] {
  const parts: { tokens: Token[]; by: string }[] = [{ tokens: [], by: '' }];
  let depth = 0;
  for (const token of all) {
    if (token.text === '(' || token.text === '[') depth++;
    if (token.text === ')' || token.text === ']') depth--;
    if (depth === 0 && separator.test(token.text)) parts.push({ tokens: [], by: token.text });
    else parts.at(-1)!.tokens.push(token);
  }
  return parts;
}

const factorsOf = (all: Tokens) => splitAt(all, /^[*/]$/).map((part) => ({ ...part, divides: part.by === '/' }));

/** The index of the bracket that closes the one at `from`; -1 where none does. */
function closing(all: Tokens, from: number): number {
  let depth = 0;
  for (let at = from; at < all.length; at++) {
    if (all[at]!.text === '(') depth++;
    if (all[at]!.text === ')' && --depth === 0) return at;
  }
  return -1;
}

function depthAt(all: Tokens, index: number): number {
  return all.slice(0, index).reduce((depth, { text }) => depth + (text === '(' ? 1 : text === ')' ? -1 : 0), 0);
}
