import { Button, Menu, SegmentedControl, Select, Skeleton, TextInput } from '@mantine/core';
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import {
  type ChartSpec,
  callsAnswers,
  type Data,
  pick,
  previousOf,
  asked as statementOf,
  type Tile,
  type Values,
  valuesOf,
} from '#visualize';
import type {
  CatalogAnswer,
  Job,
  MetricsAnswer,
  QueryAnswer,
  SavedQueriesAnswer,
  SavedQueryAnswer,
  SessionAnswer,
} from '../../src/server/api.ts';
import { Evidence } from '../answer/evidence.tsx';
import { ask, call, isAbort, Trouble } from '../api.ts';
import { Chart, wonderedAt } from '../chart/chart.tsx';
import { ChartPicker } from '../chart/picker.tsx';
import { commandKey } from '../command-key.ts';
import { Copied, useCopying } from '../copy.tsx';
import { filledIn } from '../dashboards/tile.tsx';
import { Why, type Wondered } from '../dashboards/why.tsx';
import { newId } from '../id.ts';
import { useLive } from '../live.ts';
import { Empty, Page, Problem } from '../states.tsx';
import { tsv } from '../table/cells.ts';
import { Grid } from '../table/grid.tsx';
import { type Speech, useWords } from '../words/index.tsx';
import { today } from '../zone.ts';
import { Builder, keyOf, type Subject } from './builder.tsx';
import { Editor, type Mark } from './editor.tsx';
import { formatSql } from './format.ts';
import { type Asked, readHistory, remember } from './history.ts';
import { type Input, inputsOf, valuesFor } from './inputs.ts';
import { firstMetricQuestion, firstQuestion, metricSql, type Question, tableSql, tileOf } from './question.ts';
import { queryPath, SaveQuery, SaveTile } from './save.tsx';

const mostRows = 1_000_000;
/** A question that is asked anew at each change brings fewer; an answer with more says so. */
const mostClicked = 10_000;
/** An answer of up to so many rows stays in sight while the next one is waited for: two large ones would fill the page's memory. */
const mostKept = 50_000;
const draft = 'millrace.draft';
const lastWay = 'millrace.ask';

type Answered = { kind: 'answered'; answer: QueryAnswer; sql: string; statement: string; params: Values };

type State =
  | { kind: 'nothing' }
  | { kind: 'running'; job: string; since: number; stop: AbortController; before: Answered | null }
  | Answered
  | { kind: 'stopped' }
  | { kind: 'failed'; trouble: Trouble };

/** One statement at a time: asking again ends the one before. */
function useAsking(): { state: State; run: (sql: string, values: Values, rows?: number) => Promise<void>; asked: readonly Asked[] } {
  const [state, setState] = useState<State>({ kind: 'nothing' });
  const [asked, setAsked] = useState(readHistory);
  const running = useRef<AbortController | null>(null);
  useEffect(() => () => running.current?.abort(), []);
  const run = useCallback(async (sql: string, values: Values, rows = mostRows) => {
    if (sql.trim() === '') return;
    running.current?.abort();
    const stop = new AbortController();
    running.current = stop;
    const job = `console_${newId()}`;
    setState((now) => ({ kind: 'running', job, since: Date.now(), stop, before: keptOf(now) }));
    try {
      const { sql: statement, params } = statementOf(sql, values);
      const sent = Object.keys(params).length > 0 ? { params } : {};
      const answer = await ask({ sql: statement, ...sent, job, limits: { rows } }, stop.signal);
      if (running.current !== stop) return;
      setState({ kind: 'answered', answer, sql, statement, params });
      setAsked(remember({ sql, at: Date.now(), rows: answer.row_count }));
    } catch (thrown) {
      if (running.current !== stop) return;
      if (isAbort(thrown)) return setState({ kind: 'stopped' });
      if (!(thrown instanceof Trouble)) throw thrown;
      setState({ kind: 'failed', trouble: thrown });
      setAsked(remember({ sql, at: Date.now(), rows: null }));
    }
  }, []);
  return { state, run, asked };
}

/** The answer that is in sight. */
function keptOf(state: State): Answered | null {
  if (state.kind === 'running') return state.before;
  return state.kind === 'answered' && state.answer.row_count <= mostKept ? state : null;
}

