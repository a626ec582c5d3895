import { Menu, Skeleton, UnstyledButton, useComputedColorScheme } from '@mantine/core';
import { type CSSProperties, type ReactNode, useEffect, useMemo, useState } from 'react';
import { type ChartSpec, callsAnswers, type Mark, type Meaning, type Previous, pick, asked as statementOf, type Tile } from '#visualize';
import type { QueryAnswer } from '../../src/server/api.ts';
import { TileEvidence, useEvidence } from '../answer/evidence.tsx';
import { askTogether, type Trouble } from '../api.ts';
import { Chart, isBlank } from '../chart/chart.tsx';
import { exportTile } from '../chart/export.ts';
import { exportsOf } from '../chart/export-kinds.ts';
import { type Live, useLive } from '../live.ts';
import { go } from '../route.ts';
import { icons } from '../shell/icons.tsx';
import { Problem } from '../states.tsx';
import { useWords } from '../words/index.tsx';
import { workspaceZone } from '../zone.ts';
import { asked, requestOf } from './asking.ts';
import type { Seen } from './parameters.ts';
import { Why, type Wondered } from './why.tsx';

const never = '';
/** On a tile that is drawn anew all the time, what it stands on is looked up no more often than every so many ms. */
export const evidenceHeld = 60_000;

export interface TileProps {
  readonly tile: Tile;
  readonly choice: Seen;
  readonly round: number;
  readonly every: number | null;
  readonly marks?: readonly Mark[];
  onPick?(meaning: Meaning): void;
  /** What stands on the tile while the dashboard is edited. */
  readonly tools?: ReactNode;
  readonly items?: ReactNode;
}

/** A tile that asks the warehouse as whoever looks at it. */
export function TileView({ tile, choice, round, every, marks, onPick, tools, items }: TileProps) {
  const { t } = useWords();
  const sql = tile.sql ?? never;
  const { values, before } = useMemo(() => asked(sql, choice), [sql, choice]);
  const key = tile.sql === null ? null : JSON.stringify([sql, values]);
  const answer = useLive<QueryAnswer>(key, (signal) => askTogether(requestOf(sql, values), signal), every, round);
  const earlier = useLive<Earlier>(
    key === null || before === null ? null : JSON.stringify([key, before]),
    async (signal) => ({ data: await askTogether(requestOf(sql, before!.values), signal), shift: before!.shift, precedes: key! }),
    every,
    round,
  );
  const [wondering, setWondering] = useState<Wondered | null>(null);
  const compares = before !== null;
  const previous = useMemo<Previous | null>(() => {
    if (!compares || earlier.data === null || earlier.data.precedes !== answer.of) return null;
    const { data, shift } = earlier.data;
    return { data, shift, name: t('previous') };
  }, [compares, earlier.data, answer.of, t]);
  const { sql: statement, params } = statementOf(sql, values);
  const shown = filledIn(statement, params);
  return (
    <TileFrame
      tile={tile}
      answer={answer}
      previous={previous}
      withoutPrevious={compares ? earlier.error : null}
      marks={marks}
      onPick={tile.filter === null ? undefined : onPick}
      onCell={tools === undefined ? setWondering : undefined}
      tools={tools}
      items={
        <>
          {items}
          {tile.sql !== null && (
            <>
              <Menu.Item onClick={() => setWondering({ row: null, column: null })}>{t('why')}</Menu.Item>
              <Menu.Item onClick={() => go(`/ask#${new URLSearchParams({ sql: shown })}`)}>{t('open_in_ask')}</Menu.Item>
            </>
          )}
        </>
      }
      evidence={
        tools === undefined && callsAnswers(sql) ? (
          <EvidenceOf key={JSON.stringify([statement, params])} sql={statement} params={params} at={answer.at} />
        ) : undefined
      }
    >
      {wondering !== null && (
        <Why title={tile.title} sql={statement} shown={shown} params={params} of={wondering} onClose={() => setWondering(null)} />
      )}
    </TileFrame>
  );
}

/** The period before with the question that it precedes: beside the answer to another one it would be compared with what it is not. */
interface Earlier {
  readonly data: QueryAnswer;
  readonly shift: number;
  readonly precedes: string;
}

/** Asked once the rows are there. */
function EvidenceOf({ sql, params, at }: { sql: string; params: object; at: number }) {
  return <TileEvidence of={useEvidence(sql, params, at === 0 ? null : Math.floor(at / evidenceHeld))} />;
}

