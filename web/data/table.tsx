import { Button, Skeleton } from '@mantine/core';
import { Fragment, useMemo, useState } from 'react';
import type { Column, Table } from '#core';
import type { CatalogAnswer, SessionAnswer } from '../../src/server/api.ts';
import { ask, call } from '../api.ts';
import { useLive } from '../live.ts';
import { go } from '../route.ts';
import { quoted, quotedTable } from '../sql.ts';
import { Page, Placeholder, Problem, Sideways } from '../states.tsx';
import { cellFormat } from '../table/cells.ts';
import { Grid } from '../table/grid.tsx';
import { Distribution } from '../table/shape.tsx';
import { useWords } from '../words/index.tsx';
import { today } from '../zone.ts';
import { ColumnChain } from './chain.tsx';
import { type Figures, findings } from './checks.ts';
import { Freshness } from './freshness.tsx';
import { Lineage } from './lineage.tsx';

/** Above this many rows the profile stands on a sample. */
const wholeRows = 2_000_000;
const sampledRows = 200_000;
const shownRows = 1_000;
const shapedRows = 3_000;
const mostColumns = 200;

export default function TablePage({ schema, name, who }: { schema: string; name: string; who: SessionAnswer }) {
  const { t, number } = useWords();
  const catalog = useLive('catalog', (signal) => call<CatalogAnswer>('GET', '/v1/catalog', { signal }));
  const table = catalog.data?.tables.find((each) => each.schema === schema && each.name === name);
  if (catalog.data === null)
    return catalog.error === null ? <Placeholder /> : <Problem trouble={catalog.error} onRetry={catalog.refresh} />;
  if (table === undefined) return <Page title={`${schema}.${name}`}>{t('table_unknown', { name: `${schema}.${name}` })}</Page>;
  const query = `SELECT *\nFROM ${quotedTable(table)}\nLIMIT 100`;
  const facts = [
    t(`origin_${table.origin}`),
    ...(table.rows === null ? [t('view')] : [t('about_rows', { n: number(table.rows) })]),
    t('columns', { n: table.columns.length }),
  ];
  return (
    <Page
      title={`${schema}.${name}`}
      lead={facts.join(' · ')}
      action={
        <div className="page-actions">
          <Button variant="default" onClick={() => go(`/ask#${new URLSearchParams({ sql: query })}`)}>
            {t('ask_sql')}
          </Button>
          <Button onClick={() => go(`/ask#${new URLSearchParams({ table: `${schema}.${name}` })}`)}>{t('ask_about')}</Button>
        </div>
      }
    >
      <Freshness table={table} who={who} />
      <Lineage table={`${schema}.${name}`} />
      <Profile table={table} />
    </Page>
  );
}

