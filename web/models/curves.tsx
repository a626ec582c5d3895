import { Select } from '@mantine/core';
import { useMemo, useState } from 'react';
import type { ModelAnswer, ModelReport } from '../../src/server/api.ts';
import { useWords } from '../words/index.tsx';
import { calibrationPlots } from './calibration.ts';
import { dependencePlots } from './dependence.ts';
import { Multiples } from './multiples.tsx';
import { rankingPlots } from './ranking.ts';

interface Given {
  readonly model: ModelAnswer;
  readonly report: ModelReport;
  readonly target: string;
}

/** How well it puts the class that is looked for first, and how far its probabilities can be believed; or why there is no such picture. */
export function Curves({ model: { classes }, report, target }: Given) {
  const words = useWords();
  const { t } = words;
  const what = `${target} = ${classes?.[1] ?? ''}`;
  const [ranking, calibration] = useMemo(
    () => [rankingPlots(report, what, words), calibrationPlots(report, what, words)] as const,
    [report, what, words],
  );
  // Without held-out rows the scores say it.
  if (report.rule === null) return null;
  if (ranking.length + calibration.length === 0)
    return (
      <section className="card">
        <h2>{t('curves')}</h2>
        <p className="faint">{t(classes?.length === 2 ? 'curves_absent' : 'curves_two_classes')}</p>
      </section>
    );
  return (
    <>
      {ranking.length > 0 && (
        <section className="card">
          <h2>{t('curves')}</h2>
          <p className="faint small">{t('curves_lead', { what })}</p>
          <Multiples plots={ranking} wide />
        </section>
      )}
      {calibration.length > 0 && (
        <section className="card">
          <h2>{t('calibration')}</h2>
          <p className="faint small">{t('calibration_lead')}</p>
          <Multiples plots={calibration} wide />
        </section>
      )}
    </>
  );
}

/** What the model makes of the columns that matter most; of several classes, for the one that is chosen. */
export function Dependence({ model: { classes, inputs }, report, target }: Given) {
  const words = useWords();
  const { t } = words;
  const [chosen, choose] = useState<number | null>(null);
  const at = classes === null ? 0 : (chosen ?? usualClass(report, classes.length));
  const answer = classes === null ? target : `${target} = ${classes[at] ?? ''}`;
  const flags = useMemo(() => new Set(inputs.filter(({ type }) => type === 'BOOLEAN').map(({ name }) => name)), [inputs]);
  const plots = useMemo(() => dependencePlots(report, { answer, at, flags }, words), [report, answer, at, flags, words]);
  if (report.importance.length === 0) return null;
  return (
    <section className="card">
      <h2>{t('dependence')}</h2>
      {plots.length === 0 ? (
        <p className="faint">{t(report.dependence === undefined ? 'curves_absent' : 'dependence_none')}</p>
      ) : (
        <>
          <p className="faint small">{t('dependence_lead', { answer })}</p>
          {classes !== null && classes.length > 2 && (
            <Select
              label={t('dependence_class', { target })}
              data={classes.map((label, k) => ({ value: String(k), label }))}
              value={String(at)}
              onChange={(value) => value !== null && choose(Number(value))}
              allowDeselect={false}
              searchable
              maw={240}
              mt={12}
            />
          )}
          <Multiples plots={plots} />
        </>
      )}
    </section>
  );
}

/** Of two the one that is looked for, of more the most frequent one. */
function usualClass({ confusion }: ModelReport, classes: number): number {
  if (classes === 2) return 1;
  const rows = (confusion ?? []).map((row) => row.reduce((sum, count) => sum + count, 0));
  return Math.max(0, rows.indexOf(Math.max(...rows)));
}
