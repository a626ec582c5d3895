import { useComputedColorScheme } from '@mantine/core';
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { MillraceError } from '#core';
import {
  type ChartSpec,
  type Data,
  draw,
  formatter,
  type Hit,
  type Look,
  loadEngine,
  type Mark,
  type Meaning,
  type Picture,
  type Previous,
  rolesOf,
  withMarks,
  withPrevious,
} from '#visualize';
import { Trouble } from '../api.ts';
import type { Wondered } from '../dashboards/why.tsx';
import { Spark } from '../home/spark.tsx';
import { Problem } from '../states.tsx';
import { Grid } from '../table/grid.tsx';
import { useWords } from '../words/index.tsx';
import { workspaceZone } from '../zone.ts';

/** A result as the spec says; fills its parent, which has a height. `onPick` hears of clicks on marks. */
export function Chart({
  spec,
  data,
  label,
  previous = null,
  marks = none,
  onPick,
  onCell,
}: {
  spec: ChartSpec;
  data: Data;
  label: string;
  previous?: Previous | null;
  marks?: readonly Mark[] | undefined;
  /** Hears of a cell of a table, and of a mark where `onPick` does not: what it stands for. */
  onCell?: ((wondered: Wondered) => void) | undefined;
  onPick?: ((meaning: Meaning) => void) | undefined;
}) {
  const { language, t, number } = useWords();
  const dark = useComputedColorScheme('light') === 'dark';
  const [size, setSize] = useState<{ width: number; height: number } | null>(null);
  const observer = useRef<ResizeObserver | null>(null);
  const frame = useCallback((element: HTMLDivElement | null) => {
    observer.current?.disconnect();
    if (element === null) return;
    // The observer tells the first size again: the same one draws nothing anew.
    const measure = () => {
      const [width, height] = [element.clientWidth, element.clientHeight];
      setSize((now) => (now !== null && now.width === width && now.height === height ? now : { width, height }));
    };
    measure();
    observer.current = new ResizeObserver(measure);
    observer.current.observe(element);
  }, []);
  const look = useMemo<Look | null>(
    () => size && { ...size, dark, locale: language, font: getComputedStyle(document.body).fontFamily, zone: workspaceZone() },
    [size, dark, language],
  );
  const drawn = useMemo(() => look && attempt(spec, data, look, { previous, marks }), [spec, data, look, previous, marks]);
  const picture = drawn instanceof Trouble ? null : drawn;
  const notes = picture?.kind === 'option' ? picture.notes : [];
  return (
    <div className="chart">
      <div className="chart-frame" ref={frame}>
        {picture?.kind === 'option' && (
          <Canvas
            picture={picture}
            label={label}
            size={size!}
            onHit={
              (onPick ?? onCell) &&
              ((hit) => {
                const meaning = picture.means(hit);
                if (onPick === undefined) onCell?.({ row: meaning?.row ?? null, column: null });
                else if (meaning !== null) onPick(meaning);
              })
            }
          />
        )}
        {picture?.kind === 'number' && (
          <BigNumber
            picture={picture}
            spec={spec}
            look={look!}
            onWhy={onCell && (() => onCell(wonderedAt(data.rows.at(-1) ?? [], picture.label, data)))}
          />
        )}
        {picture?.kind === 'table' && (
          <Grid
            {...(picture.data ?? data)}
            label={label}
            shaded={picture.shaded}
            onCell={
              onCell &&
              ((row, column) =>
                onCell(
                  picture.means === undefined
                    ? wonderedAt(row, column, data)
                    : { row: picture.means(row, column)?.row ?? null, column: null },
                ))
            }
          />
        )}
        {drawn instanceof Trouble && <Problem trouble={drawn} compact />}
      </div>
      {(data.truncated || previous?.data.truncated) && (
        <p className="warn small chart-note">{t('note_cut', { n: number((data.truncated ? data : previous!.data).rows.length) })}</p>
      )}
      {notes.length > 0 && (
        <p className="faint small chart-note">{notes.map(({ kind, count }) => t(`note_${kind}`, { n: count })).join(' ')}</p>
      )}
    </div>
  );
}

