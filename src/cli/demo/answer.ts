import type { IncomingMessage } from 'node:http';
import { type Column, errorFromBody } from '#core';
import type { QueryAnswer, QueryRequest } from '#server';
import type { Cell, CheckedQuestion, Question, Truth } from '#simulate';
import { type Client, errorOf } from '../client.ts';
import { readExactJson } from '../print/json.ts';
import { patiently } from './send.ts';

export interface Answer {
  readonly question: Question;
  readonly columns: readonly Column[];
  readonly rows: readonly (readonly unknown[])[];
  readonly truncated: boolean;
  readonly milliseconds: number;
}

/** Asks through the public API. */
export async function ask(client: Client, question: Question): Promise<Answer> {
  const answer = await readExactJson<QueryAnswer>(await query(client, { sql: question.sql }));
  if (answer.error) throw errorFromBody(answer.error);
  return { question, columns: answer.columns, rows: answer.rows, truncated: answer.truncated, milliseconds: answer.elapsed_ms };
}

/** The answer as it comes. The statement must be one that may be repeated: it is, while the warehouse isn't ready. */
export function query(client: Client, request: QueryRequest): Promise<IncomingMessage> {
  return patiently(async () => {
    const response = await client.open('POST', '/v1/query', {
      body: Buffer.from(JSON.stringify(request)),
      headers: { 'content-type': 'application/json' },
    });
    if (response.statusCode! >= 400) throw await errorOf(response);
    return response;
  });
}

/** Runs a statement that changes something. */
export async function execute(client: Client, sql: string): Promise<void> {
  await ask(client, { name: 'statement', title: 'statement', sql });
}

/** The first row by the names of its columns. */
export function figures({ columns, rows: [row] }: Answer): Record<string, string | number | null> {
  return Object.fromEntries(columns.map(({ name }, at) => [name, plain(row?.[at]) as string | number | null]));
}

/** One line of the comparison with the truth. */
export interface Check {
  readonly question: string;
  readonly answer: string;
  readonly truth: string;
  readonly same: boolean;
}

/** A one-row answer is compared figure by figure, a longer one as a whole; where it differs, its first differing row is shown. */
export function checkAnswer(answer: Answer, question: CheckedQuestion, truth: Truth): Check[] {
  const expected = question.expected(truth);
  const { columns, rows } = answer;
  if (expected.length === 1 && rows.length === 1) {
    return columns.map(({ name }, at) => {
      const [ours, right] = [plain(rows[0]![at]), expected[0]![at] ?? null];
      return { question: `${question.name}: ${name}`, answer: String(ours), truth: String(right), same: sameCell(ours, right) };
    });
  }
  const differing = firstDifference(rows, expected);
  if (differing < 0) {
    const count = `${rows.length} ${rows.length === 1 ? 'row' : 'rows'}`;
    return [{ question: question.name, answer: count, truth: count, same: true }];
  }
  const shown = (row: readonly unknown[] | undefined) =>
    row === undefined ? '(no row)' : row.map((cell) => String(plain(cell))).join(', ');
  return [
    { question: `${question.name}: row ${differing + 1}`, answer: shown(rows[differing]), truth: shown(expected[differing]), same: false },
  ];
}

function firstDifference(rows: readonly (readonly unknown[])[], expected: readonly (readonly Cell[])[]): number {
  for (let at = 0; at < Math.max(rows.length, expected.length); at++) {
    const [ours, right] = [rows[at], expected[at]];
    if (ours === undefined || right === undefined || !right.every((cell, column) => sameCell(plain(ours[column]), cell))) return at;
  }
  return -1;
}

/** 12.50 and "12.5" are the same amount; other text is the same only when it is the same text. */
const sameCell = (a: Cell, b: Cell) => canonical(a) === canonical(b);

const canonical = (cell: Cell) => {
  const text = String(cell);
  return /^-?\d+\.\d+$/.test(text) ? text.replace(/\.?0+$/, '') : text;
};

/** A number with more digits than a double comes as raw JSON: then its text is the value. */
function plain(cell: unknown): Cell {
  if (typeof cell === 'object' && cell !== null && 'rawJSON' in cell) return String(cell.rawJSON);
  return (cell ?? null) as Cell;
}