function Profile({ table }: { table: Table }) {
  const { t, number, share, language } = useWords();
  const columns = useMemo(() => table.columns.slice(0, mostColumns), [table.columns]);
  const stats = useLive(`stats ${table.schema}.${table.name}`, (signal) =>
    ask(
      {
        sql: profileSql(table, columns),
      },
      signal,
    ),
  );
  const sample = useLive(`sample ${table.schema}.${table.name}`, (signal) =>
    ask({ sql: `SELECT * FROM ${quotedTable(table)}${newestFirst(table)} LIMIT ${shownRows}` }, signal),
  );
  // The first rows of a table are its oldest: their shape is not the table's.
  const drawn = useLive(`drawn ${table.schema}.${table.name}`, (signal) => ask({ sql: drawnSql(table) }, signal));
  const [opened, setOpened] = useState<string | null>(null);
  const cells = stats.data?.rows[0] ?? null;
  const counted = Number(cells?.[0] ?? 0);
  const checked = useMemo(() => (cells === null ? null : findings(figuresOf(columns, cells), today())), [columns, cells]);
  return (
    <>
      <section className="card">
        <h2>{t('checks')}</h2>
        {checked === null && stats.error === null && <Skeleton height={24} />}
        {checked?.length === 0 && <p className="faint calm">{t('checks_none')}</p>}
        {checked !== null && checked.length > 0 && (
          <ul className="items">
            {checked.map(({ kind, column, count }) => (
              <li key={`${kind} ${column}`} className="item">
                <i className={kind === 'empty' || kind === 'repeated_id' || kind === 'no_rows' ? 'dot bad' : 'dot wait'} />
                <div>
                  {column !== null && <strong>{column}</strong>} {t(`check_${kind}`, { n: count === null ? '' : number(count) })}
                </div>
              </li>
            ))}
          </ul>
        )}
      </section>
      <section className="card">
        <h2>{t('profile')}</h2>
        {stats.error !== null && <Problem trouble={stats.error} onRetry={stats.refresh} compact />}
        {(table.rows ?? 0) > wholeRows && <p className="faint small">{t('profile_large', { n: number(sampledRows) })}</p>}
        <Sideways label={t('profile')}>
          <table className="plain profile">
            <thead>
              <tr>
                <th>{t('column')}</th>
                <th>{t('type')}</th>
                <th className="end">{t('missing')}</th>
                <th className="end">{t('distinct')}</th>
                <th>{t('distribution')}</th>
                <th>{t('least')}</th>
                <th>{t('most')}</th>
              </tr>
            </thead>
            <tbody>
              {columns.map((column, at) => {
                const [filled, distinct, least, most] = cells === null ? [] : cells.slice(1 + at * perColumn, 1 + (at + 1) * perColumn);
                const { text } = cellFormat(column, language);
                const isOpen = opened === column.name;
                return (
                  <Fragment key={column.name}>
                    <tr>
                      <th scope="row">
                        <button
                          type="button"
                          className="profile-column"
                          aria-expanded={isOpen}
                          title={t('chain_show', { column: column.name })}
                          onClick={() => setOpened(isOpen ? null : column.name)}
                        >
                          {column.name}
                        </button>
                      </th>
                      <td>
                        <code className="type">{column.type.toLowerCase().replace('timestamp with time zone', 'timestamptz')}</code>
                      </td>
                      <td className="end tabular">
                        {cells === null ? <Skeleton height={12} /> : counted === 0 ? '–' : share(1 - Number(filled) / counted)}
                      </td>
                      <td className="end tabular">
                        {cells === null ? <Skeleton height={12} /> : number(Math.min(Number(distinct), Number(filled)))}
                      </td>
                      <td>{drawn.data !== null && <Distribution data={drawn.data} at={at} />}</td>
                      <td className="cut">{cells === null ? <Skeleton height={12} /> : (text(least) ?? '–')}</td>
                      <td className="cut">{cells === null ? <Skeleton height={12} /> : (text(most) ?? '–')}</td>
                    </tr>
                    {isOpen && (
                      <tr>
                        <td colSpan={7}>
                          <div className="profile-chain">
                            <ColumnChain table={`${table.schema}.${table.name}`} column={column.name} />
                          </div>
                        </td>
                      </tr>
                    )}
                  </Fragment>
                );
              })}
            </tbody>
          </table>
        </Sideways>
      </section>
      <section className="card">
        <h2>{t('sample')}</h2>
        {sample.error !== null && <Problem trouble={sample.error} onRetry={sample.refresh} compact />}
        {sample.data === null ? (
          sample.error === null && <Skeleton height={320} />
        ) : (
          <Grid columns={sample.data.columns} rows={sample.data.rows} label={t('sample')} height={440} summary />
        )}
      </section>
    </>
  );
}

/** Counting different values exactly costs a place in memory for each. */
const exactRows = 200_000;

/** Filled, different, least, most, numbers as text. */
const perColumn = 5;

function figuresOf(columns: readonly Column[], cells: readonly unknown[]): Figures[] {
  return columns.map((column, at) => {
    const [filled, distinct, least, most, numbers] = cells.slice(1 + at * perColumn, 1 + (at + 1) * perColumn);
    const word = (cell: unknown) => (typeof cell === 'string' ? cell : null);
    return {
      column,
      rows: Number(cells[0]),
      filled: Number(filled),
      distinct: Number(distinct),
      least: word(least),
      most: word(most),
      numbers: Number(numbers),
    };
  });
}

/** Rows from all over the table, for the shapes of its columns. */
function drawnSql(table: Table): string {
  const source =
    (table.rows ?? 0) > wholeRows ? `(SELECT * FROM ${quotedTable(table)} USING SAMPLE 1 PERCENT (system))` : quotedTable(table);
  return `SELECT * FROM ${source} USING SAMPLE ${shapedRows} ROWS`;
}

const newestFirst = ({ columns }: Table) => (columns.some(({ name }) => name === '_position') ? ' ORDER BY _position DESC' : '');

function profileSql(table: Table, columns: readonly Column[]): string {
  const exact = table.rows !== null && table.rows <= exactRows;
  const source =
    (table.rows ?? 0) > wholeRows ? `(SELECT * FROM ${quotedTable(table)} USING SAMPLE ${sampledRows} ROWS)` : quotedTable(table);
  const parts = columns.map((column) => {
    const name = quoted(column.name);
    return `count(${name}), ${exact ? `count(DISTINCT ${name})` : `approx_count_distinct(${name})`}, left(CAST(min(${name}) AS VARCHAR), 60), left(CAST(max(${name}) AS VARCHAR), 60), ${column.type === 'VARCHAR' ? `count(*) FILTER (WHERE TRY_CAST(${name} AS DOUBLE) IS NOT NULL)` : '0'}`;
  });
  return `SELECT count(*), ${parts.join(', ')} FROM ${source}`;
}
