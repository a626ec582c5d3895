/** What a tile shows as a file. */
import { type ChartSpec, type Data, draw, ink, type Look, loadEngine } from '#visualize';
import type { ExportKind } from './export-kinds.ts';
import { workbook } from './xlsx.ts';

export async function exportTile(kind: ExportKind, title: string, spec: ChartSpec, data: Data, look: Look): Promise<void> {
  save(await made(kind, spec, data, look), `${fileName(title)}.${kind}`);
}

async function made(kind: ExportKind, spec: ChartSpec, data: Data, look: Look): Promise<Blob> {
  if (kind === 'csv') return new Blob(['\ufeff', csv(data)], { type: 'text/csv' });
  if (kind === 'xlsx')
    return new Blob([workbook(data.columns, data.rows)], { type: 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet' });
  const picture = draw(spec, data, look);
  if (picture.kind !== 'option') throw new TypeError(`${spec.kind} is no picture`);
  const { svg, mount } = await loadEngine();
  const { ground } = ink(look);
  if (kind === 'svg') return new Blob([svg({ ...picture.option, backgroundColor: ground }, look)], { type: 'image/svg+xml' });
  const element = document.createElement('div');
  const chart = mount(element);
  try {
    chart.resize({ width: look.width, height: look.height });
    chart.setOption(picture.option);
    const canvas = chart.renderToCanvas({ pixelRatio: 2, backgroundColor: ground });
    return await new Promise<Blob>((resolve, reject) =>
      canvas.toBlob((blob) => (blob === null ? reject(new TypeError('the picture is too large')) : resolve(blob)), 'image/png'),
    );
  } finally {
    chart.dispose();
  }
}

/** RFC 4180. A text that a spreadsheet would run as a formula gets an apostrophe before it (OWASP, CSV injection). */
export function csv({ columns, rows }: Data): string {
  const line = (cells: readonly unknown[]) => cells.map(csvCell).join(',');
  return [line(columns.map(({ name }) => name)), ...rows.map(line)].join('\r\n');
}

function csvCell(cell: unknown): string {
  if (cell === null || cell === undefined) return '';
  if (typeof cell === 'number' || typeof cell === 'boolean') return String(cell);
  const text = typeof cell === 'object' ? JSON.stringify(cell) : String(cell);
  const isNumber = /^-?\d+(\.\d+)?$/.test(text);
  const safe = !isNumber && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function fileName(title: string): string {
  const name = title
    .normalize('NFC')
    .replaceAll(/[^\p{L}\p{N}]+/gu, '-')
    .replaceAll(/^-+|-+$/g, '');
  return (name || 'tile').slice(0, 80);
}

function save(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
