import { Button, FileButton, Skeleton, TextInput } from '@mantine/core';
import { useState } from 'react';
import type { Table } from '#core';
import type { CatalogAnswer, SessionAnswer, TransfersAnswer } from '../../src/server/api.ts';
import { call } from '../api.ts';
import { Link } from '../link.tsx';
import { useLive } from '../live.ts';
import { go } from '../route.ts';
import { loadable, loadFile } from '../shell/drop.tsx';
import { icons } from '../shell/icons.tsx';
import { Empty, Page, Problem } from '../states.tsx';
import { useWords } from '../words/index.tsx';

export default function Catalog({ who }: { who: SessionAnswer }) {
  const { t, short, number, ago } = useWords();
  const catalog = useLive('catalog', (signal) => call<CatalogAnswer>('GET', '/v1/catalog', { signal }), 10_000);
  const listed = useLive('transfers', (signal) => call<TransfersAnswer>('GET', '/v1/transfers', { signal }), 10_000);
  const [text, setText] = useState('');
  const tables = (catalog.data?.tables ?? []).filter(({ origin }) => origin !== 'system');
  const found = tables.filter((table) => matches(table, text));
  const schemas = Map.groupBy(found, ({ schema }) => schema);
  const topics = (catalog.data?.topics ?? []).filter(({ name, title }) => `${name} ${title}`.toLowerCase().includes(text.toLowerCase()));
  const transfers = (listed.data?.transfers ?? []).filter(({ name, source }) =>
    `${name} ${source}`.toLowerCase().includes(text.toLowerCase()),
  );
  return (
    <Page
      title={t('data')}
      lead={t('catalog_lead')}
      action={
        (who.role === 'admin' || who.role === 'editor') && (
          <div className="page-actions">
            {who.role === 'admin' && (
              <Button variant="default" onClick={() => go('/data/connect')}>
                {t('connect')}
              </Button>
            )}
            <FileButton onChange={(file) => file && loadFile(file)} accept={loadable}>
              {(props) => <Button {...props}>{t('first_load')}</Button>}
            </FileButton>
          </div>
        )
      }
    >
      <TextInput
        className="catalog-search"
        leftSection={icons.find}
        placeholder={t('catalog_search')}
        aria-label={t('catalog_search')}
        value={text}
        onChange={(event) => setText(event.currentTarget.value)}
        size="md"
      />
      {catalog.error !== null && <Problem trouble={catalog.error} onRetry={catalog.refresh} />}
      {catalog.data === null && catalog.error === null && <Skeleton height={320} />}
      {catalog.data !== null && tables.length === 0 && topics.length === 0 && <Empty>{t('catalog_empty')}</Empty>}
      {tables.length > 0 && found.length === 0 && topics.length === 0 && <p className="faint">{t('catalog_none', { text })}</p>}
      {topics.length > 0 && (
        <section className="card">
          <h2>{t('all_topics')}</h2>
          <ul className="items">
            {topics.map((topic) => (
              <li key={topic.name}>
                <Link className="entry" href={`/data/topics/${topic.name}`}>
                  {icons.topic}
                  <span className="entry-name">{topic.name}</span>
                  <span className="faint entry-text">{topic.title}</span>
                </Link>
              </li>
            ))}
          </ul>
        </section>
      )}
      {transfers.length > 0 && (
        <section className="card">
          <h2>{t('transfers')}</h2>
          <ul className="items">
            {transfers.map(({ name, source, tables: n, last }) => (
              <li key={name}>
                <Link className="entry" href={`/data/transfers/${encodeURIComponent(name)}`}>
                  {icons.transfer}
                  <span className="entry-name">{name}</span>
                  <span className="faint entry-text">
                    {source} · {t('transfer_n_tables', { n })}
                  </span>
                  <span className={last?.state === 'failed' ? 'entry-figure bad-text' : 'entry-figure faint'}>
                    {last === null
                      ? ''
                      : last.state === 'running'
                        ? t('job_running')
                        : last.state === 'failed'
                          ? t('job_failed')
                          : ago(Date.parse(last.report!.ended))}
                  </span>
                </Link>
              </li>
            ))}
          </ul>
        </section>
      )}
      {[...schemas].map(([schema, list]) => (
        <section className="card" key={schema}>
          <h2>{schema}</h2>
          <ul className="items">
            {list.map((table) => (
              <li key={table.name}>
                <Link className="entry" href={`/data/${encodeURIComponent(schema)}/${encodeURIComponent(table.name)}`}>
                  {icons.table}
                  <span className="entry-name">{table.name}</span>
                  <span className="faint entry-text">{hits(table, text) ?? t(`origin_${table.origin}`)}</span>
                  <span className="tabular entry-figure" title={table.rows === null ? undefined : number(table.rows)}>
                    {table.rows === null ? t('view') : t('rows', { n: short(table.rows) })}
                  </span>
                </Link>
              </li>
            ))}
          </ul>
        </section>
      ))}
    </Page>
  );
}

function matches({ schema, name, columns }: Table, text: string): boolean {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const all = `${schema}.${name} ${columns.map((column) => column.name).join(' ')}`.toLowerCase();
  return words.every((word) => all.includes(word));
}

/** The columns by which the search found a table. */
function hits({ columns }: Table, text: string): string | null {
  const word = text.trim().toLowerCase();
  const found = word === '' ? [] : columns.filter(({ name }) => name.toLowerCase().includes(word));
  return found.length === 0
    ? null
    : found
        .map(({ name }) => name)
        .slice(0, 6)
        .join(', ');
}
