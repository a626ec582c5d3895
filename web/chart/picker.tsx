import { Select } from '@mantine/core';
import { charts, type Data, fitting } from '#visualize';
import { useWords, type Word } from '../words/index.tsx';

/** The kinds that fit the result stand first, the best one at the top. */
export function ChartPicker({ data, kind, onKind }: { data: Data; kind: string; onKind: (kind: string) => void }) {
  const { t } = useWords();
  const fits = fitting(data).map(({ name }) => name);
  const others = charts.map(({ name }) => name).filter((name) => !fits.includes(name));
  const entry = (name: string) => ({ value: name, label: t(`chart_${name}` as Word) });
  return (
    <Select
      aria-label={t('chart_kind')}
      size="sm"
      w={160}
      allowDeselect={false}
      value={kind}
      onChange={(next) => next && onKind(next)}
      data={[
        { group: t('chart_fits'), items: fits.map(entry) },
        { group: t('chart_other'), items: others.map(entry) },
      ]}
      maxDropdownHeight={420}
    />
  );
}