/** A tile with what it shows; who asks, and how, is the caller's matter. */
export function TileFrame({
  tile,
  answer,
  previous = null,
  withoutPrevious = null,
  marks,
  onPick,
  onCell,
  tools,
  items,
  evidence,
  children,
}: {
  tile: Tile;
  answer: Live<QueryAnswer>;
  previous?: Previous | null;
  /** Why the period before is not there to be compared with. */
  withoutPrevious?: Trouble | null;
  marks?: readonly Mark[] | undefined;
  onCell?: ((wondered: Wondered) => void) | undefined;
  onPick?: ((meaning: Meaning) => void) | undefined;
  tools?: ReactNode;
  items?: ReactNode;
  /** The line below of a tile that is made of answers. */
  evidence?: ReactNode;
  children?: ReactNode;
}) {
  const { t, ago, instant } = useWords();
  const place = { '--columns': tile.width, '--rows': tile.height } as CSSProperties;
  const { data, error, loading } = answer;
  const spec = useMemo(() => tile.chart ?? (data === null ? null : pick(data)), [tile.chart, data]);
  const menu = (
    <TileMenu title={tile.title}>
      {items}
      {tile.text === null && <Menu.Item onClick={answer.refresh}>{t('refresh')}</Menu.Item>}
      {data !== null && spec !== null && <Exports title={tile.title} spec={spec} data={data} />}
    </TileMenu>
  );
  if (tile.text !== null) {
    return (
      <section className="tile tile-text" style={place} data-tile>
        {(tile.title !== '' || tools !== undefined) && (
          <header>
            <h2>{tile.title}</h2>
            {tools !== undefined && menu}
          </header>
        )}
        {tile.text.split(/\n{2,}/).map((paragraph) => (
          <p key={paragraph}>{paragraph}</p>
        ))}
        {tools}
      </section>
    );
  }
  return (
    <section className="tile" style={place} aria-busy={loading} data-size={tile.width <= 3 ? 'small' : undefined} data-tile>
      <header>
        <h2
          onPointerEnter={({ currentTarget }) => {
            // Words for a time are dear, and on most tiles nobody asks for them.
            if (answer.at > 0) currentTarget.title = `${t('as_of', { when: ago(answer.at) })} (${instant(answer.at)})`;
          }}
        >
          {tile.title}
        </h2>
        {menu}
      </header>
      <div className="tile-body">
        {data === null || spec === null ? (
          error === null ? (
            <Waiting />
          ) : (
            <Problem trouble={error} onRetry={answer.refresh} compact />
          )
        ) : isBlank(data) ? (
          <p className="faint tile-empty">{t(data.rows.length === 0 ? 'tile_empty' : 'tile_no_value')}</p>
        ) : (
          <Chart spec={spec} data={data} label={tile.title} previous={previous} marks={marks} onPick={onPick} onCell={onCell} />
        )}
      </div>
      {data !== null && error !== null && <Beside what={t('as_of', { when: ago(answer.at) })} trouble={error} onRetry={answer.refresh} />}
      {data !== null && error === null && withoutPrevious !== null && <Beside what={t('previous_missing')} trouble={withoutPrevious} />}
      {evidence}
      {tools}
      {children}
    </section>
  );
}

/** What is wrong with what stands above it, in one line: the chart is still worth its place. */
function Beside({ what, trouble: { body }, onRetry }: { what: string; trouble: Trouble; onRetry?: () => void }) {
  const { t, said, remedy } = useWords();
  const why = said(body) || t('went_wrong');
  return (
    <p className="tile-beside small" role="status" title={`${why} ${remedy(body)} (${body.code})`}>
      <span>
        {what} · <span className="bad-text">{why}</span>
      </span>
      {onRetry !== undefined && (
        <button type="button" onClick={onRetry}>
          {t('retry')}
        </button>
      )}
    </p>
  );
}

/** What takes long says that it still lives. */
function Waiting() {
  const { t, duration } = useWords();
  const [since] = useState(Date.now);
  const [now, setNow] = useState(since);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  return (
    <div className="tile-waiting">
      <Skeleton height="100%" />
      {now - since > 2500 && (
        <span className="small tabular">{t('running_for', { time: duration(Math.round((now - since) / 1000) * 1000) })}</span>
      )}
    </div>
  );
}

function TileMenu({ title, children }: { title: string; children: ReactNode }) {
  const { t } = useWords();
  const [used, setUsed] = useState(false);
  const label = `${t('tile_menu')}: ${title}`;
  // Sixty menus that nobody opens would take longer to make than the charts.
  if (!used)
    return (
      <UnstyledButton className="tile-menu" aria-label={label} aria-haspopup="menu" aria-expanded={false} onClick={() => setUsed(true)}>
        {icons.more}
      </UnstyledButton>
    );
  return (
    <Menu position="bottom-end" width={220} defaultOpened>
      <Menu.Target>
        <UnstyledButton className="tile-menu" aria-label={label}>
          {icons.more}
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>{children}</Menu.Dropdown>
    </Menu>
  );
}

function Exports({ title, spec, data }: { title: string; spec: ChartSpec; data: QueryAnswer }) {
  const { t, language } = useWords();
  const dark = useComputedColorScheme('light') === 'dark';
  const look = () => ({
    dark,
    locale: language,
    font: getComputedStyle(document.body).fontFamily,
    width: 960,
    height: 540,
    zone: workspaceZone(),
  });
  return (
    <>
      <Menu.Divider />
      {exportsOf(spec, data).map((kind) => (
        <Menu.Item key={kind} onClick={() => exportTile(kind, title, spec, data, look())}>
          {t('save_as', { kind: kind.toUpperCase() })}
        </Menu.Item>
      ))}
    </>
  );
}

/** The statement as it was asked, with the values in the parameters' places, so that it runs by itself. */
export function filledIn(sql: string, values: Readonly<Record<string, string | null>>): string {
  const token = /'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*[\s\S]*?\*\/|\$([A-Za-z_]\w*)/g;
  return sql.trim().replace(token, (all, name?: string) => {
    if (name === undefined || !(name in values)) return all;
    const value = values[name];
    return value == null ? 'NULL' : `'${value.replaceAll("'", "''")}'`;
  });
}
