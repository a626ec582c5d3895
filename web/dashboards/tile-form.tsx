import { Button, Modal, MultiSelect, SegmentedControl, Select, Textarea, TextInput } from '@mantine/core';
import { useMemo, useState } from 'react';
import {
  type Dashboard,
  ownParameters,
  parametersOf,
  pick,
  rolesOf,
  sqlOf,
  asked as statementOf,
  type Tile,
  usualSize,
  valuesOf,
} from '#visualize';
import type { AnswersAnswer, CatalogAnswer, DashboardsAnswer, QueryAnswer } from '../../src/server/api.ts';
import { ask, call, Trouble } from '../api.ts';
import { Editor } from '../ask/editor.tsx';
import { Chart, isBlank } from '../chart/chart.tsx';
import { ChartPicker } from '../chart/picker.tsx';
import { useLive } from '../live.ts';
import { Problem } from '../states.tsx';
import { useWords } from '../words/index.tsx';
import { today } from '../zone.ts';
import { readChoice, tabsOf } from './parameters.ts';
import { newSource, SourceForm, sourceKinds } from './source-form.tsx';

interface Props {
  readonly tile: Tile | null;
  readonly dashboard: Dashboard;
  readonly tab: string | null;
  onTile(tile: Tile): void;
  onClose(): void;
}

/** A tile's statement and how it is drawn, with what comes of it. */
export function TileForm({ tile, dashboard, tab, onTile, onClose }: Props) {
  const { t } = useWords();
  const [next, setNext] = useState<Tile>(tile ?? newTile(tab));
  const [answer, setAnswer] = useState<QueryAnswer | null>(null);
  const [trouble, setTrouble] = useState<Trouble | null>(null);
  const set = (part: Partial<Tile>) => setNext((held) => ({ ...held, ...part }));
  const isText = next.text !== null;
  const spec = useMemo(() => next.chart ?? (answer === null ? null : pick(answer)), [next.chart, answer]);
  const names = answer?.columns.map(({ name }) => name) ?? [];
  const numeric = answer === null ? [] : answer.columns.filter((_, at) => rolesOf(answer)[at] === 'measure').map(({ name }) => name);
  const others = useLive('dashboards', (signal) => call<DashboardsAnswer>('GET', '/v1/dashboards', { signal }));
  const run = async () => {
    const sql = next.sql ?? '';
    try {
      const params = valuesOf(readChoice(dashboard, '', []), parametersOf(sql), today());
      setAnswer(await ask({ ...statementOf(sql, params), limits: { rows: 5000 } }));
      setTrouble(null);
    } catch (thrown) {
      if (!(thrown instanceof Trouble)) throw thrown;
      setAnswer(null);
      setTrouble(thrown);
    }
  };
  const draw = (kind: string) => set({ chart: { ...next.chart, kind }, ...(tile === null ? usualSize(kind, false) : {}) });
  const encode = (key: 'x' | 'series', value: string | null) => {
    const { [key]: _, ...rest } = { kind: spec?.kind ?? 'table', ...next.chart };
    set({ chart: value === null ? rest : { ...rest, [key]: value } });
  };
  return (
    <Modal
      opened
      onClose={onClose}
      title={t(tile === null ? 'add_tile' : 'edit_tile')}
      size={920}
      closeOnClickOutside={false}
      // Escape is also how the editor's completions are closed.
      closeOnEscape={false}
      closeButtonProps={{ 'aria-label': t('close') }}
    >
      <div className="stack">
        {tile === null && (
          <SegmentedControl
            className="tile-kinds"
            value={isText ? 'text' : (next.source?.kind ?? 'sql')}
            onChange={(kind) => {
              setAnswer(null);
              if (kind === 'text') set({ text: '', sql: null, source: null, chart: null, ...usualSize(null, true), width: 12 });
              else {
                const source = sourceKinds.find((each) => each === kind);
                set({ ...newTile(tab), title: next.title, source: source === undefined ? null : newSource(source) });
              }
            }}
            data={[
              { value: 'sql', label: t('tile_figures') },
              ...sourceKinds.map((value) => ({ value, label: t(`tile_${value}`) })),
              { value: 'text', label: t('tile_text') },
            ]}
          />
        )}
        <div className="two">
          <TextInput
            label={t('title')}
            value={next.title}
            onChange={({ currentTarget: { value } }) => set({ title: value })}
            data-autofocus
          />
          <TextInput
            label={t('tab')}
            placeholder={t('tab_hint')}
            value={next.tab ?? ''}
            list="tabs-known"
            onChange={({ currentTarget: { value } }) => set({ tab: value || null })}
          />
          <datalist id="tabs-known">
            {tabsOf(dashboard).map((each) => (
              <option key={each} value={each} />
            ))}
          </datalist>
        </div>
        {isText ? (
          <Textarea
            label={t('tile_text')}
            value={next.text!}
            onChange={({ currentTarget: { value } }) => set({ text: value })}
            autosize
            minRows={4}
          />
        ) : (
          <>
            {next.source !== null ? (
              <>
                <SourceForm
                  source={next.source}
                  onSource={(source) => {
                    setAnswer(null);
                    set({ source, sql: source.name === '' ? '' : sqlOf(source) });
                  }}
                />
                <div className="end-row">
                  <Button variant="default" onClick={run} disabled={(next.sql ?? '').trim() === ''}>
                    {t('run')}
                  </Button>
                </div>
              </>
            ) : (
              <Written sql={next.sql ?? ''} dashboard={dashboard} onSql={(sql) => set({ sql })} onRun={run} />
            )}
            {trouble !== null && <Problem trouble={trouble} compact />}
            {answer !== null && spec !== null && (
              <>
                <div className="filters">
                  <div>
                    <span className="label">{t('chart_kind')}</span>
                    <ChartPicker data={answer} kind={spec.kind} onKind={draw} />
                  </div>
                  <Select
                    label={t('chart_x')}
                    clearable
                    placeholder={t('auto_choice')}
                    value={next.chart?.x ?? null}
                    onChange={(value) => encode('x', value)}
                    data={names}
                    w={150}
                    clearButtonProps={{ 'aria-label': t('auto_choice') }}
                  />
                  <Select
                    label={t('chart_series')}
                    clearable
                    placeholder={t('auto_choice')}
                    value={next.chart?.series ?? null}
                    onChange={(value) => encode('series', value)}
                    data={names}
                    w={150}
                    clearButtonProps={{ 'aria-label': t('auto_choice') }}
                  />
                  <TextInput
                    label={t('chart_unit')}
                    w={90}
                    value={next.chart?.unit ?? ''}
                    maxLength={12}
                    onChange={({ currentTarget: { value } }) => {
                      const { unit: _, ...rest } = { kind: spec.kind, ...next.chart };
                      set({ chart: value === '' ? rest : { ...rest, unit: value } });
                    }}
                  />
                  {dashboard.filters.length > 0 && (
                    <Select
                      label={t('tile_filter')}
                      clearable
                      placeholder={t('none')}
                      value={next.filter}
                      onChange={(filter) => set({ filter, ...(filter === null && { drill: null }) })}
                      data={dashboard.filters.map(({ name, title }) => ({ value: name, label: title }))}
                      w={170}
                      clearButtonProps={{ 'aria-label': t('none') }}
                    />
                  )}
                  {next.filter !== null && (
                    <Select
                      label={t('tile_drill')}
                      clearable
                      placeholder={t('none')}
                      value={next.drill}
                      onChange={(drill) => set({ drill })}
                      data={(others.data?.dashboards ?? []).map(({ name, title }) => ({ value: name, label: title }))}
                      w={190}
                      clearButtonProps={{ 'aria-label': t('none') }}
                    />
                  )}
                  {spec.kind === 'table' && (
                    <MultiSelect
                      label={t('tile_shade')}
                      value={[...(next.chart?.shade ?? [])]}
                      onChange={(shade) => {
                        const { shade: _, ...rest } = { kind: spec.kind, ...next.chart };
                        set({ chart: shade.length === 0 ? rest : { ...rest, shade } });
                      }}
                      data={numeric}
                      w={220}
                    />
                  )}
                </div>
                <div className="tile-preview">
                  {isBlank(answer) ? (
                    <p className="faint">{t('result_none')}</p>
                  ) : (
                    <Chart spec={spec} data={answer} label={next.title || t('as_chart')} />
                  )}
                </div>
              </>
            )}
          </>
        )}
        <div className="end-row">
          <Button onClick={() => onTile(next)} disabled={isText ? next.text!.trim() === '' : (next.sql ?? '').trim() === ''}>
            {t('apply')}
          </Button>
        </div>
      </div>
    </Modal>
  );
}

