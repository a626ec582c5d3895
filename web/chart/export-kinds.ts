import { MillraceError } from '#core';
import { type ChartSpec, type Data, draw } from '#visualize';

const exportKinds = ['png', 'svg', 'csv', 'xlsx'] as const;
export type ExportKind = (typeof exportKinds)[number];

/** What a tile can be saved as: what is shown as text (a number, a table, or nothing that can be drawn) is no picture. */
export function exportsOf(spec: ChartSpec, data: Data): readonly ExportKind[] {
  return isPicture(spec, data) ? exportKinds : ['csv', 'xlsx'];
}

function isPicture(spec: ChartSpec, data: Data): boolean {
  try {
    return draw(spec, data).kind === 'option';
  } catch (thrown) {
    if (thrown instanceof MillraceError) return false;
    throw thrown;
  }
}
