import { Sideways } from '../states.tsx';
import { useWords } from '../words/index.tsx';
import { type Explained, movedBy } from './explained.ts';
import { short } from './plot.ts';

/** What moved the prediction of the row that was tried. */
export function Moved({
  explained,
  predicted,
  row,
}: {
  explained: readonly Explained[];
  predicted: unknown;
  row: Readonly<Record<string, unknown>>;
}) {
  const { t, number } = useWords();
  const { of, base, isAnswer, most, others, rest } = movedBy(explained, predicted);
  const adds = (value: number) => `${value > 0 ? '+' : ''}${number(short(value))}`;
  return (
    <div className="moved">
      <h3>{of === null ? t('model_moved') : t('model_moved_of', { of })}</h3>
      <p className="faint small">{t(isAnswer ? 'model_moved_answer' : 'model_moved_score', { base: number(short(base)) })}</p>
      <Sideways label={t('model_moved')}>
        <table className="plain">
          <thead>
            <tr>
              <th>{t('model_feature')}</th>
              <th>{t('model_slice_value')}</th>
              <th className="end">{t('model_moved_adds')}</th>
            </tr>
          </thead>
          <tbody>
            {most.map(([column, value]) => (
              <tr key={column}>
                <th scope="row">{column}</th>
                <td>{String(row[column] ?? '')}</td>
                <td className="end tabular">{adds(value)}</td>
              </tr>
            ))}
            {others > 0 && (
              <tr>
                <th scope="row">{t('model_moved_others', { n: number(others) })}</th>
                <td />
                <td className="end tabular">{adds(rest)}</td>
              </tr>
            )}
          </tbody>
        </table>
      </Sideways>
    </div>
  );
}