/** A statement of one's own, begun from an answer or a table. */
function Written({ sql, dashboard, onSql, onRun }: { sql: string; dashboard: Dashboard; onSql: (sql: string) => void; onRun: () => void }) {
  const { t, inWords } = useWords();
  const catalog = useLive('catalog', (signal) => call<CatalogAnswer>('GET', '/v1/catalog', { signal }));
  const answers = useLive('answers', (signal) => call<AnswersAnswer>('GET', '/v1/answers', { signal }));
  const tables = catalog.data?.tables ?? [];
  return (
    <>
      <Select
        label={t('tile_from')}
        placeholder={t('tile_from_hint')}
        value={null}
        searchable
        onChange={(begun) => begun !== null && onSql(begun)}
        data={[
          {
            group: t('answers'),
            items: (answers.data?.answers ?? []).map((each) => ({
              value: `SELECT * FROM answers.${each.name}()`,
              label: inWords(each).title,
            })),
          },
          {
            group: t('data'),
            items: tables
              .filter(({ origin }) => origin !== 'system')
              .map(({ schema, name }) => ({ value: `SELECT * FROM ${schema}.${name} LIMIT 1000`, label: `${schema}.${name}` })),
          },
        ]}
      />
      <div className="ask-editor">
        <Editor
          value={sql}
          onChange={onSql}
          onRun={onRun}
          label={t('editor')}
          hint="SELECT … WHERE day >= $from::DATE AND day < $to::DATE"
          tables={tables}
          mark={null}
        />
        <div className="ask-bar">
          <span className="faint small">
            {t('tile_parameters', {
              names: [...ownParameters, ...dashboard.filters.map(({ name }) => name)].map((name) => `$${name}`).join(', '),
            })}
          </span>
          <Button variant="default" onClick={onRun} disabled={sql.trim() === ''}>
            {t('run')}
          </Button>
        </div>
      </div>
    </>
  );
}

/** A tile that has just begun. */
const newTile = (tab: string | null): Tile => ({
  title: '',
  ...usualSize(null, false),
  sql: '',
  source: null,
  text: null,
  chart: null,
  tab,
  filter: null,
  drill: null,
});
