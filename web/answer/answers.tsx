import { Autocomplete, Button, Checkbox, NumberInput, SegmentedControl, Select, TextInput } from '@mantine/core';
import { type ReactNode, useMemo, useState } from 'react';
import type { Entry } from '#core';
import { type ChartSpec, pick } from '#visualize';
import type { AnswersAnswer, CatalogAnswer, MetricsAnswer, ShopAnswer } from '../../src/server/api.ts';
import { call, isAbort, Trouble } from '../api.ts';
import { Chart, wonderedAt } from '../chart/chart.tsx';
import { Copied } from '../copy.tsx';
import { Why, type Wondered } from '../dashboards/why.tsx';
import { Link } from '../link.tsx';
import { useLive } from '../live.ts';
import { go } from '../route.ts';
import { Empty, Page, Placeholder, Problem } from '../states.tsx';
import { Grid } from '../table/grid.tsx';
import { useWords } from '../words/index.tsx';
import { EvidenceLines } from './evidence.tsx';

type Values = Readonly<Record<string, string | number | boolean | null>>;

/** The shop's questions: choose one, fill in its options, see the rows with what they stand on. */
export default function Answers({ name }: { name: string | null }) {
  const { t, inWords } = useWords();
  const list = useLive('answers', (signal) => call<AnswersAnswer>('GET', '/v1/answers', { signal }));
  const entry = list.data?.answers.find((each) => each.name === name);
  if (list.data === null) return list.error === null ? <Placeholder /> : <Problem trouble={list.error} onRetry={list.refresh} />;
  if (entry !== undefined) return <Asking key={entry.name} entry={entry} />;
  return (
    <Page title={t('answers')} lead={t('answers_lead')}>
      {name !== null && <p className="warn">{t('answer_unknown', { name })}</p>}
      <ul className="cards">
        {list.data.answers.map((each) => (
          <li key={each.name}>
            <Link href={`/answers/${each.name}`} className="card card-link">
              <h2>{inWords(each).title}</h2>
              <p className="faint">{inWords(each).summary}</p>
            </Link>
          </li>
        ))}
      </ul>
    </Page>
  );
}

type State =
  | { kind: 'nothing' }
  | { kind: 'asking'; stop: AbortController }
  | { kind: 'failed'; trouble: Trouble }
  | { kind: 'answered'; answer: ShopAnswer };

function Asking({ entry }: { entry: Entry }) {
  const { t, inWords } = useWords();
  const [values, setValues] = useState<Values>({});
  const [state, setState] = useState<State>({ kind: 'nothing' });
  // Which tables are read is seldom for the asker to say.
  const more = entry.options.filter(({ of, required }) => of === 'table' && required !== true);
  const main = entry.options.filter((option) => !more.includes(option));
  const missing = entry.options.filter(({ name, required }) => required === true && (values[name] ?? '') === '');
  const run = async () => {
    const stop = new AbortController();
    setState({ kind: 'asking', stop });
    try {
      const options = Object.fromEntries(Object.entries(values).filter(([, value]) => value !== '' && value !== null));
      const path = `/v1/answers/${encodeURIComponent(entry.name)}`;
      const answer = await call<ShopAnswer>('POST', path, { body: { options, limits: { rows: 50_000 } }, signal: stop.signal });
      if (answer.error) throw new Trouble(answer.error, 200);
      setState({ kind: 'answered', answer });
    } catch (thrown) {
      if (isAbort(thrown)) return setState({ kind: 'nothing' });
      if (!(thrown instanceof Trouble)) throw thrown;
      setState({ kind: 'failed', trouble: thrown });
    }
  };
  const field = (option: Entry['options'][number]) => (
    <Field
      key={option.name}
      answer={entry.name}
      option={option}
      value={values[option.name] ?? null}
      onValue={(value) => setValues((held) => ({ ...held, [option.name]: value }))}
    />
  );
  return (
    <Page
      title={inWords(entry).title}
      lead={inWords(entry).summary}
      action={
        <Button variant="default" onClick={() => go('/answers')}>
          {t('answers_all')}
        </Button>
      }
    >
      <form
        className="card options"
        onSubmit={(event) => {
          event.preventDefault();
          run();
        }}
      >
        {main.map(field)}
        {more.length > 0 && (
          <details className="more-options">
            <summary>{t('answer_more')}</summary>
            <div className="options">{more.map(field)}</div>
          </details>
        )}
        <div className="end-row">
          {state.kind === 'asking' ? (
            <Button variant="default" onClick={() => state.stop.abort()}>
              {t('stop')}
            </Button>
          ) : (
            <Button type="submit" disabled={missing.length > 0}>
              {t('answer_run')}
            </Button>
          )}
        </div>
      </form>
      {state.kind === 'asking' && <Placeholder />}
      {state.kind === 'failed' && <Problem trouble={state.trouble} onRetry={run} />}
      {state.kind === 'answered' && <Answered answer={state.answer} />}
    </Page>
  );
}

