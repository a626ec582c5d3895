/** First definitions and looks at a source, before anything is written. */
import { fail, isWatchedSource, type Transfer, type TransferTable } from '#core';
import { openSource, type World } from './connection.ts';
import { placed } from './files/bytes.ts';
import { kindOf } from './files/kind.ts';
import { decodeRows, type Rows } from './rows.ts';
import { planned } from './run.ts';
import type { Guessed, Opened, Reading, SourceColumn, SourceTable } from './source.ts';
import { sources } from './sources/index.ts';

export interface Guess {
  /** The definition as YAML. */
  readonly text: string;
  readonly tables: readonly SourceTable[];
  /** Environment variables that the definition reads, and that must be set where Millrace runs. */
  readonly secrets: readonly string[];
}

/**
 * Looks at an address or a file. A password in the address is used for this look only; the definition reads it from the file `kept`, else
 * from an environment variable. Errors: TRANSFER_OPTION and those of opening.
 */
export async function guess(address: string, world: World, kept: string | null = null): Promise<Guess> {
  for (const source of sources) {
    const found = source.guess(address);
    if (found === null) continue;
    // Its only secrets are those of the address: whoever asks gave them, and millrace.yaml need not let definitions read them.
    const rules = world.rules === undefined ? {} : { rules: { ...world.rules, env: Object.keys(found.secrets) } };
    const opened = await openSource({ source: source.name, connection: found.connection }, { ...world, ...rules, env: found.secrets });
    try {
      const tables = await opened.describe();
      const connection = Object.fromEntries(
        Object.entries({ ...found.connection, ...(tables.length === 1 ? shownBy(opened) : {}) }).map(([name, value]) => {
          const known = kept !== null && typeof value === 'object' && 'env' in value && value.env in found.secrets;
          return [name, known ? { file: kept } : value];
        }),
      );
      return {
        text:
          definitionText(source.name, connection, tables, opened.parts === undefined ? 'full' : 'append') +
          (isWatchedSource(source.name) ? 'schedule: { watch: true }\n' : ''),
        tables,
        secrets: Object.values(connection).flatMap((value) => (typeof value === 'object' && 'env' in value ? [value.env] : [])),
      };
    } finally {
      await opened.close();
    }
  }
  const names = sources.map((source) => source.title).join('; ');
  // The address may carry a password: it is not repeated.
  return fail('TRANSFER_OPTION', { source: 'guess', option: 'address', problem: `none of the sources knows it (${names})` });
}

/** What a file shows of its conventions: a later one may have too few values to. */
function shownBy({ found = {} }: Opened): Guessed {
  return Object.fromEntries(Object.entries(found).filter(([name, value]) => (name === 'decimal' || name === 'dates') && value !== 'auto'));
}

export interface Preview {
  readonly source: string;
  readonly target: string;
  readonly columns: readonly SourceColumn[];
  readonly rows: readonly (readonly (string | null)[])[];
  /** Rows that would go to quarantine, among those looked at. */
  readonly refused: readonly { readonly line: number; readonly reason: string }[];
}

/** The first rows of each table, with the types that they would get. */
export async function preview(transfer: Transfer, source: Opened, limit: number): Promise<Preview[]> {
  const shown: Preview[] = [];
  for (const plan of await planned(transfer, source)) {
    const reading: Reading = { nulled: new Map() };
    const span = { cursor: null, after: null, upTo: null };
    let rows: (string | null)[][] = [];
    let refused: Rows['refused'] = [];
    for await (const batch of source.read(plan.table, plan.columns, span, reading, limit)) {
      rows = decodeRows(batch.bytes, limit);
      refused = batch.refused;
      break;
    }
    shown.push({
      source: plan.definition.source,
      target: plan.definition.target,
      columns: plan.columns,
      rows,
      refused: refused.slice(0, limit).map(({ line, reason }) => ({ line, reason })),
    });
  }
  return shown;
}

/** How a file is to be read, where the guess is not to decide. */
export interface FileChoice {
  readonly kind: string | null;
  /** Options of the source of that kind. */
  readonly options: Readonly<Record<string, string | number | boolean>>;
  readonly table: string | null;
  readonly types: Readonly<Record<string, string>>;
}

export interface FileLook {
  readonly kind: string;
  readonly options: Readonly<Record<string, string>>;
  readonly tables: readonly { readonly name: string; readonly rows: number | null }[];
  /** The one that is shown. */
  readonly table: string;
  readonly columns: readonly SourceColumn[];
  readonly rows: Preview['rows'];
  readonly refused: Preview['refused'];
}

const asked = (source: string, types: TransferTable['types']): TransferTable => ({
  source,
  types,
  target: 'main.file',
  mode: 'full',
  key: [],
  cursor: null,
  lookback: null,
  drift: 'evolve',
});