/** What the address names is opened, also where only its last part changes. */
export default function Ask({ who }: { who: SessionAnswer }) {
  const [links, setLinks] = useState(0);
  useEffect(() => {
    const linked = () => location.hash !== '' && setLinks((now) => now + 1);
    addEventListener('hashchange', linked);
    return () => removeEventListener('hashchange', linked);
  }, []);
  return <Desk key={links} who={who} />;
}

/** By SQL, or by pointing and clicking, which shows the SQL that it means. */
function Desk({ who }: { who: SessionAnswer }) {
  const { t, ago, number } = useWords();
  const [way, setWay] = useState<'sql' | 'click'>(() =>
    aboutLink() !== null
      ? 'click'
      : fromAddress() !== null || savedLink() !== null
        ? 'sql'
        : sessionStorage.getItem(lastWay) === 'click'
          ? 'click'
          : 'sql',
  );
  const [sql, setSql] = useState(() => fromAddress() ?? sessionStorage.getItem(draft) ?? '');
  const [given, setGiven] = useState<Readonly<Record<string, string>>>({});
  const [held, setHeld] = useState<SavedQueryAnswer | null>(null);
  const [saving, setSaving] = useState<{ kind: 'tile'; tile: Tile } | { kind: 'query' } | null>(null);
  const { state, run, asked } = useAsking();
  useEffect(() => sessionStorage.setItem(draft, sql), [sql]);
  useEffect(() => sessionStorage.setItem(lastWay, way), [way]);
  const [linked] = useState(savedLink);
  const opened = useLive(linked, (signal) => call<SavedQueryAnswer>('GET', queryPath(linked!), { signal }));
  useEffect(() => {
    if (opened.data === null) return;
    setSql(opened.data.sql);
    setHeld(opened.data);
  }, [opened.data]);
  const edits = who.role !== 'viewer';
  const shown = state.kind === 'answered' ? state : state.kind === 'running' ? state.before : null;
  const open = (next: string, values: Readonly<Record<string, string>> = {}) => {
    setSql(next);
    setGiven(values);
    setWay('sql');
  };
  return (
    <Page
      title={t('ask')}
      lead={t('ask_lead')}
      action={
        <div className="page-actions">
          <SavedMenu
            onOpen={(saved) => {
              open(saved.sql);
              setHeld(saved);
            }}
          />
          <Menu position="bottom-end" width={420}>
            <Menu.Target>
              <Button variant="default">{t('ask_history')}</Button>
            </Menu.Target>
            <Menu.Dropdown className="history">
              {asked.length === 0 && <p className="faint history-empty">{t('ask_history_empty')}</p>}
              {asked.map((entry) => (
                <Menu.Item key={`${entry.at} ${entry.sql}`} onClick={() => open(entry.sql)}>
                  <code className="history-sql">{entry.sql}</code>
                  <span className="faint small">
                    {ago(entry.at)}
                    {entry.rows !== null && ` · ${t('rows', { n: number(entry.rows) })}`}
                  </span>
                </Menu.Item>
              ))}
            </Menu.Dropdown>
          </Menu>
        </div>
      }
    >
      {opened.error !== null && <Problem trouble={opened.error} compact />}
      <SegmentedControl
        className="ask-way"
        value={way}
        onChange={(next) => setWay(next as typeof way)}
        data={[
          { value: 'click', label: t('ask_click') },
          { value: 'sql', label: t('ask_sql') },
        ]}
      />
      {way === 'click' ? (
        <Clicking state={state} run={run} onSql={open} onTile={edits ? (tile) => setSaving({ kind: 'tile', tile }) : null} />
      ) : (
        <Writing
          state={state}
          run={run}
          sql={sql}
          setSql={setSql}
          given={given}
          setGiven={setGiven}
          held={held}
          onSave={edits ? () => setSaving({ kind: 'query' }) : null}
          onTile={edits ? () => setSaving({ kind: 'tile', tile: tileOf('', sql.trim().replace(/;$/, ''), null, null) }) : null}
        />
      )}
      {shown !== null && (
        <div className={state.kind === 'running' ? 'stale' : undefined} aria-busy={state.kind === 'running'}>
          <Result answered={shown} key={shown.answer.job} first={way === 'click' ? 'chart' : 'table'} />
          {callsAnswers(shown.statement) && <Evidence key={`of ${shown.answer.job}`} sql={shown.statement} params={shown.params} />}
        </div>
      )}
      {state.kind === 'running' && shown === null && <ResultToCome />}
      {saving?.kind === 'tile' && <SaveTile tile={saving.tile} title={saving.tile.title} onClose={() => setSaving(null)} />}
      {saving?.kind === 'query' && (
        <SaveQuery
          sql={sql}
          held={held}
          onClose={() => setSaving(null)}
          onSaved={(saved) => {
            setHeld(saved);
            setSaving(null);
          }}
        />
      )}
    </Page>
  );
}

