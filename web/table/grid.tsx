// biome-ignore-all lint/a11y/useSemanticElements: only rows in view are in the page, which a table element has no words for
// biome-ignore-all lint/a11y/useFocusableInteractive: the frame has the focus and scrolls
// biome-ignore-all lint/suspicious/noArrayIndexKey: a row has no other name than its place, and two columns may share theirs
import { type UIEvent, useCallback, useMemo, useRef, useState } from 'react';
import type { Column } from '#core';
import { useWords } from '../words/index.tsx';
import { cellFormat, sorted } from './cells.ts';

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
}: {
  columns: readonly Column[];
  rows: readonly (readonly unknown[])[];
  label: string;
  height?: number;
}) {
  const { language } = useWords();
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
  const widths = useMemo(() => columns.map((column, at) => widthOf(column, rows, formats[at]!.text, at)), [columns, rows, formats]);
  const shown = useMemo(() => (order === null ? rows : sorted(rows, order.column, order.descending)), [rows, order]);
  const whole = rows.length * rowHeight;
  const tall = Math.min(whole, tallest);
  const body = Math.max(rowHeight, inView - rowHeight - 2);
  // The row at the upper edge: of as many rows as px one to one, else by the share of the way.
  const first = whole === tall ? top / rowHeight : (top / Math.max(1, tall - body)) * Math.max(0, rows.length - body / rowHeight);
  const from = Math.max(0, Math.floor(first) - overscan);
  const to = Math.min(rows.length, Math.ceil(first + body / rowHeight) + overscan);
  const offset = top - (first - from) * rowHeight;
  const template = { gridTemplateColumns: widths.map((width) => `${width}px`).join(' ') };
  const total = widths.reduce((sum, width) => sum + width, 0);
  return (
    <div
      className="grid-frame"
      ref={frame}
      style={height === undefined ? undefined : { height: Math.min(height, whole + rowHeight + 18) }}
      onScroll={(event: UIEvent<HTMLDivElement>) => setTop(event.currentTarget.scrollTop)}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
      tabIndex={0}
      role="table"
      aria-label={label}
      aria-rowcount={rows.length + 1}
    >
      <div className="grid-row grid-head" style={{ ...template, minWidth: total }} role="row">
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
                    title={text !== null && text.length > 24 ? text.slice(0, 2000) : undefined}
                  >
                    {text === null ? <i className="null">NULL</i> : text.slice(0, 400)}
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

/** Wide enough for the first hundred rows, within reason. */
function widthOf({ name }: Column, rows: readonly (readonly unknown[])[], text: (cell: unknown) => string | null, at: number): number {
  // Korean and other wide letters take two places.
  const places = (word: string) => word.length + (word.match(/[\u1100-\uffdc]/g)?.length ?? 0) * 0.8;
  const longest = rows.slice(0, 100).reduce((most, row) => Math.max(most, places((text(row[at]) ?? 'NULL').slice(0, 60))), 0);
  return Math.round(Math.min(320, Math.max(64, longest * 7.6 + 26, places(name) * 7.6 + 36)));
}
