import { Button } from '@mantine/core';
import { useState } from 'react';
import type { SessionAnswer, TrainingsAnswer } from '../../src/server/api.ts';
import { call, type Trouble, troubled } from '../api.ts';
import { Problem } from '../states.tsx';
import { useWords } from '../words/index.tsx';
import { useMetric } from './metric.ts';

/** What is being trained, how far it is, and its two ends: with the best model so far, or without any. */
export function TrainingList({ trainings, who }: { trainings: TrainingsAnswer['trainings']; who: SessionAnswer }) {
  const { t, number } = useWords();
  const metricOf = useMetric();
  const [trouble, setTrouble] = useState<Trouble | null>(null);
  const end = (method: string, path: string) => {
    setTrouble(null);
    return troubled(setTrouble, async () => {
      await call(method, path, method === 'POST' ? { body: {} } : {});
    });
  };
  return (
    <>
      <ul className="items">
        {trainings.map(({ job, model, who: whose, state, progress }) => (
          <li key={job} className="item">
            <div>
              <p>{model}</p>
              <p className="faint small tabular">
                {t(`training_${state}`)}
                {progress !== null && ` · ${progress.trying}`}
                {progress?.best != null && ` · ${metricOf(progress.metric).name} ${number(Number(progress.best.score.toPrecision(4)))}`}
              </p>
            </div>
            {(who.role === 'admin' || whose === who.name) && (
              <div className="page-actions">
                {progress?.best != null && (
                  <Button variant="default" size="compact-sm" onClick={() => end('POST', `/v1/trainings/${encodeURIComponent(job)}/stop`)}>
                    {t('training_stop')}
                  </Button>
                )}
                <Button variant="default" size="compact-sm" onClick={() => end('DELETE', `/v1/jobs/${encodeURIComponent(job)}`)}>
                  {t('training_cancel')}
                </Button>
              </div>
            )}
          </li>
        ))}
      </ul>
      {trouble !== null && <Problem trouble={trouble} compact />}
    </>
  );
}
