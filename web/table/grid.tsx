// biome-ignore-all lint/a11y/useSemanticElements: only rows in view are in the page, which a table element has no words for
// biome-ignore-all lint/a11y/useFocusableInteractive: the frame has the focus and scrolls
// biome-ignore-all lint/suspicious/noArrayIndexKey: a row has no other name than its place, and two columns may share theirs
import { type CSSProperties, type UIEvent, useCallback, useMemo, useRef, useState } from 'react';
import type { Column } from '#core';
import type { Data } from '#visualize';
import { useWords } from '../words/index.tsx';
import { cellFormat, sorted } from './cells.ts';
import { Distribution } from './shape.tsx';

const rowHeight = 30;
/** Browsers clip elements at 17 to 33 million px; above this the scroll bar stands for more rows than px. */
const tallest = 12_000_000;
const overscan = 6;

/** Rows of a result; only those in view are in the page, so a million scroll as smoothly as ten. Fills its parent unless `height` is given. */
export function Grid({
  columns,
  rows,
  label,
  height,
  shaded = unshaded,
  summary = false,
  onCell,
}: {
  columns: readonly Column[];
  rows: readonly (readonly unknown[])[];
  label: string;
  height?: number;
  /** Places of columns with numbers whose cells are shaded by their values. */
  shaded?: readonly number[];
  /** Shows of each column its type, the share that is missing, and its shape. */
  summary?: boolean;
  /** Hears of a cell that was clicked, or chosen with Enter. */
  onCell?: ((row: readonly unknown[], column: string) => void) | undefined;
}) {
  const { language, t } = useWords();
  const [order, setOrder] = useState<{ column: number; descending: boolean } | null>(null);
  const [top, setTop] = useState(0);
  const [inView, setInView] = useState(400);
  const observer = useRef<ResizeObserver | null>(null);
  const frame = useCallback((element: HTMLDivElement | null) => {
    observer.current?.disconnect();
    if (element === null) return;
    observer.current = new ResizeObserver(() => setInView(element.clientHeight));
    observer.current.observe(element);
  }, []);
  const formats = useMemo(
    () =>
      columns.map((column, at) =>
        cellFormat(
          column,
          language,
          rows.slice(0, 1000).map((row) => row[at]),
        ),
      ),
    [columns, rows, language],
  );
  const shades = useMemo(() => new Map(shaded.map((at) => [at, shadeOf(rows, at)])), [rows, shaded]);
  const [dragged, setDragged] = useState<Readonly<Record<number, number>>>({});
  const summed = useMemo(() => (summary ? { columns, rows: rows.slice(0, summedRows) } : null), [columns, rows, summary]);
  const natural = useMemo(() => columns.map((column, at) => widthOf(column, rows, formats[at]!.text, at)), [columns, rows, formats]);
  const widths = natural.map((width, at) => dragged[at] ?? width);
  const headHeight = summary ? summaryHeight : rowHeight;
  const size = (at: number, width: number) => setDragged((now) => ({ ...now, [at]: Math.max(narrowest, Math.min(widest, width)) }));
  const shown = useMemo(() => (order === null ? rows : sorted(rows, order.column, order.descending)), [rows, order]);
  const whole = rows.length * rowHeight;
  const tall = Math.min(whole, tallest);
  const body = Math.max(rowHeight, inView - headHeight - 2);
  // The row at the upper edge: of as many rows as px one to one, else by the share of the way.
  const first = whole === tall ? top / rowHeight : (top / Math.max(1, tall - body)) * Math.max(0, rows.length - body / rowHeight);
  const from = Math.max(0, Math.floor(first) - overscan);
  const to = Math.min(rows.length, Math.ceil(first + body / rowHeight) + overscan);
  const offset = top - (first - from) * rowHeight;
  // Words take what is left; numbers stay beside what they belong to, and the line goes on without them.
  const tracks = widths.map((width) => `${width}px`);
  const template = {
    gridTemplateColumns: formats.at(-1)?.numeric
      ? `${tracks.join(' ')} 1fr`
      : `${tracks.slice(0, -1).join(' ')} minmax(${tracks.at(-1) ?? '0px'}, 1fr)`,
  };
  const total = widths.reduce((sum, width) => sum + width, 0);
  return (
    <div
      className="grid-frame"
      ref={frame}
      style={height === undefined ? undefined : { height: Math.min(height, whole + headHeight + 18) }}
      onScroll={(event: UIEvent<HTMLDivElement>) => setTop(event.currentTarget.scrollTop)}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
      tabIndex={0}
      role="table"
      aria-label={label}
      aria-rowcount={rows.length + 1}
    >
      <div className="grid-row grid-head" style={{ ...template, minWidth: total, height: headHeight }} role="row">
        {columns.map((column, at) => (
          <div
            key={`${at} ${column.name}`}
            role="columnheader"
            aria-sort={order?.column !== at ? 'none' : order.descending ? 'descending' : 'ascending'}
            className={formats[at]!.numeric ? 'end' : undefined}
          >
            <button
              type="button"
              title={`${column.name}\n${column.type}`}
              onClick={() =>
                setOrder((now) =>
                  now?.column !== at
                    ? { column: at, descending: formats[at]!.numeric }
                    : now.descending === formats[at]!.numeric
                      ? { column: at, descending: !now.descending }
                      : null,
                )
              }
            >
              <span>{column.name}</span>
              <span aria-hidden="true">{order?.column === at ? (order.descending ? ' ↓' : ' ↑') : ''}</span>
            </button>
            {summed !== null && <Summary data={summed} at={at} />}
            <Edge name={column.name} width={widths[at]!} onWidth={(width) => size(at, width)} />
          </div>
        ))}
      </div>
      <div style={{ height: tall, minWidth: total, position: 'relative' }} role="rowgroup">
        <div style={{ transform: `translateY(${offset}px)` }} role="presentation">
          {shown.slice(from, to).map((row, at) => (
            <div key={from + at} className="grid-row" style={template} role="row" aria-rowindex={from + at + 2}>
              {columns.map((column, k) => {
                const text = formats[k]!.text(row[k]);
                return (
                  <div
                    key={`${k} ${column.name}`}
                    role="cell"
                    className={formats[k]!.numeric ? 'end tabular' : undefined}
                    style={shadeStyle(shades.get(k)?.(row[k]))}
                    title={formats[k]!.whole?.(row[k]) ?? (text !== null && text.length > 24 ? text.slice(0, 2000) : undefined)}
                  >
                    {onCell === undefined ? (
                      <Text text={text} />
                    ) : (
                      <button type="button" className="grid-cell" title={t('why')} onClick={() => onCell(row, column.name)}>
                        <Text text={text} />
                      </button>
                    )}
                  </div>
                );
              })}
            </div>
          ))}
        </div>
      </div>
    </div>
  );
}