/** One option as its description says. */
export function Field({
  answer,
  option,
  value,
  onValue,
}: {
  answer: string;
  option: Entry['options'][number];
  value: Values[string];
  onValue: (value: Values[string]) => void;
}) {
  const { optionInWords } = useWords();
  const { required = false, choices } = option;
  const { name, summary } = optionInWords(answer, option);
  const usual = option.default === undefined || option.default === null ? '' : String(option.default);
  const about = {
    // What it is called in SQL, on the command line and over HTTP.
    label: <span title={option.name}>{name}</span>,
    description: summary,
    required,
    placeholder: usual,
  };
  switch (option.type) {
    case 'boolean':
      return (
        <Checkbox
          label={about.label}
          description={summary}
          checked={String(value ?? option.default) === 'true'}
          onChange={({ currentTarget: { checked } }) => onValue(checked)}
        />
      );
    case 'choice':
      return (
        <Select
          {...about}
          value={value === null ? null : String(value)}
          onChange={onValue}
          data={choices ?? []}
          clearable={!required}
          clearButtonProps={{ 'aria-label': usual || name }}
        />
      );
    case 'integer':
    case 'number':
      return (
        <NumberInput
          {...about}
          value={value === null || typeof value === 'boolean' ? '' : value}
          onChange={(next) => onValue(typeof next === 'number' ? next : null)}
          allowDecimal={option.type === 'number'}
        />
      );
    default:
      if (option.of === 'table' || option.of === 'metric')
        return <Named {...about} of={option.of} value={value === null ? '' : String(value)} onChange={onValue} />;
      return (
        <TextInput
          {...about}
          // A tile's option may name a parameter of the dashboard ($from), which is no day.
          type={option.of === 'day' && !String(value ?? '').startsWith('$') ? 'date' : 'text'}
          value={value === null ? '' : String(value)}
          onChange={({ currentTarget: { value: next } }) => onValue(next)}
        />
      );
  }
}

/** A name among those that there are; others may be written too. */
function Named({
  of,
  ...field
}: {
  of: 'table' | 'metric';
  label: ReactNode;
  description: string;
  required: boolean;
  placeholder: string;
  value: string;
  onChange: (value: string) => void;
}) {
  const names = useLive(`names of ${of}`, async (signal) =>
    of === 'metric'
      ? (await call<MetricsAnswer>('GET', '/v1/metrics', { signal })).metrics.map(({ name }) => name)
      : (await call<CatalogAnswer>('GET', '/v1/catalog', { signal })).tables
          .filter(({ origin }) => origin !== 'system')
          .map(({ schema, name }) => `${schema}.${name}`),
  );
  return <Autocomplete {...field} data={names.data ?? []} limit={50} />;
}

/** An answer's SQL has its options in it. */
const none = {};

function Answered({ answer }: { answer: ShopAnswer }) {
  const { t, inWords, number, duration } = useWords();
  const spec = useMemo<ChartSpec>(() => answer.chart ?? pick(answer), [answer]);
  const [view, setView] = useState<'chart' | 'table' | 'sql'>(spec.kind === 'table' ? 'table' : 'chart');
  const [wondering, setWondering] = useState<Wondered | null>(null);
  const { title } = inWords({ name: answer.answer, title: answer.answer, summary: '' });
  const evidence = <EvidenceLines calls={[{ answer: answer.answer, facts: answer.evidence.facts }]} />;
  if (answer.rows.length === 0)
    return (
      <>
        {evidence}
        <Empty>{t('result_none')}</Empty>
      </>
    );
  return (
    <section aria-label={t('as_table')}>
      {evidence}
      <div className="result-bar">
        <SegmentedControl
          value={view}
          onChange={(next) => setView(next as typeof view)}
          data={[
            { value: 'chart', label: t('as_chart') },
            { value: 'table', label: t('as_table') },
            { value: 'sql', label: t('editor') },
          ]}
        />
        <span className="faint small tabular result-facts" role="status">
          {t(answer.truncated ? 'result_cut' : 'result_rows', { rows: number(answer.row_count), time: duration(answer.elapsed_ms) })}
        </span>
        <Button variant="default" onClick={() => go(`/ask#${new URLSearchParams({ sql: answer.sql })}`)}>
          {t('open_in_ask')}
        </Button>
      </div>
      {view === 'sql' ? (
        <Copied text={answer.sql} />
      ) : (
        <div className="result-body answer-body">
          {view === 'table' ? (
            <Grid
              columns={answer.columns}
              rows={answer.rows}
              label={t('as_table')}
              onCell={(row, column) => setWondering(wonderedAt(row, column, answer))}
            />
          ) : (
            <Chart spec={spec} data={answer} label={title} onCell={setWondering} />
          )}
        </div>
      )}
      {wondering !== null && (
        <Why title={title} sql={answer.sql} shown={answer.sql} params={none} of={wondering} onClose={() => setWondering(null)} />
      )}
    </section>
  );
}
