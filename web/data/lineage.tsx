import type { LineageAnswer } from '../../src/server/api.ts';
import { call } from '../api.ts';
import { Link } from '../link.tsx';
import { useLive } from '../live.ts';
import { Problem, Sideways } from '../states.tsx';
import { useWords } from '../words/index.tsx';
import { pageOf } from './pages.ts';

const box = { width: 188, height: 44, across: 64, down: 12 };

/** What a table is made from and what reads it: boxes in columns, arrows between them. Each box is a link. */
export function Lineage({ table }: { table: string }) {
  const { t } = useWords();
  const path = `/v1/lineage?${new URLSearchParams({ table })}`;
  const lineage = useLive(path, (signal) => call<LineageAnswer>('GET', path, { signal }));
  return (
    <section className="card">
      <h2>{t('lineage')}</h2>
      {lineage.error !== null && <Problem trouble={lineage.error} onRetry={lineage.refresh} compact />}
      {lineage.data !== null && lineage.data.nodes.length < 2 && <p className="faint">{t('lineage_none')}</p>}
      {lineage.data !== null && lineage.data.nodes.length >= 2 && (
        <>
          <p className="faint small">{t('lineage_lead')}</p>
          <Sideways label={t('lineage')}>
            <Graph {...lineage.data} />
          </Sideways>
        </>
      )}
    </section>
  );
}

function Graph({ nodes, edges }: LineageAnswer) {
  const { t } = useWords();
  const { places, width, height } = placesOf({ nodes, edges });
  return (
    // biome-ignore lint/a11y/noSvgWithoutTitle: a title element would pop up over every box; the section around it is named
    <svg className="lineage" width={width} height={height} viewBox={`0 0 ${width} ${height}`}>
      {edges.map(({ from, to }) => {
        const [a, b] = [places.get(from)!, places.get(to)!];
        const [x, y, end, down] = [a.x + box.width, a.y + box.height / 2, b.x, b.y + box.height / 2];
        const bend = box.across / 2;
        return (
          <g key={`${from} ${to}`} className="lineage-arrow">
            <path d={`M${x} ${y} C${x + bend} ${y} ${end - bend} ${down} ${end - 5} ${down}`} />
            <path className="head" d={`M${end} ${down} l-7 -4 v8 z`} />
          </g>
        );
      })}
      {nodes.map((node) => {
        const { x, y } = places.get(node.id)!;
        const kind = t(`node_${node.kind === 'scheduled query' ? 'schedule' : node.kind}`);
        const [href, name] = [pageOf(node), cut(node.name)];
        const inside = (
          <>
            <rect width={box.width} height={box.height} rx={6} />
            <text className="lineage-kind" x={12} y={17}>
              {`${kind} `}
            </text>
            <text x={12} y={34}>
              {name}
            </text>
          </>
        );
        return (
          <g key={node.id} transform={`translate(${x} ${y})`} className={node.level === 0 ? 'lineage-box here' : 'lineage-box'}>
            {href === null || node.level === 0 ? (
              inside
            ) : (
              <Link href={href} aria-label={name === node.name ? undefined : `${kind} ${name} (${node.name})`}>
                {inside}
              </Link>
            )}
          </g>
        );
      })}
    </svg>
  );
}

/** A column for each level. Within it a box stands as high as those that it is joined with on the side of the table, so that few arrows cross. */
function placesOf({ nodes, edges }: LineageAnswer): { places: Map<string, { x: number; y: number }>; width: number; height: number } {
  const levels = Map.groupBy(nodes, ({ level }) => level);
  const [first, last] = [Math.min(...levels.keys()), Math.max(...levels.keys())];
  const rows = new Map<string, number>();
  const most = Math.max(...[...levels.values()].map(({ length }) => length));
  const place = (level: number) => {
    const list = levels.get(level) ?? [];
    const heights = list.map((node) => {
      const near = edges.flatMap(({ from, to }) =>
        from === node.id ? (rows.get(to) ?? []) : to === node.id ? (rows.get(from) ?? []) : [],
      );
      return { node, at: near.length === 0 ? 0 : near.reduce((sum, each) => sum + each, 0) / near.length };
    });
    heights.sort((a, b) => a.at - b.at || (a.node.name < b.node.name ? -1 : 1));
    for (const [k, { node }] of heights.entries()) rows.set(node.id, (most - list.length) / 2 + k);
  };
  for (let level = 0; level >= first; level--) place(level);
  for (let level = 1; level <= last; level++) place(level);
  const places = new Map(
    nodes.map(({ id, level }) => [
      id,
      { x: 1 + (level - first) * (box.width + box.across), y: 1 + rows.get(id)! * (box.height + box.down) },
    ]),
  );
  return {
    places,
    width: 2 + (last - first + 1) * (box.width + box.across) - box.across,
    height: 2 + most * (box.height + box.down) - box.down,
  };
}

/** In the middle, since both ends tell names apart; the whole stands in the link's name. */
function cut(name: string): string {
  return name.length <= 25 ? name : `${name.slice(0, 13)}…${name.slice(-11)}`;
}
