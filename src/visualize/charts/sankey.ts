import { fail } from '#core';
import type { Chart } from '../chart.ts';
import { label, number } from '../data.ts';
import { formatter } from '../format.ts';
import { base, plain, tooltip } from '../frame.ts';
import { ink } from '../theme.ts';

const mostLinks = 60;

export const sankey: Chart = {
  name: 'sankey',
  title: 'Paths',
  summary: 'How much flows from one step to the next: source, target, amount. The largest sixty flows are drawn.',
  options: [],
  fit: ({ categories, times, measures, negative, rows }) =>
    categories === 2 && times === 0 && measures === 1 && !negative && rows > 2 ? 0.4 : 0,
  draw({ data, spec, encoding, look }) {
    const { x, series, y } = encoding;
    if (x === null || series === null || y[0] === undefined)
      return fail('CHART_SHAPE', { chart: spec.kind, needs: 'a column for where from, one for where to, and one with numbers' });
    const column = y[0];
    const all = data.rows
      // Names may stand on both sides ("/" to "/"): a flow has no circles, so each side has nodes of its own.
      .map((row) => ({ source: `${label(row[x])} `, target: ` ${label(row[series])}`, value: number(row[column]) ?? 0 }))
      .filter(({ value }) => value > 0)
      .sort((a, b) => b.value - a.value);
    const links = all.slice(0, mostLinks);
    const whole = formatter(look, spec.unit);
    return {
      kind: 'option',
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
            data: [...new Set(links.flatMap(({ source, target }) => [source, target]))].map((name) => ({ name })),
            links,
            left: 0,
            right: Math.min(150, look.width * 0.25),
            top: 8,
            bottom: 8,
            nodeWidth: 10,
            nodeGap: 8,
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
