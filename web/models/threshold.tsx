import { NumberInput } from '@mantine/core';
import { useMemo, useState } from 'react';
import type { ChartSpec, Data } from '#visualize';
import type { ModelReport } from '../../src/server/api.ts';
import { Chart } from '../chart/chart.tsx';
import { useWords } from '../words/index.tsx';
import { type Earnings, earningsOf } from './money.ts';
import { columnsOf, shares } from './plot.ts';

/** From which probability on to act, at what a right and a wrong yes are worth: at first as the training was told. */
export function Money({ report, target }: { report: ModelReport; target: string }) {
  const words = useWords();
  const { t, number } = words;
  const { money: worth } = report;
  const [gain, setGain] = useState<number | string>(worth == null ? 100 : worth.hit - worth.contact);
  const [cost, setCost] = useState<number | string>(worth?.contact ?? 20);
  const earned = useMemo(() => earningsOf(report, Number(gain) || 0, Number(cost) || 0), [report, gain, cost]);
  const { spec, data } = useMemo(() => pictureOf(earned, words), [earned, words]);
  return (
    <section className="card">
      <h2>{t('model_money')}</h2>
      <p className="faint small">{t('model_money_lead', { target })}</p>
      <div className="filters money">
        <NumberInput label={t('model_gain')} value={gain} onChange={setGain} w={160} />
        <NumberInput label={t('model_cost')} value={cost} onChange={setCost} w={160} />
        <div role="status">
          <p>{verdict(earned, words)}</p>
          <p className="faint small">{t('model_money_everyone', { profit: number(Math.round(earned.everyone)) })}</p>
        </div>
      </div>
      <div className="plot">
        <Chart spec={spec} data={data} label={t('model_money')} />
      </div>
    </section>
  );
}

type Words = ReturnType<typeof useWords>;

function verdict({ from, profit, priced }: Earnings, { t, number, share }: Words): string {
  if (from === null) return t(priced ? 'model_money_never' : 'model_money_none');
  return t(priced ? 'model_money_from' : 'model_money_best', { threshold: share(from), profit: number(Math.round(profit)) });
}

function pictureOf({ points, from }: Earnings, { t }: Words): { spec: ChartSpec; data: Data } {
  const [threshold, profit] = [t('model_money_threshold'), t('model_money_profit')];
  // Above 1 nobody is acted on: that is no place on the axis.
  const rows = points.filter((point) => point.threshold <= 1).map((point) => [point.threshold, point.profit]);
  const values = rows.map((row) => row[1]!);
  const [low, high] = [Math.min(0, ...values), Math.max(0, ...values)];
  const lines = from === null ? [] : [{ name: '', from: [from, low], to: [from, high] } as const];
  return {
    spec: { kind: 'curve', x: threshold, y: [profit], guide: { x: { ...shares, unit: '%' }, lines } },
    data: { columns: columnsOf(threshold, profit), rows },
  };
}
