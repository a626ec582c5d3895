import { Button, Checkbox, Menu, Select, Tabs } from '@mantine/core';
import { type ReactNode, Suspense, useEffect, useMemo, useState } from 'react';
import {
  type Dashboard,
  type Filter,
  loadEngine,
  type Meaning,
  marksOf,
  parametersOf,
  asked as statementOf,
  type Tile,
  type TimeRange,
  timeRanges,
  valueFor,
  valuesOf,
} from '#visualize';
import type { QueryAnswer, SessionAnswer } from '../../src/server/api.ts';
import { ask, askTogether, forgetAhead, Trouble } from '../api.ts';
import { later } from '../later.ts';
import { type Live, useLive } from '../live.ts';
import { go, onMoved } from '../route.ts';
import { icons } from '../shell/icons.tsx';
import { Page, Placeholder, Problem } from '../states.tsx';
import { useWords } from '../words/index.tsx';
import { today } from '../zone.ts';
import { keptDraft } from './draft.ts';
import { askFile } from './early.ts';
import { isOn, readChoice, type Seen, tabsOf, writeChoice } from './parameters.ts';
import { Share } from './share.tsx';
import { useLiveTiles } from './stream.ts';
import { AsText, Versions } from './text.tsx';
import { TileView } from './tile.tsx';

// Looking needs neither the editor nor what else editing does.
const Editing = later(() => import('./editing.tsx'));

