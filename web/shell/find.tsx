import { Modal, TextInput, useMantineColorScheme } from '@mantine/core';
import { type KeyboardEvent, useState } from 'react';
import type {
  AnswersAnswer,
  CatalogAnswer,
  DashboardsAnswer,
  MetricsAnswer,
  ModelsAnswer,
  SavedQueriesAnswer,
} from '../../src/server/api.ts';
import { call } from '../api.ts';
import { useLive } from '../live.ts';
import { go } from '../route.ts';
import { useWords, type Word } from '../words/index.tsx';
import { chooseFile } from './drop.tsx';
import { useReturnedFocus } from './returned-focus.ts';

interface Target {
  readonly name: string;
  readonly kind: Word;
  readonly path: string;
  /** A second name by which it is found. */
  readonly also?: string;
  /** Done instead of going there. */
  readonly act?: () => void;
}

/** Goes to any page, table, column, topic, metric, answer, model, saved question or dashboard by a part of its name, or does something. */
export default function Find({ onClose }: { onClose: () => void }) {
  const { t } = useWords();
  useReturnedFocus();
  return (
    <Modal
      opened
      onClose={onClose}
      returnFocus={false}
      withCloseButton={false}
      padding={0}
      size={560}
      yOffset="12vh"
      attributes={{ content: { 'aria-label': t('find') } }}
    >
      <Targets onGo={onClose} />
    </Modal>
  );
}

function Targets({ onGo }: { onGo: () => void }) {
  const { t } = useWords();
  const [text, setText] = useState('');
  const [at, setAt] = useState(0);
  const found = matching(useTargets(), text).slice(0, 12);
  const choose = (target: Target | undefined) => {
    if (target === undefined) return;
    onGo();
    if (target.act === undefined) go(target.path);
    else target.act();
  };
  const press = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    if (event.key === 'Enter') choose(found[at]);
    const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    if (step === 0) return;
    event.preventDefault();
    setAt(Math.max(0, Math.min(found.length - 1, at + step)));
  };
  return (
    <>
      <TextInput
        className="find-input"
        size="lg"
        variant="unstyled"
        data-autofocus
        placeholder={t('find_hint')}
        aria-label={t('find_hint')}
        role="combobox"
        aria-expanded
        aria-controls="find-list"
        aria-activedescendant={found[at] === undefined ? undefined : `find-${at}`}
        value={text}
        onChange={(event) => {
          setText(event.currentTarget.value);
          setAt(0);
        }}
        onKeyDown={press}
      />
      <div id="find-list" role="listbox" aria-label={t('find')} className="find-list">
        {found.map((target, k) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are the input's
          <div
            key={`${target.kind} ${target.path} ${target.name}`}
            id={`find-${k}`}
            role="option"
            tabIndex={-1}
            aria-selected={k === at}
            className="find-option"
            onClick={() => choose(target)}
            onMouseMove={() => setAt(k)}
          >
            <span>{target.name}</span>
            <span className="faint">
              {target.kind === 'find_column' && `${target.also} · `}
              {t(target.kind)}
            </span>
          </div>
        ))}
      </div>
      {found.length === 0 && <p className="find-none faint">{t('find_nothing')}</p>}
    </>
  );
}

function useTargets(): Target[] {
  const { t, inWords } = useWords();
  const catalog = useLive('catalog', (signal) => call<CatalogAnswer>('GET', '/v1/catalog', { signal })).data;
  const dashboards = useLive('dashboards', (signal) => call<DashboardsAnswer>('GET', '/v1/dashboards', { signal })).data;
  const metrics = useLive('metrics', (signal) => call<MetricsAnswer>('GET', '/v1/metrics', { signal })).data;
  const answers = useLive('answers', (signal) => call<AnswersAnswer>('GET', '/v1/answers', { signal })).data;
  const models = useLive('models', (signal) => call<ModelsAnswer>('GET', '/v1/models', { signal })).data;
  const questions = useLive('queries', (signal) => call<SavedQueriesAnswer>('GET', '/v1/queries', { signal })).data;
  const { setColorScheme } = useMantineColorScheme();
  const command = (word: Word, act: () => void): Target => ({ name: t(word), kind: 'find_command', path: word, act });
  const tablePath = (schema: string, name: string) => `/data/${encodeURIComponent(schema)}/${encodeURIComponent(name)}`;
  const page = (word: Word, path: string): Target => ({ name: t(word), kind: 'find_page', path });
  return [
    page('home', '/'),
    page('data', '/data'),
    page('ask', '/ask'),
    page('dashboards', '/dashboards'),
    page('answers', '/answers'),
    page('models', '/models'),
    page('admin', '/admin'),
    ...(dashboards?.dashboards ?? []).map(
      ({ name, title }): Target => ({ name: title, kind: 'find_dashboard', path: `/dashboards/${name}` }),
    ),
    ...(catalog?.tables ?? []).map(
      ({ schema, name }): Target => ({
        name: `${schema}.${name}`,
        kind: 'find_table',
        path: tablePath(schema, name),
      }),
    ),
    ...(catalog?.topics ?? []).map(({ name }): Target => ({ name, kind: 'find_topic', path: `/data/topics/${name}` })),
    ...(metrics?.metrics ?? []).map(
      ({ name, title }): Target => ({
        name: title,
        also: name,
        kind: 'find_metric',
        path: `/ask#${new URLSearchParams({ metric: name })}`,
      }),
    ),
    ...(answers?.answers ?? []).map(
      (answer): Target => ({ name: inWords(answer).title, also: answer.name, kind: 'find_answer', path: `/answers/${answer.name}` }),
    ),
    ...(models?.models ?? []).map(({ name }): Target => ({ name, kind: 'find_model', path: `/models/${encodeURIComponent(name)}` })),
    ...(questions?.queries ?? []).map(
      ({ name, title }): Target => ({
        name: title,
        also: name,
        kind: 'find_question',
        path: `/ask#${new URLSearchParams({ query: name })}`,
      }),
    ),
    command('first_load', chooseFile),
    command('find_ask_sql', () => go('/ask#sql=SELECT')),
    command('find_light', () => setColorScheme('light')),
    command('find_dark', () => setColorScheme('dark')),
    // Last, since there are many: what else has the name comes before its columns.
    ...(catalog?.tables ?? [])
      .filter(({ origin }) => origin !== 'system')
      .flatMap(({ schema, name, columns }) =>
        columns.map(
          (column): Target => ({ name: column.name, also: `${schema}.${name}`, kind: 'find_column', path: tablePath(schema, name) }),
        ),
      ),
  ];
}

/** Those whose name holds all typed words; what begins with the text comes first. */
function matching(targets: readonly Target[], text: string): Target[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const own = ({ name }: Target) => words.length === 0 || words.some((word) => name.toLowerCase().includes(word));
  const holds = targets.filter(
    (target) => own(target) && words.every((word) => `${target.name} ${target.also ?? ''}`.toLowerCase().includes(word)),
  );
  const begins = ({ name }: Target) => (name.toLowerCase().startsWith(words[0] ?? '') ? 0 : 1);
  return holds.sort((a, b) => begins(a) - begins(b));
}
