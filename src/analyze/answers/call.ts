/**
 * `answers.funnel(steps := 'a,b')` in FROM: each call becomes the answer's own query in parentheses, before the statement is parsed and
 * checked. So it has no rights of its own, and what runs is what `show` prints. Arguments are literals; positions in errors of such a
 * statement are those of the expanded text.
 */
import { fail } from '#core';
import { type Token, tokens } from '#sql';

export interface Call {
  readonly answer: string;
  readonly given: Readonly<Record<string, unknown>>;
}

/** The text with every call replaced by what `expand` makes of it; the text itself where it has none. Errors: ANSWER_CALL, those of `expand`. */
export async function expandCalls(text: string, expand: (call: Call) => Promise<string>): Promise<string> {
  if (!/\banswers\b/i.test(text)) return text;
  const all = tokens(text).filter(({ kind }) => kind !== 'space' && kind !== 'comment');
  let done = '';
  let from = 0;
  for (let at = 0; at + 3 < all.length; at++) {
    if (!isCall(all, at)) continue;
    const end = closing(all, at + 3, nameOf(all[at + 2]!));
    const answer = nameOf(all[at + 2]!);
    const given = argumentsOf(answer, all.slice(at + 4, end));
    done += `${text.slice(from, all[at]!.start)}(\n${await expand({ answer, given })}\n)`;
    from = all[end]!.end;
    at = end;
  }
  return done + text.slice(from);
}

function isCall(all: readonly Token[], at: number): boolean {
  const [schema, dot, name, open] = [all[at]!, all[at + 1]!, all[at + 2]!, all[at + 3]!];
  const qualified = all[at - 1]?.text === '.';
  return (
    schema.kind === 'word' &&
    schema.text.toLowerCase() === 'answers' &&
    !qualified &&
    dot.text === '.' &&
    name.kind === 'word' &&
    open.text === '('
  );
}

const nameOf = (token: Token) => token.text.toLowerCase();

function closing(all: readonly Token[], open: number, answer: string): number {
  const end = all.findIndex((token, at) => at > open && token.text === ')' && token.kind === 'punctuation');
  const inner = all.findIndex((token, at) => at > open && token.text === '(' && token.kind === 'punctuation');
  return end >= 0 && (inner < 0 || inner > end)
    ? end
    : fail('ANSWER_CALL', { answer, problem: 'its parentheses hold something other than options' });
}

function argumentsOf(answer: string, inner: readonly Token[]): Record<string, unknown> {
  const refuse = (problem: string): never => fail('ANSWER_CALL', { answer, problem });
  const given: Record<string, unknown> = Object.create(null);
  for (let at = 0; at < inner.length; at++) {
    const [name, sign, ...rest] = inner.slice(at);
    if (name?.kind !== 'word' || (sign?.text !== ':=' && sign?.text !== '=>')) return refuse('an option is written name := value');
    if (nameOf(name) in given) refuse(`"${name.text}" stands twice`);
    const end = rest.findIndex((token) => token.text === ',');
    const value = end < 0 ? rest : rest.slice(0, end);
    given[nameOf(name)] = literalOf(value) ?? refuse(`"${name.text}" is not a literal`);
    at += 2 + value.length;
  }
  return given;
}

function literalOf(value: readonly Token[]): string | null {
  const [first, second] = value;
  if (value.length === 1 && first!.kind === 'string' && first!.text.startsWith("'")) return first!.text.slice(1, -1).replaceAll("''", "'");
  if (value.length === 1 && (first!.kind === 'number' || /^(true|false)$/i.test(first!.text))) return first!.text.toLowerCase();
  return value.length === 2 && first!.text === '-' && second!.kind === 'number' ? `-${second!.text}` : null;
}
