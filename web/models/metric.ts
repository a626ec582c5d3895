import { useWords } from '../words/index.tsx';

/** The metrics that the console has words for; others stand under their own name. */
const named = [
  'logLoss',
  'auc',
  'averagePrecision',
  'accuracy',
  'f1',
  'rmse',
  'mae',
  'pinball',
  'r2',
  'davies_bouldin_index',
  'mean_squared_distance',
] as const;

/** What a metric is called, and in one sentence what it says. */
export function useMetric(): (metric: string) => { readonly name: string; readonly about: string | undefined } {
  const { t } = useWords();
  return (metric) => {
    const known = named.find((each) => each === metric);
    return known === undefined ? { name: metric, about: undefined } : { name: t(`metric_${known}`), about: t(`about_${known}`) };
  };
}
