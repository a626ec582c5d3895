import { Button } from '@mantine/core';
import { useState } from 'react';
import type { Table } from '#core';
import type { QueryAnswer, SessionAnswer, ViewsAnswer } from '../../src/server/api.ts';
import { ask, call, type Trouble, troubled } from '../api.ts';
import { useLive } from '../live.ts';
import { quotedTable } from '../sql.ts';
import { Problem } from '../states.tsx';
import { useWords } from '../words/index.tsx';

type ViewFacts = ViewsAnswer['views'][number];

const often = 5000;

/** How new a table is: of a view whether it is kept up, and the way to go on; of what is written in batches the last one. */
export function Freshness({ table, who }: { table: Table; who: SessionAnswer }) {
  const { t } = useWords();
  const name = `${table.schema}.${table.name}`;
  const views = useLive('views', (signal) => call<ViewsAnswer>('GET', '/v1/views', { signal }), often);
  const batch = useLive(`batch ${name}`, (signal) => ask({ sql: lastBatch, params: [name] }, signal), often);
  const view = views.data?.views.find((each) => each.name === name);
  const trouble = views.error ?? batch.error;
  const written = writtenOf(batch.data);
  if (view === undefined && written === null && trouble === null) return null;
  return (
    <section className="card">
      <h2>{t('freshness')}</h2>
      {view !== undefined && (
        <View view={view} edits={who.role === 'admin' || who.role === 'editor'} sql={quotedTable(table)} onDone={views.refresh} />
      )}
      {written !== null && <Written {...written} />}
      {trouble !== null && <Problem trouble={trouble} onRetry={views.error === null ? batch.refresh : views.refresh} compact />}
    </section>
  );
}

const lastBatch = 'SELECT max(batch), max(committed), arg_max("rows", batch) FROM millrace.batch WHERE target = $1';

interface Batch {
  readonly batch: number;
  readonly at: number;
  readonly rows: number;
}

function writtenOf(answer: QueryAnswer | null): Batch | null {
  const [batch, committed, rows] = answer?.rows[0] ?? [];
  return batch == null ? null : { batch: Number(batch), at: Date.parse(String(committed)), rows: Number(rows) };
}

function Written({ batch, at, rows }: Batch) {
  const { t, number, ago, instant } = useWords();
  return (
    <p className="item" title={instant(at)}>
      {t('fresh_written', { when: ago(at), batch })}
      {rows > 0 && ` ${t('fresh_rows', { n: number(rows) })}`}
    </p>
  );
}

function View({ view, edits, sql, onDone }: { view: ViewFacts; edits: boolean; sql: string; onDone: () => void }) {
  const { t, said, remedy, ago, instant } = useWords();
  const [trouble, setTrouble] = useState<Trouble | null>(null);
  const { state, error, building, batch, refreshed } = view;
  const at = refreshed === null ? null : Date.parse(refreshed);
  const resume = () =>
    troubled(setTrouble, async () => {
      setTrouble(null);
      await ask({ sql: `RESUME MATERIALIZED VIEW ${sql}` });
      onDone();
    });
  return (
    <div className="item">
      <i className={`dot ${state === 'paused' ? 'bad' : state === 'behind' ? 'wait' : 'good'}`} />
      <div>
        <p>
          <strong>{t(`fresh_${state}`)}</strong> {error === null ? (state === 'paused' ? t('attention_view_paused') : '') : said(error)}
        </p>
        {error !== null && (
          <p className="faint small">
            {remedy(error)} <code>{error.code}</code>
          </p>
        )}
        {building !== null && <p className="faint small">{t('fresh_building', building)}</p>}
        {at !== null && (
          <p className="faint small" title={instant(at)}>
            {t('fresh_refreshed', { when: ago(at), batch: batch ?? '–' })}
          </p>
        )}
        {trouble !== null && <Problem trouble={trouble} compact />}
      </div>
      {state === 'paused' && edits && (
        <Button variant="default" onClick={resume}>
          {t('resume')}
        </Button>
      )}
    </div>
  );
}