const unshaded: readonly number[] = [];
const summaryHeight = 68;
/** A summary is of the first so many rows: more would hold up the table. */
const summedRows = 10_000;
const [narrowest, widest] = [48, 1200];

function Summary({ data, at }: { data: Data; at: number }) {
  const { t, share } = useWords();
  const missing = useMemo(() => data.rows.filter((row) => row[at] === null).length / Math.max(1, data.rows.length), [data, at]);
  return (
    <div className="grid-summary">
      <Distribution data={data} at={at} />
      <span>
        {data.columns[at]!.type.toLowerCase().replace('timestamp with time zone', 'timestamptz')}
        {missing > 0 && ` · ${t('missing')} ${share(missing)}`}
      </span>
    </div>
  );
}

/** The right edge of a column: pulled, or moved with the arrow keys. */
function Edge({ name, width, onWidth }: { name: string; width: number; onWidth: (width: number) => void }) {
  const { t } = useWords();
  const from = useRef<{ x: number; width: number } | null>(null);
  return (
    <button
      type="button"
      className="grid-edge"
      aria-label={t('column_width', { column: name, width: Math.round(width) })}
      onPointerDown={(event) => {
        event.preventDefault();
        event.currentTarget.setPointerCapture(event.pointerId);
        from.current = { x: event.clientX, width };
      }}
      onPointerMove={(event) => from.current !== null && onWidth(from.current.width + event.clientX - from.current.x)}
      onPointerUp={() => {
        from.current = null;
      }}
      onKeyDown={(event) => {
        const step = event.key === 'ArrowRight' ? 16 : event.key === 'ArrowLeft' ? -16 : 0;
        if (step === 0) return;
        event.preventDefault();
        onWidth(width + step);
      }}
    />
  );
}

function Text({ text }: { text: string | null }) {
  return text === null ? <i className="null">NULL</i> : text.slice(0, 400);
}

/** How far a cell is from the least to the most of its column, 0 to 1; from zero where there is nothing below it. */
function shadeOf(rows: readonly (readonly unknown[])[], at: number): (cell: unknown) => number | null {
  const values = rows.map((row) => (row[at] === null ? Number.NaN : Number(row[at]))).filter(Number.isFinite);
  const low = values.reduce((least, value) => Math.min(least, value), 0);
  const high = values.reduce((most, value) => Math.max(most, value), low);
  return (cell) => (cell === null || !Number.isFinite(Number(cell)) || high === low ? null : (Number(cell) - low) / (high - low));
}

function shadeStyle(share: number | null | undefined): CSSProperties | undefined {
  if (share === null || share === undefined) return undefined;
  return { background: `color-mix(in srgb, var(--accent) ${Math.round(share * 45)}%, transparent)` };
}

/** Wide enough for the first hundred rows, within reason. */
function widthOf({ name }: Column, rows: readonly (readonly unknown[])[], text: (cell: unknown) => string | null, at: number): number {
  // Korean and other wide letters take two places.
  const places = (word: string) => word.length + (word.match(/[\u1100-\uffdc]/g)?.length ?? 0) * 0.8;
  const longest = rows.slice(0, 100).reduce((most, row) => Math.max(most, places((text(row[at]) ?? 'NULL').slice(0, 60))), 0);
  return Math.round(Math.min(320, Math.max(64, longest * 7.6 + 26, places(name) * 7.6 + 36)));
}
