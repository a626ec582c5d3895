import { Button } from '@mantine/core';
import type { ModelsAnswer, SessionAnswer, TrainingsAnswer } from '../../src/server/api.ts';
import { call } from '../api.ts';
import { Copied } from '../copy.tsx';
import { Link } from '../link.tsx';
import { useLive } from '../live.ts';
import { go } from '../route.ts';
import { Empty, Page, Placeholder, Problem } from '../states.tsx';
import { useWords } from '../words/index.tsx';
import { useMetric } from './metric.ts';
import { TrainingList } from './trainings.tsx';

/** Every model with its champion's main figures, and what is being trained. */
export default function Models({ who }: { who: SessionAnswer }) {
  const { t, ago, instant, number } = useWords();
  const metricOf = useMetric();
  const list = useLive('models', (signal) => call<ModelsAnswer>('GET', '/v1/models', { signal }), 5_000);
  const trainings = useLive('trainings', (signal) => call<TrainingsAnswer>('GET', '/v1/trainings', { signal }), 2_000);
  const models = list.data?.models ?? [];
  const under = trainings.data?.trainings ?? [];
  return (
    <Page
      title={t('models')}
      lead={t('models_lead')}
      action={(who.role === 'admin' || who.role === 'editor') && <Button onClick={() => go('/models/train')}>{t('train')}</Button>}
    >
      {list.error !== null && <Problem trouble={list.error} onRetry={list.refresh} />}
      {list.data === null && list.error === null && <Placeholder />}
      {under.length > 0 && (
        <section className="card">
          <h2>{t('trainings')}</h2>
          <TrainingList trainings={under} who={who} />
        </section>
      )}
      {list.data !== null && models.length === 0 && (
        <Empty>
          <p>{t('models_empty')}</p>
          {who.role !== 'viewer' && (
            <Copied text="CREATE MODEL churn OPTIONS(input_label_cols = ['churn'], budget = '30 seconds') AS SELECT * FROM customers" />
          )}
        </Empty>
      )}
      <ul className="cards">
        {models.map(({ name, versions, aliases }) => {
          const shown = versions.find(({ version }) => version === aliases['champion']) ?? versions[0]!;
          return (
            <li key={name}>
              <Link href={`/models/${encodeURIComponent(name)}`} className="card card-link">
                <h2>{name}</h2>
                <p className="faint">{shown.task === 'clustering' ? t('model_groups') : t('model_predicts', { target: shown.target })}</p>
                <p className="tabular">
                  {shown.metrics
                    .slice(0, 3)
                    .map(({ metric, value }) => `${metricOf(metric).name} ${number(Number(value.toPrecision(3)))}`)
                    .join(' · ')}
                </p>
                <p className="faint small" title={instant(Date.parse(shown.created))}>
                  {t('model_version', { n: shown.version })} · {ago(Date.parse(shown.created))}
                </p>
              </Link>
            </li>
          );
        })}
      </ul>
    </Page>
  );
}