/** The statement in the editor, with an input for each of its parameters. */
function Writing({
  state,
  run,
  sql,
  setSql,
  given,
  setGiven,
  held,
  onSave,
  onTile,
}: {
  state: State;
  run: (sql: string, values: Values) => Promise<void>;
  sql: string;
  setSql: (sql: string) => void;
  given: Readonly<Record<string, string>>;
  setGiven: (given: Readonly<Record<string, string>>) => void;
  held: SavedQueryAnswer | null;
  onSave: (() => void) | null;
  onTile: (() => void) | null;
}) {
  const { t, said } = useWords();
  const catalog = useLive('catalog', (signal) => call<CatalogAnswer>('GET', '/v1/catalog', { signal }));
  useEffect(clearAddress, []);
  const inputs = useMemo(() => inputsOf(sql), [sql]);
  const runNow = () => run(sql, valuesFor(inputs, given));
  const mark = useMemo<Mark | null>(() => (state.kind === 'failed' ? markOf(state.trouble, said) : null), [state, said]);
  const tables = useMemo(() => catalog.data?.tables ?? [], [catalog.data]);
  return (
    <>
      <div className="ask-editor">
        <Editor value={sql} onChange={setSql} onRun={runNow} label={t('editor')} hint="SELECT …" tables={tables} mark={mark} />
        {inputs.length > 0 && (
          <div className="ask-inputs">
            {inputs.map((input) => (
              <ValueInput
                key={input.name}
                input={input}
                value={given[input.name] ?? ''}
                onValue={(value) => setGiven({ ...given, [input.name]: value })}
              />
            ))}
          </div>
        )}
        <div className="ask-bar">
          {state.kind === 'running' ? (
            <Running job={state.job} since={state.since} onStop={() => state.stop.abort()} />
          ) : (
            <>
              <span className="ask-held faint small">
                {held !== null && `queries/${held.name}.sql${held.sql === sql ? '' : ` · ${t('unsaved')}`}`}
              </span>
              <Button variant="default" onClick={() => setSql(formatSql(sql))} disabled={sql.trim() === ''}>
                {t('format')}
              </Button>
              {onSave !== null && (
                <Button variant="default" onClick={onSave} disabled={sql.trim() === '' || held?.sql === sql}>
                  {t('save_query')}
                </Button>
              )}
              {onTile !== null && (
                <Button variant="default" onClick={onTile} disabled={state.kind !== 'answered'}>
                  {t('save_tile')}
                </Button>
              )}
              <Button className="ask-run" onClick={runNow} disabled={sql.trim() === ''} rightSection={<kbd>{commandKey}↵</kbd>}>
                {t('run')}
              </Button>
            </>
          )}
        </div>
      </div>
      {state.kind === 'failed' && <Problem trouble={state.trouble} onRetry={runNow} />}
      {state.kind === 'stopped' && <p className="faint">{t('stopped')}</p>}
      {state.kind === 'nothing' && <Empty>{t('ask_empty')}</Empty>}
    </>
  );
}

