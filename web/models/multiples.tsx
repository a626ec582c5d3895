import { Chart } from '../chart/chart.tsx';
import type { Plot } from './plot.ts';

/** Pictures beside each other, each with its name and what is to be read from it. */
export function Multiples({ plots, wide = false }: { plots: readonly Plot[]; wide?: boolean }) {
  return (
    <div className={wide ? 'multiples wide' : 'multiples'}>
      {plots.map(({ title, says, spec, data }) => (
        <figure key={title}>
          <figcaption>
            <h3>{title}</h3>
            <p className="faint small">{says}</p>
          </figcaption>
          <div className="plot">
            <Chart spec={spec} data={data} label={`${title}: ${says}`} />
          </div>
        </figure>
      ))}
    </div>
  );
}
