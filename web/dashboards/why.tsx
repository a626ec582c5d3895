import { Modal } from '@mantine/core';
import { callsAnswers } from '#visualize';
import type { WhyAnswer, WhyTable } from '../../src/server/api.ts';
import { Evidence } from '../answer/evidence.tsx';
import { call } from '../api.ts';
import { Copied } from '../copy.tsx';
import { Chain } from '../data/chain.tsx';
import { Link } from '../link.tsx';
import { useLive } from '../live.ts';
import { Placeholder, Problem } from '../states.tsx';
import { cellFormat } from '../table/cells.ts';
import { Grid } from '../table/grid.tsx';
import { useWords } from '../words/index.tsx';

/** The others are folded away. */
const shownColumns = 8;

/** What is asked about: the values of one row or mark of a result, and of it one column; null for all of it. */
export interface Wondered {
  readonly row: Readonly<Record<string, string | number | boolean | null>> | null;
  readonly column: string | null;
}

/** What a figure stands on: what makes it, the rows behind it, its statement, the tables with their batches and positions, and rows of them. */
export function Why({
  title,
  sql,
  shown,
  params,
  of,
  onClose,
}: {
  title: string;
  sql: string;
  shown: string;
  params: object;
  of: Wondered;
  onClose: () => void;
}) {
  const { t, number, language } = useWords();
  const { row, column } = of;
  const why = useLive<WhyAnswer>(JSON.stringify([sql, params, row]), (signal) =>
    call('POST', '/v1/why', { body: { sql, params, ...(row !== null && { row }) }, signal }),
  );
  const made = why.data === null ? [] : madeOf(why.data).filter(({ name }) => column === null || name === column);
  const behind = why.data?.behind ?? null;
  // Answers are opened, models tell of themselves: what is left is a contribution analysis.
  const unknown = why.data?.models.length === 0 ? why.data.called.filter((name) => name.startsWith('ml.')) : [];
  const steps =
    row === null ? [] : Object.entries(row).filter(([name, value]) => name !== column && (column === null || typeof value !== 'number'));
  const figure = row === null || column === null ? null : cellFormat({ name: column, type: typeOf(row[column]) }, language);
  return (
    <Modal opened onClose={onClose} title={`${t('why')} ${title}`} size={860} closeButtonProps={{ 'aria-label': t('close') }}>
      <div className="stack why">
        {row !== null && (
          <p className="why-figure">
            {column !== null && (
              <>
                <span className="faint">{column}</span>{' '}
                <strong className="tabular" title={figure?.whole?.(row[column])}>
                  {figure?.text(row[column]) ?? 'NULL'}
                </strong>{' '}
              </>
            )}
            <span className="faint small">{steps.map(([name, value]) => `${name}: ${value === null ? 'NULL' : value}`).join(' · ')}</span>
          </p>
        )}
        {callsAnswers(sql) && <Evidence sql={sql} params={params} />}
        {made.length > 0 && (
          <section>
            <h3>{t('why_made')}</h3>
            <MadeColumns made={made.slice(0, shownColumns)} nodes={why.data!.lineage.nodes} />
            {made.length > shownColumns && (
              <details className="made-sql">
                <summary>{t('why_made_more', { n: made.length - shownColumns })}</summary>
                <MadeColumns made={made.slice(shownColumns)} nodes={why.data!.lineage.nodes} />
              </details>
            )}
          </section>
        )}
        {why.data?.untold != null && <p className="small">{t(`why_untold_${why.data.untold}`)}</p>}
        {behind !== null && (
          <section>
            <h3>{t('why_behind', { n: number(behind.rows) })}</h3>
            {behind.sample.length > 0 && (
              <Grid columns={behind.columns} rows={behind.sample} label={t('why_behind', { n: number(behind.rows) })} height={230} />
            )}
          </section>
        )}
        <section>
          <h3>{t('why_statement')}</h3>
          <Copied text={shown} />
          {opens(why.data, sql) && (
            <details className="made-sql">
              <summary>{t('why_opened')}</summary>
              <Copied text={why.data!.sql} />
            </details>
          )}
        </section>
        {why.error !== null && <Problem trouble={why.error} onRetry={why.refresh} compact />}
        {why.data === null && why.error === null && <Placeholder />}
        {unknown.length > 0 && <p className="small">{t('why_called', { names: unknown.join(', ') })}</p>}
        {why.data?.models.map((model) => (
          <Model key={`${model.model} ${model.version}`} model={model} />
        ))}
        {why.data !== null && why.data.withheld.length > 0 && (
          <p className="small">{t('why_withheld', { names: why.data.withheld.join(', ') })}</p>
        )}
        {why.data?.tables.map((table) => (
          <Source key={table.table} source={table} />
        ))}
        {why.data !== null && why.data.tables.length === 0 && <p className="faint">{t('why_no_table')}</p>}
      </div>
    </Modal>
  );
}