/** A question that is clicked together. It is asked as soon as it changes. */
function Clicking({
  state,
  run,
  onSql,
  onTile,
}: {
  state: State;
  run: (sql: string, values: Values, rows: number) => Promise<void>;
  onSql: (sql: string, values: Readonly<Record<string, string>>) => void;
  onTile: ((tile: Tile) => void) | null;
}) {
  const { t } = useWords();
  const catalog = useLive('catalog', (signal) => call<CatalogAnswer>('GET', '/v1/catalog', { signal }));
  const metrics = useLive('metrics', (signal) => call<MetricsAnswer>('GET', '/v1/metrics', { signal }));
  const [chosen, setChosen] = useState(aboutLink);
  const [question, setQuestion] = useState<Question | null>(null);
  useEffect(clearAddress, []);
  const subjects = useMemo<readonly Subject[]>(
    () => [
      ...(metrics.data?.metrics ?? []).map((metric) => ({ kind: 'metric' as const, metric })),
      ...(catalog.data?.tables ?? []).filter(({ origin }) => origin !== 'system').map((table) => ({ kind: 'table' as const, table })),
    ],
    [catalog.data, metrics.data],
  );
  const subject = subjects.find((each) => keyOf(each) === chosen) ?? null;
  const now = question ?? (subject === null ? null : firstOf(subject));
  const sql =
    subject === null || now === null || metrics.data === null
      ? null
      : subject.kind === 'table'
        ? tableSql(subject.table, now, metrics.data)
        : metricSql(subject.metric, now);
  const values = sql === null || now === null ? {} : rangeValues(now);
  const asking = sql === null ? null : JSON.stringify([sql, values]);
  useEffect(() => {
    if (asking === null) return;
    // Not for each letter that is typed into a value.
    const timer = setTimeout(() => run(...(JSON.parse(asking) as [string, Values]), mostClicked), 250);
    return () => clearTimeout(timer);
  }, [asking, run]);
  const metric = subject?.kind === 'metric' ? subject.metric : null;
  /** What a question is called until somebody calls it otherwise. */
  const titleOf = ({ aggregate, measure, by, grain }: Question) => {
    const of = subject?.kind === 'table' ? subject.table.name : '';
    const figure = measure === null || aggregate === 'count' ? of : `${measure} (${t(`aggregate_${aggregate}`)})`;
    return [figure, ...by, ...(grain === 'none' ? [] : [t(`grain_${grain}`).toLowerCase()])].join(' · ');
  };
  const trouble = catalog.error ?? metrics.error;
  return (
    <>
      {trouble !== null && <Problem trouble={trouble} onRetry={catalog.refresh} compact />}
      <Builder
        subjects={subjects}
        subject={subject}
        question={now}
        onSubject={(next) => {
          setChosen(keyOf(next));
          setQuestion(firstOf(next));
        }}
        onQuestion={setQuestion}
      />
      {sql === null && <Empty>{t('ask_click_empty')}</Empty>}
      {sql !== null && now !== null && (
        <details className="made-sql" open>
          <summary>{t('made_sql')}</summary>
          <Copied text={sql} />
          <div className="ask-bar">
            {state.kind === 'running' ? (
              <Running job={state.job} since={state.since} onStop={() => state.stop.abort()} />
            ) : (
              <>
                <span className="ask-held" />
                <Button variant="default" onClick={() => onSql(sql, rangeValues(now))}>
                  {t('edit_as_sql')}
                </Button>
                {onTile !== null && (
                  <Button
                    onClick={() => {
                      // A dashboard compares by itself, for all of its tiles.
                      const alone = { ...now, compare: false };
                      const text = subject!.kind === 'table' ? tableSql(subject!.table, alone, metrics.data!) : metricSql(metric!, alone);
                      onTile(tileOf(metric?.title ?? titleOf(alone), text, metric, alone));
                    }}
                  >
                    {t('save_tile')}
                  </Button>
                )}
              </>
            )}
          </div>
        </details>
      )}
      {state.kind === 'failed' && <Problem trouble={state.trouble} compact />}
    </>
  );
}

const firstOf = (subject: Subject) => (subject.kind === 'table' ? firstQuestion(subject.table) : firstMetricQuestion(subject.metric));

/** The values of $from, $to, $last, and of the period before. */
function rangeValues({ range, from, to }: Question): Record<string, string> {
  if (range === 'all') return {};
  const choice = { range, from, to, filters: {} };
  const names = ['from', 'to', 'last'];
  const day = today();
  const before = valuesOf(previousOf(choice, day)!.choice, names, day);
  return { ...(valuesOf(choice, names, day) as Record<string, string>), before_from: before['from']!, before_last: before['last']! };
}