export default function DashboardPage({ name, who }: { name: string; who: SessionAnswer }) {
  const { t } = useWords();
  const file = useLive(name, (signal) => askFile(name, signal));
  const [doing, setDoing] = useState<'look' | 'edit' | 'text' | 'versions'>(() => (keptDraft(name) === null ? 'look' : 'edit'));
  const edits = who.role !== 'viewer';
  if (file.data === null) return file.error === null ? <Placeholder /> : <Problem trouble={file.error} onRetry={file.refresh} />;
  const { dashboard, error, version } = file.data;
  const done = () => {
    setDoing('look');
    file.refresh();
  };
  const more = edits && (
    <Menu position="bottom-end" width={220}>
      <Menu.Target>
        <Button variant="default" aria-label={t('more')} px={10}>
          {icons.more}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item onClick={() => setDoing('text')}>{t('edit_text')}</Menu.Item>
        <Menu.Item onClick={() => setDoing('versions')}>{t('versions')}</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
  return (
    <>
      {dashboard === null ? (
        <Page title={name} action={more}>
          <h2>{t('broken_file')}</h2>
          <Problem trouble={new Trouble(error!, 400)} onRetry={file.refresh} />
        </Page>
      ) : doing === 'edit' && edits ? (
        <Suspense fallback={<Placeholder />}>
          <Editing name={name} base={dashboard} version={version} onDone={done} />
        </Suspense>
      ) : (
        <Shown
          key={version}
          name={name}
          dashboard={dashboard}
          shares={edits}
          action={
            edits && (
              <>
                <Button onClick={() => setDoing('edit')}>{t('edit')}</Button>
                {more}
              </>
            )
          }
        />
      )}
      {doing === 'text' && <AsText file={file.data} onClose={() => setDoing('look')} onSaved={done} />}
      {doing === 'versions' && <Versions file={file.data} onClose={() => setDoing('look')} onSaved={done} />}
    </>
  );
}

function Shown({ name, dashboard, shares, action }: { name: string; dashboard: Dashboard; shares: boolean; action: ReactNode }) {
  const { t, duration } = useWords();
  const [choice, setChoice] = useState(() => readChoice(dashboard, location.search, timeRanges));
  const [round, setRound] = useState(0);
  const [sharing, setSharing] = useState(false);
  // After the tiles have asked: the engine is read while the warehouse computes, and is there when the first answer comes.
  useEffect(() => {
    forgetAhead();
    loadEngine();
  }, []);
  useEffect(() => history.replaceState(null, '', location.pathname + writeChoice(choice)), [choice]);
  // A link or a drill to this very dashboard, and the way back, change the choice only.
  useEffect(() => {
    const path = location.pathname;
    return onMoved(() => location.pathname === path && setChoice(readChoice(dashboard, location.search, timeRanges)));
  }, [dashboard]);
  const { refresh } = dashboard;
  const live = useLiveTiles(name, refresh === 'live');
  const tabs = tabsOf(dashboard);
  const marks = useMarks(dashboard, choice);
  const annotated = useMemo(() => (marks.data === null ? undefined : marksOf(marks.data)), [marks.data]);
  /** A click on a mark sets the tile's filter; a click on the same again takes it back. */
  const pick = ({ filter, drill }: Tile, meaning: Meaning) => {
    const value = filter === null ? null : valueFor(filter, meaning);
    if (filter === null || value === null) return;
    const set = (to: string | null) => ({ ...choice, filters: withValue(choice.filters, filter, to) });
    // On the other dashboard the filter is always set: there it was not chosen before.
    if (drill !== null) go(`/dashboards/${drill}${writeChoice({ ...set(value), tab: null })}`);
    else setChoice(set(choice.filters[filter] === value ? null : value));
  };
  return (
    <Page
      title={dashboard.title}
      lead={dashboard.description}
      action={
        <div className="page-actions">
          {shares && (
            <Button variant="default" onClick={() => setSharing(true)}>
              {t('share')}
            </Button>
          )}
          {action}
        </div>
      }
    >
      <div className="filters">
        <Range choice={choice} onChoice={setChoice} />
        {dashboard.filters.map((filter) => (
          <FilterSelect
            key={filter.name}
            filter={filter}
            value={choice.filters[filter.name] ?? null}
            onValue={(value) => setChoice((now) => ({ ...now, filters: withValue(now.filters, filter.name, value) }))}
          />
        ))}
        <Button
          variant="default"
          onClick={() => setRound((now) => now + 1)}
          title={typeof refresh === 'number' ? t('refresh_every', { time: duration(refresh * 1000) }) : undefined}
        >
          {t('refresh')}
        </Button>
        {refresh === 'live' && (
          <span className="live" role="status">
            <i className={live.open ? 'dot' : 'dot wait'} /> {t(live.open ? 'live' : 'live_lost')}
          </span>
        )}
        {choice.range !== 'all' && (
          <Checkbox
            className="compare"
            label={t('compare_previous')}
            checked={choice.compare}
            onChange={({ currentTarget: { checked } }) => setChoice((now) => ({ ...now, compare: checked }))}
          />
        )}
      </div>
      <TabBar tabs={tabs} tab={choice.tab} onTab={(tab) => setChoice((now) => ({ ...now, tab }))} />
      {marks.error !== null && <Problem trouble={marks.error} onRetry={marks.refresh} compact />}
      <div className="tiles">
        {dashboard.tiles.map(
          (tile, at) =>
            isOn(tile, choice.tab, tabs) && (
              <TileView
                // biome-ignore lint/suspicious/noArrayIndexKey: two tiles may have one title, and none moves while it is shown
                key={`${at} ${tile.title}`}
                tile={tile}
                choice={choice}
                round={round + (live.rounds.get(at) ?? 0)}
                every={typeof refresh === 'number' ? refresh * 1000 : null}
                marks={annotated}
                onPick={(meaning) => pick(tile, meaning)}
              />
            ),
        )}
      </div>
      {sharing && <Share name={name} dashboard={dashboard} choice={choice} onClose={() => setSharing(false)} />}
    </Page>
  );
}

/** What happened when, of the file's statement. */
function useMarks({ annotations }: Dashboard, choice: Seen): Live<QueryAnswer> {
  const sql = annotations ?? '';
  const values = valuesOf(choice, parametersOf(sql), today());
  return useLive(annotations === null ? null : JSON.stringify([sql, values]), (signal) =>
    askTogether({ ...statementOf(sql, values), limits: { rows: 1000 } }, signal),
  );
}

export function TabBar({ tabs, tab, onTab }: { tabs: readonly string[]; tab: string | null; onTab: (tab: string) => void }) {
  if (tabs.length < 2) return null;
  return (
    <Tabs value={tab !== null && tabs.includes(tab) ? tab : tabs[0]!} onChange={(next) => next !== null && onTab(next)} mb={16}>
      <Tabs.List>
        {tabs.map((each) => (
          <Tabs.Tab key={each} value={each}>
            {each}
          </Tabs.Tab>
        ))}
      </Tabs.List>
    </Tabs>
  );
}

function withValue(filters: Seen['filters'], name: string, value: string | null): Seen['filters'] {
  const { [name]: _, ...others } = filters;
  return value === null ? others : { ...others, [name]: value };
}

function Range({ choice, onChoice }: { choice: Seen; onChoice: (choice: Seen) => void }) {
  const { t } = useWords();
  const day = today();
  const choose = (range: string | null) => {
    if (range === 'custom') onChoice({ ...choice, range, from: choice.from || day, to: choice.to || day });
    else if (range !== null) onChoice({ ...choice, range: range as TimeRange, from: '', to: '' });
  };
  return (
    <>
      <Select
        label={t('range')}
        value={choice.range}
        onChange={choose}
        allowDeselect={false}
        w={160}
        data={[...timeRanges, 'custom' as const].map((value) => ({ value, label: t(`range_${value}`) }))}
      />
      {choice.range === 'custom' &&
        (['from', 'to'] as const).map((end) => (
          <label key={end} className="date">
            <span className="label">{t(end)}</span>
            <input
              type="date"
              value={choice[end]}
              onChange={(event) => event.currentTarget.value !== '' && onChoice({ ...choice, [end]: event.currentTarget.value })}
            />
          </label>
        ))}
    </>
  );
}

function FilterSelect({ filter, value, onValue }: { filter: Filter; value: string | null; onValue: (value: string | null) => void }) {
  const { t, said } = useWords();
  const values = useLive(filter.sql, (signal) => ask({ sql: filter.sql, limits: { rows: 1000 } }, signal));
  const options = useMemo(() => {
    const found = (values.data?.rows ?? []).flatMap(([cell]) => (cell === null || cell === undefined ? [] : [String(cell)]));
    return [...new Set(value === null ? found : [value, ...found])];
  }, [values.data, value]);
  return (
    <Select
      label={filter.title}
      placeholder={t('all')}
      value={value}
      onChange={onValue}
      clearable
      searchable={options.length > 8}
      w={200}
      data={options}
      error={values.error && said(values.error.body)}
      clearButtonProps={{ 'aria-label': t('all') }}
    />
  );
}