/** `spelled` where a name that stands in `sql` stands for more than a column. */
type MadeColumn = WhyAnswer['lineage']['columns'][number] & { readonly sql: string | null; readonly spelled: string | null };

/** A mark of a chart comes without its column's type. */
const typeOf = (value: unknown): string => (typeof value !== 'number' ? 'VARCHAR' : Number.isInteger(value) ? 'BIGINT' : 'DOUBLE');

/** As the statement writes it; where that lists no columns, as their tables name it. */
function madeOf({ made, lineage }: WhyAnswer): MadeColumn[] {
  const isWritten = made.length === lineage.columns.length;
  return lineage.columns.map((column, at) => {
    const { expression } = column;
    const sql = isWritten ? made[at]!.sql : expression;
    return {
      ...column,
      sql,
      spelled: sql !== null && expression !== null && unqualified(sql) !== unqualified(expression) ? expression : null,
    };
  });
}

const unqualified = (sql: string): string => sql.replace(/(?:"[^"]*"|[\p{L}_][\p{L}\p{N}_]*)\./gu, '');

function MadeColumns({ made, nodes }: { made: readonly MadeColumn[]; nodes: WhyAnswer['lineage']['nodes'] }) {
  return (
    <dl className="made">
      {made.map((column, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: two columns may have one name
        <div key={at}>
          <dt>{column.name}</dt>
          <dd>
            {column.sql !== null && <code>{column.sql}</code>}
            {column.spelled !== null && (
              <code className="chain-made" title={column.spelled}>
                = {column.spelled}
              </code>
            )}
            <Chain of={column} nodes={nodes} />
          </dd>
        </div>
      ))}
    </dl>
  );
}

/** Whether what was asked calls an answer, which has SQL of its own. */
const opens = (why: WhyAnswer | null, sql: string): boolean => why !== null && why.sql.trim() !== sql.trim();

function Model({ model: { model, version, type, rows, batch, created, by, query } }: { model: WhyAnswer['models'][number] }) {
  const { t, number, ago, instant } = useWords();
  const at = Date.parse(created);
  return (
    <section className="why-table">
      <h3>
        <Link href={`/models/${encodeURIComponent(model)}`}>{model}</Link> <span className="faint small">{type}</span>
      </h3>
      <p className="small" title={instant(at)}>
        {t('why_learned', { version, rows: number(rows), batch, when: ago(at), by })}
      </p>
      <details className="made-sql">
        <summary>{t('why_learned_by')}</summary>
        <Copied text={query} />
      </details>
    </section>
  );
}

function Source({ source }: { source: WhyTable }) {
  const { t, number, ago, instant, duration } = useWords();
  const { batches, topic, view, sample } = source;
  const [schema, ...name] = source.table.split('.');
  const facts: [string, string, string?][] = [];
  if (source.rows !== null) facts.push([t('why_rows'), number(source.rows)]);
  if (batches !== null) {
    const at = Date.parse(batches.committed);
    const { count, first, last } = batches;
    facts.push([t('why_batches'), count === 1 ? t('why_batch_one', { first }) : t('why_batch_range', { n: number(count), first, last })]);
    facts.push([t('why_written'), ago(at), instant(at)]);
    if (batches.quarantined > 0 || batches.duplicates > 0)
      facts.push([
        t('why_left_out'),
        t('why_left_out_of', { quarantined: number(batches.quarantined), duplicates: number(batches.duplicates) }),
      ]);
  }
  if (topic !== null) {
    facts.push([t('why_positions'), `${number(topic.from)}–${number(topic.to)} / ${number(topic.durable)}`]);
    facts.push([t('waiting'), topic.lag_ms === 0 ? t('stage_process_none') : duration(topic.lag_ms)]);
  }
  if (view !== null && view.batch !== null) facts.push([t('why_view'), t('why_view_batch', { batch: view.batch, state: view.state })]);
  if (source.columns.length > 0) facts.push([t('why_columns'), source.columns.join(', ')]);
  return (
    <section className="why-table">
      <h3>
        <Link href={`/data/${encodeURIComponent(schema!)}/${encodeURIComponent(name.join('.'))}`}>{source.table}</Link>{' '}
        <span className="faint small">
          {t(`origin_${source.origin}`)}
          {source.of !== null && ` · ${t('why_of', { table: source.of })}`}
        </span>
      </h3>
      <dl className="facts">
        {facts.map(([word, value, whole]) => (
          <div key={word}>
            <dt className="faint small">{word}</dt>
            <dd className="tabular" title={whole}>
              {value}
            </dd>
          </div>
        ))}
      </dl>
      {sample !== null && sample.rows.length > 0 && (
        <Grid columns={sample.columns} rows={sample.rows} label={`${t('sample')} ${source.table}`} height={190} />
      )}
    </section>
  );
}
