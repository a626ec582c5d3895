import { Modal, TextInput } from '@mantine/core';
import { type KeyboardEvent, useEffect, useState } from 'react';
import type { CatalogAnswer, DashboardsAnswer } from '../../src/server/api.ts';
import { call } from '../api.ts';
import { useLive } from '../live.ts';
import { go } from '../route.ts';
import { useWords, type Word } from '../words/index.tsx';

interface Target {
  readonly name: string;
  readonly kind: Word;
  readonly path: string;
}

/** ⌘K or Ctrl-K: goes to any page, table, topic or dashboard by a part of its name. */
export function Find({ open, onOpen }: { open: boolean; onOpen: (open: boolean) => void }) {
  useEffect(() => {
    const press = (event: globalThis.KeyboardEvent) => {
      if (event.key !== 'k' || !(event.metaKey || event.ctrlKey)) return;
      event.preventDefault();
      onOpen(true);
    };
    window.addEventListener('keydown', press);
    return () => window.removeEventListener('keydown', press);
  }, [onOpen]);
  const { t } = useWords();
  return (
    <Modal
      opened={open}
      onClose={() => onOpen(false)}
      withCloseButton={false}
      padding={0}
      size={560}
      yOffset="12vh"
      attributes={{ content: { 'aria-label': t('find') } }}
    >
      <Targets onGo={() => onOpen(false)} />
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
    go(target.path);
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
            key={target.path}
            id={`find-${k}`}
            role="option"
            tabIndex={-1}
            aria-selected={k === at}
            className="find-option"
            onClick={() => choose(target)}
            onMouseMove={() => setAt(k)}
          >
            <span>{target.name}</span>
            <span className="faint">{t(target.kind)}</span>
          </div>
        ))}
      </div>
      {found.length === 0 && <p className="find-none faint">{t('find_nothing')}</p>}
    </>
  );
}

function useTargets(): Target[] {
  const { t } = useWords();
  const catalog = useLive('catalog', (signal) => call<CatalogAnswer>('GET', '/v1/catalog', { signal })).data;
  const dashboards = useLive('dashboards', (signal) => call<DashboardsAnswer>('GET', '/v1/dashboards', { signal })).data;
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
        path: `/data/${encodeURIComponent(schema)}/${encodeURIComponent(name)}`,
      }),
    ),
    ...(catalog?.topics ?? []).map(({ name }): Target => ({ name, kind: 'find_topic', path: `/data/topics/${name}` })),
  ];
}

/** Those whose name holds all typed words; what begins with the text comes first. */
function matching(targets: readonly Target[], text: string): Target[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const holds = targets.filter(({ name }) => words.every((word) => name.toLowerCase().includes(word)));
  const begins = ({ name }: Target) => (name.toLowerCase().startsWith(words[0] ?? '') ? 0 : 1);
  return holds.sort((a, b) => begins(a) - begins(b));
}
