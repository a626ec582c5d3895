import { Button, Menu, SegmentedControl } from '@mantine/core';
import { useEffect, useMemo, useRef, useState } from 'react';
import { type ChartSpec, type Data, pick } from '#visualize';
import type { CatalogAnswer, Job, QueryAnswer } from '../../src/server/api.ts';
import { ask, call, isAbort, Trouble } from '../api.ts';
import { Chart } from '../chart/chart.tsx';
import { ChartPicker } from '../chart/picker.tsx';
import { useLive } from '../live.ts';
import { Empty, Page, Problem } from '../states.tsx';
import { tsv } from '../table/cells.ts';
import { Grid } from '../table/grid.tsx';
import { useWords } from '../words/index.tsx';
import { Editor, type Mark } from './editor.tsx';
import { readHistory, remember } from './history.ts';

const mostRows = 1_000_000;
const draft = 'millrace.draft';

type State =
  | { kind: 'nothing' }
  | { kind: 'running'; job: string; since: number; stop: AbortController }
  | { kind: 'answered'; answer: QueryAnswer; sql: string }
  | { kind: 'stopped' }
  | { kind: 'failed'; trouble: Trouble };

export default function Ask() {
  const { t, ago, number } = useWords();
  const catalog = useLive('catalog', (signal) => call<CatalogAnswer>('GET', '/v1/catalog', { signal }));
  const [sql, setSql] = useState(() => fromAddress() ?? sessionStorage.getItem(draft) ?? '');
  const [state, setState] = useState<State>({ kind: 'nothing' });
  const [asked, setAsked] = useState(readHistory);
  const running = useRef<AbortController | null>(null);
  useEffect(clearAddress, []);
  useEffect(() => sessionStorage.setItem(draft, sql), [sql]);
  useEffect(() => () => running.current?.abort(), []);
  const run = async () => {
    if (sql.trim() === '') return;
    running.current?.abort();
    const stop = new AbortController();
    running.current = stop;
    const job = `console_${crypto.randomUUID()}`;
    setState({ kind: 'running', job, since: Date.now(), stop });
    try {
      const answer = await ask({ sql, job, limits: { rows: mostRows } }, stop.signal);
      if (running.current !== stop) return;
      setState({ kind: 'answered', answer, sql });
      setAsked(remember({ sql, at: Date.now(), rows: answer.row_count }));
    } catch (thrown) {
      if (running.current !== stop) return;
      if (isAbort(thrown)) return setState({ kind: 'stopped' });
      if (!(thrown instanceof Trouble)) throw thrown;
      setState({ kind: 'failed', trouble: thrown });
      setAsked(remember({ sql, at: Date.now(), rows: null }));
    }
  };
  const mark = useMemo<Mark | null>(() => (state.kind === 'failed' ? markOf(state.trouble) : null), [state]);
  const tables = useMemo(() => catalog.data?.tables ?? [], [catalog.data]);
  return (
    <Page
      title={t('ask')}
      lead={t('ask_lead')}
      action={
        <Menu position="bottom-end" width={420}>
          <Menu.Target>
            <Button variant="default">{t('ask_history')}</Button>
          </Menu.Target>
          <Menu.Dropdown className="history">
            {asked.length === 0 && <p className="faint history-empty">{t('ask_history_empty')}</p>}
            {asked.map((entry) => (
              <Menu.Item key={`${entry.at} ${entry.sql}`} onClick={() => setSql(entry.sql)}>
                <code className="history-sql">{entry.sql}</code>
                <span className="faint small">
                  {ago(entry.at)}
                  {entry.rows !== null && ` · ${t('rows', { n: number(entry.rows) })}`}
                </span>
              </Menu.Item>
            ))}
          </Menu.Dropdown>
        </Menu>
      }
    >
      <div className="ask-editor">
        <Editor value={sql} onChange={setSql} onRun={run} label={t('editor')} hint="SELECT …" tables={tables} mark={mark} />
        <div className="ask-bar">
          {state.kind === 'running' ? (
            <Running job={state.job} since={state.since} onStop={() => state.stop.abort()} />
          ) : (
            <>
              <span />
              <Button onClick={run} disabled={sql.trim() === ''} rightSection={<kbd>⌘↵</kbd>}>
                {t('run')}
              </Button>
            </>
          )}
        </div>
      </div>
      {state.kind === 'answered' && <Result answer={state.answer} key={state.answer.job} />}
      {state.kind === 'failed' && <Problem trouble={state.trouble} onRetry={run} />}
      {state.kind === 'stopped' && <p className="faint">{t('stopped')}</p>}
      {state.kind === 'nothing' && <Empty>{t('ask_empty')}</Empty>}
    </Page>
  );
}

/** Links to Ask carry their SQL in the fragment, which is never sent to a server. */
function fromAddress(): string | null {
  return new URLSearchParams(location.hash.slice(1)).get('sql');
}

/** Once it is in the editor. Not while rendering: a render that React throws away would take the question with it. */
function clearAddress(): void {
  if (fromAddress() !== null) history.replaceState(null, '', location.pathname);
}

/** The catalogue's errors of statements count `position` from 0, or say line and column from 1. */
function markOf({ body }: Trouble): Mark | null {
  const { position } = body.params;
  return typeof position === 'number' ? { from: position, message: body.message } : null;
}

function Running({ job, since, onStop }: { job: string; since: number; onStop: () => void }) {
  const { t, duration, share } = useWords();
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 200);
    return () => clearInterval(timer);
  }, []);
  const late = now - since > 400;
  const state = useLive(late ? job : null, (signal) => call<Job>('GET', `/v1/jobs/${encodeURIComponent(job)}`, { signal }), 500);
  const progress = state.data?.progress ?? null;
  return (
    <>
      <span className="faint small tabular" role="status">
        {t('running_for', { time: duration(now - since) })}
        {progress !== null && progress > 0 && ` · ${share(progress)}`}
      </span>
      <Button variant="default" onClick={onStop}>
        {t('stop')}
      </Button>
    </>
  );
}

function Result({ answer }: { answer: QueryAnswer }) {
  const { t, number, duration } = useWords();
  const data: Data = answer;
  const best = useMemo(() => pick(data), [data]);
  const [view, setView] = useState<'table' | 'chart'>('table');
  const [spec, setSpec] = useState<ChartSpec>(best.kind === 'table' ? { kind: 'bar' } : best);
  const facts = { rows: number(answer.row_count), time: duration(answer.elapsed_ms) };
  if (answer.rows.length === 0) return <Empty>{t('result_none')}</Empty>;
  return (
    <section aria-label={t('as_table')}>
      <div className="result-bar">
        <SegmentedControl
          value={view}
          onChange={(next) => setView(next as typeof view)}
          data={[
            { value: 'table', label: t('as_table') },
            { value: 'chart', label: t('as_chart') },
          ]}
        />
        {view === 'chart' && <ChartPicker data={data} kind={spec.kind} onKind={(kind) => setSpec({ kind })} />}
        <span className="faint small tabular result-facts" role="status">
          {t(answer.truncated ? 'result_cut' : 'result_rows', facts)}
        </span>
        <Button variant="default" onClick={() => navigator.clipboard.writeText(tsv(answer.columns, answer.rows))}>
          {t('copy_rows')}
        </Button>
      </div>
      <div className="result-body">
        {view === 'table' ? (
          <Grid columns={answer.columns} rows={answer.rows} label={t('as_table')} />
        ) : (
          <Chart spec={spec} data={data} label={t('as_chart')} />
        )}
      </div>
    </section>
  );
}
