import { Autocomplete, Button, TextInput } from '@mantine/core';
import { useMemo, useState } from 'react';
import type { Data } from '#visualize';
import type { ModelAnswer, ModelReport, PredictAnswer, QueryAnswer, SessionAnswer } from '../../src/server/api.ts';
import { ask, call, Trouble } from '../api.ts';
import { Chart } from '../chart/chart.tsx';
import { Copied } from '../copy.tsx';
import { useLive } from '../live.ts';
import { Page, Placeholder, Problem, Sideways } from '../states.tsx';
import { useWords } from '../words/index.tsx';
import { Curves, Dependence } from './curves.tsx';
import type { Explained } from './explained.ts';
import { useMetric } from './metric.ts';
import { Moved } from './moved.tsx';
import { short } from './plot.ts';
import { Money } from './threshold.tsx';

/** How good a model is, by which columns, and what it says of a row that you type in. */
export default function ModelPage({ name, who }: { name: string; who: SessionAnswer }) {
  const { t, number, ago, instant } = useWords();
  const model = useLive(name, (signal) => call<ModelAnswer>('GET', `/v1/models/${encodeURIComponent(name)}`, { signal }));
  if (model.data === null) return model.error === null ? <Placeholder /> : <Problem trouble={model.error} onRetry={model.refresh} />;
  const { version, report, clusters } = model.data;
  const shown = model.data.model.versions.find((each) => each.version === version)!;
  const at = Date.parse(shown.created);
  return (
    <Page
      title={model.data.model.name}
      lead={
        <>
          {clusters === null ? t('model_predicts', { target: shown.target }) : t('model_groups')} · {t('rows', { n: number(shown.rows) })} ·{' '}
          {t('model_version', { n: version })} · <span title={instant(at)}>{ago(at)}</span>
        </>
      }
    >
      {report !== null && <Scores report={report} />}
      {clusters !== null && <Clusters model={model.data} clusters={clusters} />}
      <TryIt name={name} model={model.data} />
      {report !== null && <Importance report={report} />}
      {report !== null && <Dependence model={model.data} report={report} target={shown.target} />}
      {report?.confusion != null && <Confusion name={name} />}
      {report !== null && <Curves model={model.data} report={report} target={shown.target} />}
      {report?.thresholds != null && report.thresholds.length > 0 && <Money report={report} target={shown.target} />}
      {report !== null && <Slices report={report} />}
      {report !== null && <Leaderboard report={report} />}
      <Registry model={model.data} who={who} onChange={model.refresh} />
    </Page>
  );
}

function Scores({ report }: { report: ModelReport }) {
  const { t, number, reportInWords, language } = useWords();
  const metricOf = useMetric();
  return (
    <section className="card">
      <h2>{t('model_scores')}</h2>
      {report.rule === null ? (
        <p className="warn">{t('model_not_judged')}</p>
      ) : (
        <p className="faint small">
          {t('model_scores_on', {
            n: number(report.rows.judged),
            split: reportInWords(report.split.kind),
            why: reportInWords(report.split.why),
          })}
        </p>
      )}
      <dl className="figures in-card">
        {report.scores.map(({ metric, value, error }) => (
          <div key={metric}>
            <dt className="faint small" title={metricOf(metric).about}>
              {metricOf(metric).name}
            </dt>
            <dd className="figure">
              {number(short(value))} <span className="faint small nowrap">± {number(Number(error.toPrecision(2)))}</span>
            </dd>
          </div>
        ))}
      </dl>
      {report.rule !== null && (
        <p className={report.better ? undefined : 'warn'}>
          {t(report.better ? 'model_better' : 'model_not_better', {
            rule: reportInWords(report.rule.text),
            score: number(short(report.rule.score)),
            metric: metricOf(report.metric).name,
            gain: number(short(report.rule.gain)),
          })}
        </p>
      )}
      {report.warnings.length > 0 && (
        <ul className="plain-list small warnings">
          {report.warnings.map(({ text }) => (
            <li key={text}>{reportInWords(text)}</li>
          ))}
        </ul>
      )}
      {report.card !== undefined && (
        <details className="in-words">
          <summary>{t('model_in_words')}</summary>
          <ul className="plain-list small">
            {report.card[language].map((line) => (
              <li key={line}>{line}</li>
            ))}
          </ul>
        </details>
      )}
    </section>
  );
}

type Share = { readonly category: string; readonly value: number };