/** What can't be drawn is said in the chart's own place. */
function attempt(
  spec: ChartSpec,
  data: Data,
  look: Look,
  { previous, marks }: { previous: Previous | null; marks: readonly Mark[] },
): Picture | Trouble {
  try {
    const picture = draw(spec, data, look);
    return withMarks(previous === null ? picture : withPrevious(picture, spec, previous, look), marks, look);
  } catch (thrown) {
    if (thrown instanceof MillraceError) return new Trouble(thrown.body, thrown.status);
    throw thrown;
  }
}

const none: readonly Mark[] = [];

/** The row of a result by the names of its columns. */
export const wonderedAt = (row: readonly unknown[], column: string | null, { columns }: Data): Wondered => ({
  row: Object.fromEntries(columns.map(({ name }, at) => [name, (row[at] ?? null) as string | number | boolean | null])),
  column,
});

type Engine = Awaited<ReturnType<typeof loadEngine>>;

function Canvas({
  picture,
  label,
  size,
  onHit,
}: {
  picture: Extract<Picture, { kind: 'option' }>;
  label: string;
  size: { width: number; height: number };
  onHit: ((hit: Hit) => void) | undefined;
}) {
  const heard = useRef(onHit);
  heard.current = onHit;
  const element = useRef<HTMLDivElement | null>(null);
  const chart = useRef<ReturnType<Engine['mount']> | null>(null);
  const sized = useRef<typeof size | null>(null);
  const [engine, setEngine] = useState<Engine | null>(null);
  useEffect(() => {
    loadEngine().then(setEngine);
    return () => {
      chart.current?.dispose();
      chart.current = null;
    };
  }, []);
  useEffect(() => {
    if (engine === null || element.current === null || size.width === 0) return;
    if (chart.current === null) {
      chart.current = engine.mount(element.current);
      chart.current.on('click', ({ componentType, seriesIndex, dataIndex, dataType }) => {
        if (componentType !== 'series' || dataIndex === undefined) return;
        heard.current?.({ series: seriesIndex ?? 0, at: dataIndex, kind: dataType as Hit['kind'] });
      });
    }
    // A chart that was just made has its element's size, and resizing draws everything.
    if (sized.current !== null && sized.current !== size) chart.current.resize(size);
    sized.current = size;
    chart.current.setOption(picture.option, { notMerge: true });
  }, [engine, picture, size]);
  return (
    <div
      ref={element}
      className={onHit === undefined ? 'canvas' : 'canvas picks'}
      role="img"
      aria-label={label}
      data-drawn={engine === null ? undefined : ''}
    />
  );
}

function BigNumber({
  picture,
  spec,
  look,
  onWhy,
}: {
  picture: Extract<Picture, { kind: 'number' }>;
  spec: ChartSpec;
  look: Look;
  onWhy: (() => void) | undefined;
}) {
  const { t } = useWords();
  const { value, before, trend } = picture;
  const whole = formatter(look, spec.unit)(value);
  // A figure is about 18 px wide in the larger size and 13 px in the smaller one.
  const size = whole.length * 18 <= look.width ? 'large' : 'small';
  const shown = whole.length * 13 <= look.width ? whole : formatter(look, spec.unit, true)(value);
  const change = value === null || before === null || before === 0 ? null : value / before - 1;
  return (
    <div className="big">
      {onWhy === undefined ? (
        <span className={`big-value ${size}`} title={whole}>
          {shown}
        </span>
      ) : (
        <button type="button" className={`big-value ${size}`} title={`${whole}\n${t('why')}`} onClick={onWhy}>
          {shown}
        </button>
      )}
      {change !== null && (
        <span className="small faint tabular">
          {change > 0 ? '▲ ' : change < 0 ? '▼ ' : ''}
          {formatter(look, '%')(Math.abs(change))} · {t('before', { value: formatter(look, spec.unit, true)(before) })}
        </span>
      )}
      {trend.length > 0 && <Spark values={trend.map((point) => point ?? 0)} slots={trend.length} />}
    </div>
  );
}

/** Whether there is anything to draw: a result whose only row is all NULL has nothing to say. */
export function isBlank(data: Data): boolean {
  return data.rows.length === 0 || (rolesOf(data).includes('measure') && data.rows.every((row) => row.every((cell) => cell === null)));
}
