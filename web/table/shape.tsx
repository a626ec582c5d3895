import { useMemo } from 'react';
import { binned, type Data, rolesOf } from '#visualize';

/** Numbers in ranges, words by how often they stand in the sample: the shape, not the figures. */
export function Distribution({ data, at }: { data: Data; at: number }) {
  const bars = useMemo(() => barsOf(data, at), [data, at]);
  if (bars.length < 2) return null;
  const most = Math.max(...bars.map(({ count }) => count));
  return (
    <svg className="distribution" viewBox={`0 0 ${bars.length * 4} 20`} preserveAspectRatio="none" aria-hidden="true">
      {bars.map(({ name, count }, k) => (
        <rect key={name} x={k * 4} width={3.4} y={20 - (20 * count) / most} height={(20 * count) / most} />
      ))}
    </svg>
  );
}

function barsOf({ columns, rows }: Data, at: number): { name: string; count: number }[] {
  const role = rolesOf({ columns: [columns[at]!], rows: [] })[0];
  const cells = rows.flatMap((row) => (row[at] === null || row[at] === undefined ? [] : [row[at]]));
  if (role === 'measure')
    return binned(cells.map(Number).filter(Number.isFinite)).map(({ from, count }) => ({ name: String(from), count }));
  if (role === 'time')
    return binned(cells.map((cell) => Date.parse(String(cell))).filter(Number.isFinite)).map(({ from, count }) => ({
      name: String(from),
      count,
    }));
  const counts = [...Map.groupBy(cells, String)].map(([name, list]) => ({ name, count: list.length }));
  return counts.length > cells.length * 0.9 ? [] : counts.sort((a, b) => b.count - a.count).slice(0, 16);
}