/** What a file is and how it would be read, with its first rows. Errors: TRANSFER_FILE, TRANSFER_OPTION, TRANSFER_TABLE, TRANSFER_COLUMN. */
export async function lookAtFile(path: string, choice: FileChoice, world: World, limit: number): Promise<FileLook> {
  const kind = choice.kind ?? (await kindOf(placed(path, world, 'file')));
  const connection = { ...choice.options, path };
  const source = await openSource({ source: kind, connection }, world);
  try {
    const tables = await source.describe();
    const table = choice.table ?? tables[0]?.name ?? fail('TRANSFER_FILE', { file: path, format: kind, problem: 'it has no table' });
    const [shown] = await preview({ name: 'file', source: kind, connection, tables: [asked(table, choice.types)] }, source, limit);
    const { columns, rows, refused } = shown!;
    return { kind, options: source.found ?? {}, tables: tables.map(({ name, rows }) => ({ name, rows })), table, columns, rows, refused };
  } finally {
    await source.close();
  }
}

/** `mode`: of tables that are not merged. Where they come in parts, each part adds its rows. */
function definitionText(source: string, connection: Guessed, tables: readonly SourceTable[], mode: 'full' | 'append'): string {
  const quote = (text: string) =>
    /^[A-Za-z_][\w./-]*$/.test(text) && !/^(true|false|null|yes|no|on|off)$/i.test(text) ? text : JSON.stringify(text);
  const value = (given: Guessed[string]) =>
    typeof given === 'object'
      ? 'env' in given
        ? `{ env: ${quote(given.env)} }`
        : `{ file: ${quote(given.file)} }`
      : typeof given === 'string'
        ? quote(given)
        : String(given);
  const lines = ['# Written by "millrace transfer guess"; docs/transfer.md explains every option.', `source: ${source}`, 'connection:'];
  for (const [name, given] of Object.entries(connection)) lines.push(`  ${name}: ${value(given)}`);
  if (connection['changed'] !== undefined)
    lines.push('  # A file that has changed replaces the rows that it brought before; "add" adds all of its rows to them.');
  lines.push('tables:');
  const schema = sqlName(String(connection['database'] ?? 'main'));
  const taken = new Set<string>();
  for (const table of tables) {
    const cursor = cursorGuess(table);
    lines.push(`  ${quote(table.name)}:`, `    target: ${schema}.${distinct(sqlName(table.name), taken)}`);
    if (table.key.length > 0 && cursor?.cursor === 'time')
      lines.push(
        '    mode: merge',
        `    key: [${table.key.map(quote).join(', ')}]`,
        `    cursor: ${quote(cursor.name)}`,
        '    lookback: 10m',
      );
    else lines.push(`    mode: ${mode}`);
    lines.push(
      ...table.columns.map(
        (column) =>
          `    # ${column.name}: ${column.sourceType} → ${column.type}${column.note === null ? '' : ` (${column.note})`}${isPersonal(column.name) ? '; personal?' : ''}`,
      ),
    );
  }
  return `${lines.join('\n')}\n`;
}

/** Does a column's name often stand over what says who somebody is? In English and Korean; of names only those of people (이름, 회원명; not 상품명). */
function isPersonal(name: string): boolean {
  const whole = name.normalize('NFC').trim();
  return ENGLISH.test(whole) || KOREAN.test(whole) || KOREAN_NAME.test(whole);
}

const ENGLISH = /mail|phone|tel(?:_|$)|first_?name|last_?name|full_?name|birth|address|street|ssn|passport/i;
const KOREAN =
  /전화|휴대폰|핸드폰|연락처|주소|메일|생년월일|생일|주민\s?(?:등록\s?)?번호|외국인\s?등록\s?번호|여권\s?번호|면허\s?번호|계좌\s?번호|카드\s?번호|예금주|성명|성함/;
const KOREAN_NAME =
  /^이름(?![가-힣])|(?:고객|회원|사용자|구매자|주문자|수령인|수취인|받는\s?(?:사람|분)|담당자|보호자|직원|환자)[\s_]?(?:이름|명)(?![가-힣])/;

/** A time that every change of a row sets. */
function cursorGuess(table: SourceTable): SourceColumn | null {
  return (
    table.columns.find(
      (column) => column.cursor === 'time' && /^(updated|modified|changed|last_?(update|modified|change))/i.test(column.name),
    ) ?? null
  );
}

/** Two sheets or files whose names differ only in what a table's name can't have still get tables of their own. */
function distinct(name: string, taken: Set<string>): string {
  let found = name;
  for (let k = 2; taken.has(found); k++) found = `${name.slice(0, 58)}_${k}`;
  taken.add(found);
  return found;
}

function sqlName(name: string): string {
  const plain = name
    .normalize('NFC')
    .toLowerCase()
    .replaceAll(/[^a-z0-9_\p{Lo}]+/gu, '_')
    .replace(/^[^a-z\p{Lo}]+/u, '')
    .slice(0, 63);
  return plain === ''
    ? 'data'
    : ['raw', 'millrace', 'change', 'system', 'temp', 'information_schema', 'pg_catalog'].includes(plain)
      ? `${plain}_`
      : plain;
}
