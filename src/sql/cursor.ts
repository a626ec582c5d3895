import { fail } from '#core';
import { type Piece, placeIn } from './parse.ts';
import type { Target } from './statement.ts';
import { identifier, type Token } from './tokens.ts';

/** Reads the tokens of one statement from left to right. Keywords are unquoted words, in any case. */
export class Cursor {
  readonly text: string;
  readonly tokens: readonly Token[];
  private next = 0;

  /** `tokens` are the significant ones of `text`, without what ends the statement. */
  constructor(text: string, tokens: readonly Token[]) {
    this.text = text;
    this.tokens = tokens;
  }

  get atEnd(): boolean {
    return this.next >= this.tokens.length;
  }

  get position(): number {
    return this.tokens[this.next]?.start ?? this.text.length;
  }

  /** Takes the keywords if they stand here, all of them. */
  take(...keywords: readonly string[]): boolean {
    const here = keywords.every((keyword, i) => isKeyword(this.tokens[this.next + i], keyword));
    if (here) this.next += keywords.length;
    return here;
  }

  isAt(keyword: string): boolean {
    return isKeyword(this.tokens[this.next], keyword);
  }

  takeMark(mark: string): boolean {
    const here = this.isMark(mark);
    if (here) this.next++;
    return here;
  }

  isMark(mark: string): boolean {
    const token = this.tokens[this.next];
    return token?.text === mark && (token.kind === 'punctuation' || token.kind === 'operator');
  }

  expect(...keywords: readonly string[]): void {
    if (!this.take(...keywords)) this.refuse(`${keywords.join(' ')} is expected`);
  }

  expectMark(mark: string): void {
    if (!this.takeMark(mark)) this.refuse(`"${mark}" is expected`);
  }

  expectEnd(): void {
    if (!this.atEnd) this.refuse(`the statement should end before "${this.tokens[this.next]!.text}"`);
  }

  name(): string {
    const token = this.tokens[this.next];
    if (token?.kind !== 'word' && token?.kind !== 'quoted') return this.refuse('a name is expected');
    if (/^u&/i.test(token.text) && token.kind === 'quoted') this.refuse('names are not written as U&"…"');
    this.next++;
    return identifier(token);
  }

  /** `name` or `schema.name`. */
  target(): Target {
    const position = this.position;
    const first = this.name();
    if (!this.takeMark('.')) return { schema: 'main', name: first, position };
    const name = this.name();
    if (this.isMark('.')) fail('SQL_WRITE', { table: first, problem: 'other databases are not open', ...placeIn(this.text, position) });
    return { schema: first, name, position };
  }

  /** `(a, b, …)` if a list of names stands here and something follows it; otherwise nothing is taken. */
  names(): string[] | null {
    const start = this.next;
    if (!this.takeMark('(')) return null;
    const found: string[] = [];
    do {
      const kind = this.tokens[this.next]?.kind;
      if (kind !== 'word' && kind !== 'quoted') break;
      found.push(this.name());
    } while (this.takeMark(','));
    if (found.length > 0 && this.takeMark(')') && !this.atEnd) return found;
    this.next = start;
    return null;
  }

  token(): Token {
    const token = this.tokens[this.next] ?? this.refuse('more is expected');
    this.next++;
    return token;
  }

  /** What stands before the first of these at this depth of brackets, or before the end. */
  until(...stops: readonly (readonly string[])[]): Piece {
    const first = this.next;
    for (let depth = 0; !this.atEnd; this.next++) {
      const token = this.tokens[this.next]!;
      if (depth === 0 && stops.some((stop) => this.stopsAt(stop))) break;
      if (isMark(token, '([{')) depth++;
      if (isMark(token, ')]}') && --depth < 0) break;
    }
    return this.between(first);
  }

  /** What stands between the parentheses that begin here. */
  inParentheses(): Piece {
    this.expectMark('(');
    const piece = this.until();
    this.expectMark(')');
    return piece;
  }

  rest(): Piece {
    const first = this.next;
    this.next = this.tokens.length;
    return this.between(first);
  }

  refuse(problem: string, position: number = this.position): never {
    return fail('SQL_SYNTAX', { problem, ...placeIn(this.text, position) });
  }

  private stopsAt(stop: readonly string[]): boolean {
    if (stop[0] === ',') return this.isMark(',');
    // `a IS DISTINCT FROM b` is an expression.
    if (stop[0] === 'FROM' && isKeyword(this.tokens[this.next - 1], 'DISTINCT')) return false;
    return stop.every((keyword, i) => isKeyword(this.tokens[this.next + i], keyword));
  }

  private between(first: number): Piece {
    if (first === this.next) this.refuse('something is missing');
    const start = this.tokens[first]!.start;
    return { text: this.text.slice(start, this.tokens[this.next - 1]!.end), start };
  }
}

function isKeyword(token: Token | undefined, keyword: string): boolean {
  return token?.kind === 'word' && token.text.toUpperCase() === keyword;
}

function isMark(token: Token, marks: string): boolean {
  return token.kind === 'punctuation' && token.text.length === 1 && marks.includes(token.text);
}