function ValueInput({ input: { name, kind }, value, onValue }: { input: Input; value: string; onValue: (value: string) => void }) {
  const { t } = useWords();
  if (kind === 'boolean')
    return (
      <Select
        label={name}
        clearable
        placeholder={t('all')}
        value={value || null}
        onChange={(next) => onValue(next ?? '')}
        data={['true', 'false']}
        clearButtonProps={{ 'aria-label': t('all') }}
        w={160}
      />
    );
  const types = { date: 'date', instant: 'datetime-local', number: 'number', text: 'text' } as const;
  return (
    <TextInput
      label={name}
      type={types[kind]}
      step={kind === 'number' ? 'any' : undefined}
      placeholder="NULL"
      value={value}
      onChange={({ currentTarget: { value: next } }) => onValue(next)}
      w={180}
    />
  );
}

/** The files of the folder queries/. */
function SavedMenu({ onOpen }: { onOpen: (saved: SavedQueryAnswer) => void }) {
  const { t } = useWords();
  const [opened, setOpened] = useState(false);
  const saved = useLive(opened ? 'queries' : null, (signal) => call<SavedQueriesAnswer>('GET', '/v1/queries', { signal }));
  return (
    <Menu position="bottom-end" width={360} opened={opened} onChange={setOpened}>
      <Menu.Target>
        <Button variant="default">{t('saved_queries')}</Button>
      </Menu.Target>
      <Menu.Dropdown className="history">
        {saved.error !== null && <Problem trouble={saved.error} compact />}
        {(saved.data?.queries.length ?? 0) === 0 && <p className="faint history-empty">{t('saved_queries_empty')}</p>}
        {saved.data?.queries.map((query) => (
          <Menu.Item key={query.name} onClick={() => onOpen(query)}>
            <span>{query.title}</span>
            <code className="history-sql">{query.sql}</code>
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}

/** Links to Ask carry their SQL in the fragment, which is never sent to a server. */
function fromAddress(): string | null {
  return new URLSearchParams(location.hash.slice(1)).get('sql');
}

/** The saved question that a link opens. */
function savedLink(): string | null {
  return new URLSearchParams(location.hash.slice(1)).get('query');
}

/** The table or metric that a link asks about. */
function aboutLink(): string | null {
  const said = new URLSearchParams(location.hash.slice(1));
  const kind = ['table', 'metric'].find((each) => said.has(each));
  return kind === undefined ? null : `${kind} ${said.get(kind)}`;
}

/** Once it is in the editor. Not while rendering: a render that React throws away would take the question with it. */
function clearAddress(): void {
  if (location.hash !== '') history.replaceState(null, '', location.pathname);
}

/** The catalogue's errors of statements count `position` from 0, or say line and column from 1. */
function markOf({ body }: Trouble, said: Speech['said']): Mark | null {
  const { position } = body.params;
  return typeof position === 'number' ? { from: position, message: said(body) } : null;
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

function ResultToCome() {
  const { t } = useWords();
  return (
    <div role="status" aria-busy="true" aria-label={t('loading')}>
      <Skeleton className="result-bar" height={40} width={280} />
      <div className="result-body">
        <Skeleton height="100%" />
      </div>
    </div>
  );
}

function Result({ answered, first }: { answered: Answered; first: 'table' | 'chart' }) {
  const { answer, statement, params } = answered;
  const [wondering, setWondering] = useState<Wondered | null>(null);
  const copying = useCopying();
  const { t, number, duration } = useWords();
  const data: Data = answer;
  const best = useMemo(() => pick(data), [data]);
  const [view, setView] = useState<'table' | 'chart'>(best.kind === 'table' ? 'table' : first);
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
        <Button variant="default" onClick={() => copying.copy(tsv(answer.columns, answer.rows))}>
          {copying.state === 'copied' ? t('copied') : copying.state === 'refused' ? t('copy_refused') : t('copy_rows')}
        </Button>
      </div>
      <div className="result-body">
        {view === 'table' ? (
          <Grid
            columns={answer.columns}
            rows={answer.rows}
            label={t('as_table')}
            summary
            onCell={(row, column) => setWondering(wonderedAt(row, column, data))}
          />
        ) : (
          <Chart spec={spec} data={data} label={t('as_chart')} onCell={setWondering} />
        )}
      </div>
      {wondering !== null && (
        <Why
          title=""
          sql={statement}
          shown={filledIn(statement, params)}
          params={params}
          of={wondering}
          onClose={() => setWondering(null)}
        />
      )}
    </section>
  );
}
