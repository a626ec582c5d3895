import { Menu, Modal, Skeleton, UnstyledButton } from '@mantine/core';
import { type CSSProperties, useMemo, useState } from 'react';
import { type ChartSpec, parametersOf, pick, type Tile } from '#visualize';
import type { QueryAnswer } from '../../src/server/api.ts';
import { ask } from '../api.ts';
import { Chart, isBlank } from '../chart/chart.tsx';
import { Copied } from '../copy.tsx';
import { useLive } from '../live.ts';
import { go } from '../route.ts';
import { icons } from '../shell/icons.tsx';
import { Problem } from '../states.tsx';
import { useWords } from '../words/index.tsx';
import { type Choice, valuesOf } from './parameters.ts';

/** More rows than this say nothing on a tile; Ask shows all. */
const mostRows = 50_000;

export function TileView({ tile, choice, round, every }: { tile: Tile; choice: Choice; round: number; every: number | null }) {
  const { t, ago, instant } = useWords();
  const { sql } = tile;
  const values = useMemo(() => (sql === null ? {} : valuesOf(choice, parametersOf(sql), new Date())), [sql, choice]);
  const key = sql === null ? null : JSON.stringify([sql, values, round]);
  const answer = useLive<QueryAnswer>(key, (signal) => ask({ sql: sql!, params: values, limits: { rows: mostRows } }, signal), every);
  const [seeing, setSeeing] = useState(false);
  const place = { '--columns': tile.width, '--rows': tile.height } as CSSProperties;
  if (tile.text !== null) {
    return (
      <section className="tile tile-text" style={place}>
        {tile.title !== '' && <h2>{tile.title}</h2>}
        {tile.text.split(/\n{2,}/).map((paragraph) => (
          <p key={paragraph}>{paragraph}</p>
        ))}
      </section>
    );
  }
  const { data, error, loading } = answer;
  return (
    <section className="tile" style={place} aria-busy={loading} data-size={tile.width <= 3 ? 'small' : undefined}>
      <header>
        <h2 title={answer.at === 0 ? undefined : `${t('as_of', { when: ago(answer.at) })} (${instant(answer.at)})`}>{tile.title}</h2>
        <Menu position="bottom-end" width={180}>
          <Menu.Target>
            <UnstyledButton className="tile-menu" aria-label={`${t('menu')}: ${tile.title}`}>
              {icons.more}
            </UnstyledButton>
          </Menu.Target>
          <Menu.Dropdown>
            <Menu.Item onClick={() => setSeeing(true)}>{t('show_sql')}</Menu.Item>
            <Menu.Item onClick={() => go(`/ask#${new URLSearchParams({ sql: filledIn(sql!, values) })}`)}>{t('open_in_ask')}</Menu.Item>
            <Menu.Item onClick={answer.refresh}>{t('refresh')}</Menu.Item>
          </Menu.Dropdown>
        </Menu>
      </header>
      <div className="tile-body">
        {error !== null ? (
          <Problem trouble={error} onRetry={answer.refresh} compact />
        ) : data === null ? (
          <Skeleton height="100%" />
        ) : isBlank(data) ? (
          <p className="faint tile-empty">{t('tile_empty')}</p>
        ) : (
          <Drawn spec={tile.chart} data={data} label={tile.title} />
        )}
      </div>
      <Modal opened={seeing} onClose={() => setSeeing(false)} title={tile.title} size={720} closeButtonProps={{ 'aria-label': t('close') }}>
        <Copied text={filledIn(sql!, values)} />
      </Modal>
    </section>
  );
}

function Drawn({ spec, data, label }: { spec: ChartSpec | null; data: QueryAnswer; label: string }) {
  const chosen = useMemo(() => spec ?? pick(data), [spec, data]);
  return <Chart spec={chosen} data={data} label={label} />;
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
