import { fail } from '#core';
import type { Chart } from '../chart.ts';
import { label, number } from '../data.ts';
import { formatter } from '../format.ts';
import { base, plain, tooltip } from '../frame.ts';
import { keep, meaningOf } from '../meaning.ts';
import { ink } from '../theme.ts';

const mostLinks = 60;
/** A node's name needs so many px. */
const nodeRoom = 18;

export const sankey: Chart = {
  name: 'sankey',
  title: 'Paths',
  summary:
    'How much flows from one step to the next: source, target, amount. The largest flows are drawn, at most sixty, as far as their names find room.',
  options: [],
  fit: ({ categories, times, measures, negative, rows }) =>
    categories === 2 && times === 0 && measures === 1 && !negative && rows > 2 ? 0.4 : 0,
  draw({ data, spec, encoding, look }) {
    const { x, series, y } = encoding;
    if (x === null || series === null || y[0] === undefined)
      return fail('CHART_SHAPE', { chart: spec.kind, needs: 'a column for where from, one for where to, and one with numbers' });
    const column = y[0];
    const [from, to] = [new Map<string, unknown>(), new Map<string, unknown>()];
    for (const row of data.rows) {
      keep(from, `${label(row[x])} `, row[x]);
      keep(to, ` ${label(row[series])}`, row[series]);
    }
    const all = data.rows
      // Names may stand on both sides ("/" to "/"): a flow has no circles, so each side has nodes of its own.
      .map((row) => ({ source: `${label(row[x])} `, target: ` ${label(row[series])}`, value: number(row[column]) ?? 0 }))
      .filter(({ value }) => value > 0)
      .sort((a, b) => b.value - a.value);
    const links = inSight(all, Math.max(4, Math.floor(look.height / nodeRoom)));
    const names = [...new Set(links.flatMap(({ source, target }) => [source, target]))];
    const sources = new Set(links.map(({ source }) => source));
    const sideOf = (name: string | undefined): Partial<Flow> =>
      name !== undefined && sources.has(name) ? { source: name } : { target: name };
    const whole = formatter(look, spec.unit);
    return {
      kind: 'option',
      means: ({ at, kind }) => {
        const { source, target } = kind === 'edge' ? (links[at] ?? {}) : sideOf(names[at]);
        return meaningOf(data, [
          ...(source === undefined ? [] : [[x, from.get(source)] as const]),
          ...(target === undefined ? [] : [[series, to.get(target)] as const]),
        ]);
      },
      notes: all.length > links.length ? [{ kind: 'values_left_out', count: all.length - links.length }] : [],
      option: {
        ...base(look),
        tooltip: {
          ...tooltip(look),
          formatter: (hovered) => {
            const {
              dataType,
              name,
              value,
              data: link,
            } = hovered as unknown as { dataType: string; name: string; value: number; data: { source: string; target: string } };
            return dataType === 'edge'
              ? `${plain(link.source.trim())} → ${plain(link.target.trim())}\n${whole(value)}`
              : `${plain(name.trim())}\n${whole(value)}`;
          },
        },
        series: [
          {
            type: 'sankey',
            data: names.map((name) => ({ name })),
            links,
            left: 0,
            right: Math.min(150, look.width * 0.25),
            top: 8,
            bottom: 8,
            nodeWidth: 10,
            nodeGap: 10,
            label: {
              color: ink(look).text,
              fontSize: 12,
              width: 140,
              overflow: 'truncate',
              formatter: ({ name }) => plain(String(name).trim()),
            },
            lineStyle: { color: 'source', opacity: 0.25 },
            emphasis: { focus: 'adjacency' },
          },
        ],
      },
    };
  },
};

interface Flow {
  readonly source: string;
  readonly target: string;
  readonly value: number;
}

/** The first flows whose nodes find room on both sides: later ones between nodes that stand there already are taken too. */
function inSight(flows: readonly Flow[], most: number): Flow[] {
  const [sources, targets] = [new Set<string>(), new Set<string>()];
  const fits = (side: Set<string>, name: string) => side.has(name) || side.size < most;
  return flows
    .filter(({ source, target }) => {
      if (!fits(sources, source) || !fits(targets, target)) return false;
      sources.add(source);
      targets.add(target);
      return true;
    })
    .slice(0, mostLinks);
}
