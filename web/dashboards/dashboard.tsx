import { Button, Modal, Select, Textarea } from '@mantine/core';
import { useEffect, useMemo, useState } from 'react';
import { type Dashboard, type Filter, type TimeRange, timeRanges } from '#visualize';
import type { DashboardAnswer, SessionAnswer } from '../../src/server/api.ts';
import { ask, call, Trouble } from '../api.ts';
import { useLive } from '../live.ts';
import { Page, Placeholder, Problem } from '../states.tsx';
import { useWords } from '../words/index.tsx';
import { type Choice, readChoice, writeChoice } from './parameters.ts';
import { TileView } from './tile.tsx';

export default function DashboardPage({ name, who }: { name: string; who: SessionAnswer }) {
  const { t } = useWords();
  const file = useLive(name, (signal) => call<DashboardAnswer>('GET', `/v1/dashboards/${encodeURIComponent(name)}`, { signal }));
  const [editing, setEditing] = useState(false);
  const edit = who.role !== 'viewer' && (
    <Button variant="default" onClick={() => setEditing(true)}>
      {t('edit')}
    </Button>
  );
  if (file.data === null) return file.error === null ? <Placeholder /> : <Problem trouble={file.error} onRetry={file.refresh} />;
  const { dashboard, error, version } = file.data;
  return (
    <>
      {dashboard === null ? (
        <Page title={name} action={edit}>
          <h2>{t('broken_file')}</h2>
          <Problem trouble={new Trouble(error!, 400)} onRetry={file.refresh} />
        </Page>
      ) : (
        <Shown key={version} dashboard={dashboard} edit={edit} />
      )}
      <Modal
        opened={editing}
        onClose={() => setEditing(false)}
        title={`dashboards/${name}.yaml`}
        size={860}
        closeButtonProps={{ 'aria-label': t('close') }}
      >
        <Editing
          file={file.data}
          onSaved={() => {
            setEditing(false);
            file.refresh();
          }}
        />
      </Modal>
    </>
  );
}

function Shown({ dashboard, edit }: { dashboard: Dashboard; edit: React.ReactNode }) {
  const { t, duration } = useWords();
  const [choice, setChoice] = useState(() => readChoice(dashboard, location.search, timeRanges));
  const [round, setRound] = useState(0);
  useEffect(() => history.replaceState(null, '', location.pathname + writeChoice(choice)), [choice]);
  const { refresh } = dashboard;
  return (
    <Page title={dashboard.title} lead={dashboard.description} action={edit}>
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
          title={refresh === null ? undefined : t('refresh_every', { time: duration(refresh * 1000) })}
        >
          {t('refresh')}
        </Button>
      </div>
      <div className="tiles">
        {dashboard.tiles.map((tile, at) => (
          <TileView
            // biome-ignore lint/suspicious/noArrayIndexKey: two tiles may have one title, and none moves while it is shown
            key={`${at} ${tile.title}`}
            tile={tile}
            choice={choice}
            round={round}
            every={refresh === null ? null : refresh * 1000}
          />
        ))}
      </div>
    </Page>
  );
}

function withValue(filters: Choice['filters'], name: string, value: string | null): Choice['filters'] {
  const { [name]: _, ...others } = filters;
  return value === null ? others : { ...others, [name]: value };
}

function Range({ choice, onChoice }: { choice: Choice; onChoice: (choice: Choice) => void }) {
  const { t } = useWords();
  const today = new Date().toISOString().slice(0, 10);
  const choose = (range: string | null) => {
    if (range === 'custom') onChoice({ ...choice, range, from: choice.from || today, to: choice.to || today });
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
  const { t } = useWords();
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
      error={values.error?.body.message}
      clearButtonProps={{ 'aria-label': t('all') }}
    />
  );
}

/** The file as text. What is typed stays when saving fails. */
function Editing({ file, onSaved }: { file: DashboardAnswer; onSaved: () => void }) {
  const { t } = useWords();
  const [text, setText] = useState(file.text);
  const [version] = useState(file.version);
  const [trouble, setTrouble] = useState<Trouble | null>(null);
  const save = async () => {
    try {
      await call<DashboardAnswer>('PUT', `/v1/dashboards/${file.name}`, { body: { text, version } });
      onSaved();
    } catch (thrown) {
      if (!(thrown instanceof Trouble)) throw thrown;
      setTrouble(thrown);
    }
  };
  return (
    <div className="stack">
      <Textarea
        aria-label={`dashboards/${file.name}.yaml`}
        value={text}
        onChange={(event) => setText(event.currentTarget.value)}
        rows={22}
        spellCheck={false}
        styles={{ input: { fontFamily: 'var(--mono)', fontSize: 13, lineHeight: '20px' } }}
      />
      {trouble !== null && <Problem trouble={trouble} compact />}
      {trouble?.body.code === 'DASHBOARD_CHANGED' && <p className="warn">{t('save_conflict')}</p>}
      <div className="end-row">
        {text !== file.text && <span className="faint small">{t('unsaved')}</span>}
        <Button onClick={save} disabled={text === file.text}>
          {t('save')}
        </Button>
      </div>
    </div>
  );
}