/** A feature's row: what each cluster is like in it, by the cluster's number. */
interface FeatureRow {
  readonly feature: string;
  readonly of: ReadonlyMap<number, { readonly mean: number | null; readonly shares: readonly Share[] }>;
}

/** The clusters beside each other, feature by feature: a number's mean, or the categories that most of its rows have. */
function Clusters({ model, clusters }: { model: ModelAnswer; clusters: NonNullable<ModelAnswer['clusters']> }) {
  const { t, number, share } = useWords();
  const metricOf = useMetric();
  const spelled = `${model.model.name}@${model.version}`;
  const told = useLive(`centroids ${spelled}`, (signal) =>
    ask({ sql: `SELECT centroid_id, feature, numerical_value, categorical_value FROM ML.CENTROIDS(MODEL ${spelled})` }, signal),
  );
  const features = useMemo(() => featureRows(told.data?.rows ?? []), [told.data]);
  const all = clusters.reduce((sum, { rows }) => sum + rows, 0);
  const { metrics } = model.model.versions.find((each) => each.version === model.version)!;
  return (
    <section className="card clusters">
      <h2>{t('model_clusters')}</h2>
      <p className="faint small">{t('model_clusters_lead')}</p>
      <dl className="figures in-card">
        {metrics.map(({ metric, value }) => (
          <div key={metric}>
            <dt className="faint small" title={metricOf(metric).about}>
              {metricOf(metric).name}
            </dt>
            <dd className="figure">{number(short(value))}</dd>
          </div>
        ))}
      </dl>
      {told.error !== null && <Problem trouble={told.error} onRetry={told.refresh} compact />}
      {told.data === null && told.error === null && <Placeholder />}
      {told.data !== null && (
        <Sideways label={t('model_clusters')}>
          <table className="plain">
            <thead>
              <tr>
                <th>{t('model_feature')}</th>
                {clusters.map(({ rows }, at) => (
                  // biome-ignore lint/suspicious/noArrayIndexKey: a cluster is its number
                  <th key={at} className="end">
                    {t('model_cluster', { n: at + 1 })}
                    <div className="faint small nowrap">
                      {t('rows', { n: number(rows) })} · {share(rows / all)}
                    </div>
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {features.map(({ feature, of }) => (
                <tr key={feature}>
                  <th scope="row">{feature}</th>
                  {clusters.map((_, at) => {
                    const { mean, shares } = of.get(at + 1) ?? { mean: null, shares: [] };
                    return (
                      // biome-ignore lint/suspicious/noArrayIndexKey: a cluster is its number
                      <td key={at} className="end tabular">
                        {mean !== null
                          ? number(short(mean))
                          : shares.slice(0, 2).map(({ category, value }) => (
                              <div key={category} className="nowrap">
                                {category} {share(value)}
                              </div>
                            ))}
                      </td>
                    );
                  })}
                </tr>
              ))}
            </tbody>
          </table>
        </Sideways>
      )}
    </section>
  );
}

function featureRows(rows: QueryAnswer['rows']): FeatureRow[] {
  const found = new Map<string, Map<number, { mean: number | null; shares: readonly Share[] }>>();
  for (const [cluster, feature, mean, shares] of rows) {
    const of = found.get(String(feature)) ?? new Map();
    found.set(String(feature), of.set(Number(cluster), { mean: mean as number | null, shares: shares as readonly Share[] }));
  }
  return [...found].map(([feature, of]) => ({ feature, of }));
}

function Importance({ report }: { report: ModelReport }) {
  const { t } = useWords();
  const metricOf = useMetric();
  const data = useMemo<Data>(
    () => ({
      columns: [
        { name: 'column', type: 'VARCHAR' },
        { name: 'loss', type: 'DOUBLE' },
      ],
      rows: report.importance.slice(0, 15).map(({ column, loss }) => [column, loss]),
    }),
    [report],
  );
  if (data.rows.length === 0) return null;
  return (
    <section className="card">
      <h2>{t('model_importance')}</h2>
      <p className="faint small">{t('model_importance_lead', { metric: metricOf(report.metric).name })}</p>
      <div style={{ height: 60 + data.rows.length * 22 }}>
        <Chart spec={{ kind: 'bar', x: 'column', y: ['loss'] }} data={data} label={t('model_importance')} />
      </div>
    </section>
  );
}

/** With the classes' names, which the warehouse knows. */
function Confusion({ name }: { name: string }) {
  const { t, number } = useWords();
  const matrix = useLive(`confusion ${name}`, (signal) => ask({ sql: `SELECT * FROM ML.CONFUSION_MATRIX(MODEL ${name})` }, signal));
  return (
    <section className="card">
      <h2>{t('model_confusion')}</h2>
      <p className="faint small">{t('model_confusion_lead')}</p>
      {matrix.error !== null && <Problem trouble={matrix.error} onRetry={matrix.refresh} compact />}
      {matrix.data !== null && (
        <Sideways label={t('model_confusion')}>
          <table className="plain narrow">
            <thead>
              <tr>
                {matrix.data.columns.map((column, at) => (
                  <th key={column.name} className={at === 0 ? undefined : 'end'}>
                    {at === 0 ? t('model_actual') : t('model_predicted', { label: column.name.replace(/^_/, '') })}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {matrix.data.rows.map((row) => (
                <tr key={String(row[0])}>
                  {row.map((cell, at) =>
                    at === 0 ? (
                      <th key="label" scope="row">
                        {String(cell)}
                      </th>
                    ) : (
                      // biome-ignore lint/suspicious/noArrayIndexKey: a cell is its place
                      <td key={at} className="end tabular">
                        {typeof cell === 'number' ? number(cell) : String(cell)}
                      </td>
                    ),
                  )}
                </tr>
              ))}
            </tbody>
          </table>
        </Sideways>
      )}
    </section>
  );
}

function Leaderboard({ report }: { report: ModelReport }) {
  const { t, number, duration, share, bytes } = useWords();
  const metricOf = useMetric();
  const trials = useMemo(() => [...report.trials].sort((a, b) => a.score - b.score).slice(0, 20), [report]);
  return (
    <section className="card">
      <h2>{t('model_trials')}</h2>
      <p className="faint small">{t('model_trials_lead', { metric: metricOf(report.metric).name })}</p>
      <Sideways label={t('model_trials')}>
        <table className="plain">
          <thead>
            <tr>
              <th>{t('model_trial')}</th>
              <th className="end">{metricOf(report.metric).name}</th>
              <th className="end">{t('model_share')}</th>
              <th className="end">{t('model_time')}</th>
              <th className="end">{t('model_row_time')}</th>
              <th className="end">{t('model_size')}</th>
            </tr>
          </thead>
          <tbody>
            {trials.map(({ candidate, score, error, share: its, trainMillis, predictMicros, bytes: size }, at) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: two trials may have one name
              <tr key={at}>
                <td>{candidate.name}</td>
                <td className="end tabular nowrap">
                  {number(short(score))}{' '}
                  {error !== undefined && <span className="faint small">± {number(Number(error.toPrecision(2)))}</span>}
                </td>
                <td className="end tabular">{its === 0 ? '–' : share(its)}</td>
                <td className="end tabular">{duration(trainMillis)}</td>
                <td className="end tabular">{predictMicros === undefined ? '–' : number(Number(predictMicros.toPrecision(2)))}</td>
                <td className="end tabular">{size === undefined ? '–' : bytes(size)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Sideways>
    </section>
  );
}

const amount = '(-?[\\d.]+(?:e[+-]?\\d+)?)';
const ranges = [
  [new RegExp(`^below ${amount}$`), 'slice_below'],
  [new RegExp(`^${amount} or more$`), 'slice_from'],
  [new RegExp(`^from ${amount} to below ${amount}$`), 'slice_between'],
] as const;

/** A range of numbers as the report writes it; any other value stands as it is. */
function rangeInWords(value: string, t: ReturnType<typeof useWords>['t']): string {
  for (const [range, word] of ranges) {
    const [, a, b] = range.exec(value) ?? [];
    if (a !== undefined) return t(word, { a, b: b ?? '' });
  }
  return value;
}

/** Judged rows that the model does clearly worse on, beside what the simple rule does there. */
function Slices({ report }: { report: ModelReport }) {
  const { t, number } = useWords();
  const slices = report.slices ?? [];
  if (slices.length === 0) return null;
  return (
    <section className="card">
      <h2>{t('model_slices')}</h2>
      <p className="faint small">{t('model_slices_lead')}</p>
      <Sideways label={t('model_slices')}>
        <table className="plain">
          <thead>
            <tr>
              <th>{t('model_feature')}</th>
              <th>{t('model_slice_value')}</th>
              <th className="end">{t('model_slice_rows')}</th>
              <th className="end">{t('model_slice_loss')}</th>
              <th className="end">{t('model_slice_elsewhere')}</th>
              <th className="end">{t('model_slice_rule')}</th>
            </tr>
          </thead>
          <tbody>
            {slices.map(({ column, value, rows, loss, otherLoss, ruleLoss }) => (
              <tr key={`${column} ${value}`}>
                <th scope="row">{column}</th>
                <td>{rangeInWords(value, t)}</td>
                <td className="end tabular">{number(rows)}</td>
                {[loss, otherLoss, ruleLoss].map((each, at) => (
                  // biome-ignore lint/suspicious/noArrayIndexKey: a cell is its place
                  <td key={at} className="end tabular">
                    {number(short(each))}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </Sideways>
    </section>
  );
}

/** A row to try: it begins with the usual values, the median of numbers and the most frequent text. */
function TryIt({ name, model }: { name: string; model: ModelAnswer }) {
  const { t, share, number } = useWords();
  const [values, setValues] = useState<Record<string, string>>(() =>
    Object.fromEntries(
      model.inputs.map(({ name: input }) => {
        const known = model.profile.find((each) => each.input === input);
        return [input, String(known?.median ?? known?.mean ?? known?.reference?.levels?.[0] ?? '')];
      }),
    ),
  );
  const [said, setSaid] = useState<Record<string, unknown> | Trouble | null>(null);
  const [asked, setAsked] = useState<Record<string, unknown>>({});
  const predict = async () => {
    const row = Object.fromEntries(
      model.inputs.map(({ name: input, kind }) => {
        const value = values[input] ?? '';
        return [input, value === '' ? null : kind === 'number' ? numberOr(value) : value];
      }),
    );
    const answer = (explain: boolean) =>
      call<PredictAnswer>('POST', `/v1/models/${encodeURIComponent(name)}/predict`, { body: { rows: [row], explain } });
    try {
      // Clusters, models that were brought and a constant have no explanation.
      const { predictions } = await answer(true).catch((thrown: unknown) => {
        if (thrown instanceof Trouble && thrown.body.code === 'MODEL_EXPLAIN') return answer(false);
        throw thrown;
      });
      setAsked(row);
      setSaid(predictions[0]!);
    } catch (thrown) {
      if (!(thrown instanceof Trouble)) throw thrown;
      setSaid(thrown);
    }
  };
  const probabilities = said === null || said instanceof Trouble ? null : (said['probabilities'] as Record<string, number> | undefined);
  const value = said === null || said instanceof Trouble ? null : Object.entries(said).find(([key]) => key.startsWith('predicted_'))?.[1];
  const explained = said === null || said instanceof Trouble ? undefined : (said['explanation'] as readonly Explained[] | undefined);
  const cluster = said === null || said instanceof Trouble ? undefined : said['centroid_id'];
  return (
    <section className="card">
      <h2>{t('model_try')}</h2>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          predict();
        }}
      >
        <div className="inputs">
          {model.inputs.map(({ name: input, type }) => {
            const levels = model.profile.find((each) => each.input === input)?.reference?.levels ?? [];
            const set = (next: string) => setValues((held) => ({ ...held, [input]: next }));
            const field = { label: input, placeholder: type.toLowerCase(), value: values[input] ?? '' };
            return levels.length > 0 ? (
              <Autocomplete key={input} {...field} onChange={set} data={levels} filter={({ options }) => options} />
            ) : (
              <TextInput key={input} {...field} onChange={({ currentTarget: { value: next } }) => set(next)} />
            );
          })}
        </div>
        <div className="try-row">
          <Button type="submit">{t('model_predict')}</Button>
          {said instanceof Trouble && <Problem trouble={said} compact />}
          {cluster !== undefined && (
            <p role="status" className="predicted">
              <strong className="figure">{t('model_cluster', { n: Number(cluster) })}</strong>
            </p>
          )}
          {value !== null && value !== undefined && (
            <p role="status" className="predicted">
              <strong className="figure">{typeof value === 'number' ? number(short(value)) : String(value)}</strong>{' '}
              {probabilities !== undefined && probabilities !== null && (
                <span className="faint tabular">
                  {Object.entries(probabilities)
                    .map(([label, its]) => `${label} ${share(its)}`)
                    .join(' · ')}
                </span>
              )}
            </p>
          )}
        </div>
      </form>
      {explained !== undefined && <Moved explained={explained} predicted={value} row={asked} />}
    </section>
  );
}

const numberOr = (text: string) => (Number.isNaN(Number(text)) ? text : Number(text));

/** Figures of a version beside the champion's, and whether they differ by more than chance. */
function Compared({ version, rows }: { version: number; rows: QueryAnswer['rows'] }) {
  const { t, number } = useWords();
  const metricOf = useMetric();
  const says = { candidate: t('model_version', { n: version }), baseline: t('model_champion'), unclear: t('model_unclear') };
  return (
    <Sideways label={t('model_compare')}>
      <p className="faint small">{t('model_compare_lead')}</p>
      <table className="plain compared">
        <thead>
          <tr>
            <th />
            <th className="end">{t('model_champion')}</th>
            <th className="end">{t('model_version', { n: version })}</th>
            <th className="end">{t('model_difference')}</th>
            <th>{t('model_which_better')}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(([metric, baseline, candidate, difference, low, high, better]) => (
            <tr key={String(metric)}>
              <th scope="row" title={metricOf(String(metric)).about}>
                {metricOf(String(metric)).name}
              </th>
              <td className="end tabular">{number(short(Number(baseline)))}</td>
              <td className="end tabular">{number(short(Number(candidate)))}</td>
              <td className="end tabular">
                {number(short(Number(difference)))}{' '}
                <span className="faint small nowrap">
                  {number(short(Number(low)))} – {number(short(Number(high)))}
                </span>
              </td>
              <td>{says[better as keyof typeof says]}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Sideways>
  );
}

function Registry({ model, who, onChange }: { model: ModelAnswer; who: SessionAnswer; onChange: () => void }) {
  const { t, instant, number } = useWords();
  const metricOf = useMetric();
  const called: Readonly<Record<string, string>> = { champion: t('model_champion'), challenger: t('model_challenger') };
  const { name, versions, aliases } = model.model;
  const [trouble, setTrouble] = useState<Trouble | null>(null);
  const [compared, setCompared] = useState<{ readonly version: number; readonly rows: QueryAnswer['rows'] } | null>(null);
  const compare = async (version: number) => {
    try {
      const { rows } = await ask({
        sql: `SELECT metric, baseline, candidate, difference, low, high, better FROM ML.COMPARE(MODEL ${name}@${version})`,
      });
      setCompared({ version, rows });
      setTrouble(null);
    } catch (thrown) {
      if (!(thrown instanceof Trouble)) throw thrown;
      setTrouble(thrown);
    }
  };
  const promote = async (version: number) => {
    try {
      await call('POST', `/v1/models/${encodeURIComponent(`${name}@${version}`)}/promote`, { body: { alias: 'champion' } });
      onChange();
    } catch (thrown) {
      if (!(thrown instanceof Trouble)) throw thrown;
      setTrouble(thrown);
    }
  };
  return (
    <section className="card">
      <h2>{t('versions')}</h2>
      {trouble !== null && <Problem trouble={trouble} compact />}
      <ul className="items">
        {versions.map(({ version, created, by, metrics }) => (
          <li key={version}>
            <div className="item">
              <div>
                <p>
                  {t('model_version', { n: version })}{' '}
                  <span className="faint small">
                    {Object.entries(aliases)
                      .filter(([, its]) => its === version)
                      .map(([alias]) => called[alias] ?? alias)
                      .join(', ')}
                  </span>
                </p>
                <p className="faint small tabular">
                  {instant(Date.parse(created))} · {by} ·{' '}
                  {metrics
                    .slice(0, 2)
                    .map(({ metric, value }) => `${metricOf(metric).name} ${number(short(value))}`)
                    .join(' · ')}
                </p>
              </div>
              {aliases['champion'] !== version && (
                <div className="item-actions">
                  {model.clusters === null && (
                    <Button variant="default" onClick={() => compare(version)}>
                      {t('model_compare')}
                    </Button>
                  )}
                  {who.role !== 'viewer' && (
                    <Button variant="default" onClick={() => promote(version)}>
                      {t('model_promote')}
                    </Button>
                  )}
                </div>
              )}
            </div>
            {compared?.version === version && <Compared version={version} rows={compared.rows} />}
          </li>
        ))}
      </ul>
      <Copied text={versions.find(({ version }) => version === model.version)!.query} />
    </section>
  );
}
