import { Button, Modal, Select, TextInput } from '@mantine/core';
import { type FormEvent, useState } from 'react';
import { definitionOf, type Tile } from '#visualize';
import type { DashboardAnswer, DashboardsAnswer, SavedQueryAnswer } from '../../src/server/api.ts';
import { call, Trouble } from '../api.ts';
import { useLive } from '../live.ts';
import { go } from '../route.ts';
import { Problem } from '../states.tsx';
import { useWords } from '../words/index.tsx';

const fresh = '';
const dashboardPath = (name: string) => `/v1/dashboards/${encodeURIComponent(name)}`;
export const queryPath = (name: string) => `/v1/queries/${encodeURIComponent(name)}`;

/** A name for a file out of a title. Korean has no letters for it, so that a number stands in. */
function nameFrom(title: string, known: readonly string[]): string {
  const begin =
    title
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, '-')
      .replaceAll(/^[^a-z]+|-+$/g, '')
      .slice(0, 50) || 'dashboard';
  for (let n = 1; ; n++) {
    const name = n === 1 ? begin : `${begin}-${n}`;
    if (!known.includes(name)) return name;
  }
}

/** Puts a tile on a dashboard, or on a new one. Someone who saves at the same time loses nothing: the tile is put on theirs. */
export function SaveTile({ tile, title, onClose }: { tile: Tile; title: string; onClose: () => void }) {
  const { t } = useWords();
  const list = useLive('dashboards', (signal) => call<DashboardsAnswer>('GET', '/v1/dashboards', { signal }));
  const [name, setName] = useState<string>(fresh);
  const [words, setWords] = useState(title);
  const [trouble, setTrouble] = useState<Trouble | null>(null);
  const known = list.data?.dashboards ?? [];
  const save = async (event: FormEvent) => {
    event.preventDefault();
    const named = { ...tile, title: words };
    try {
      const at =
        name === fresh
          ? nameFrom(
              words,
              known.map((each) => each.name),
            )
          : name;
      if (name === fresh) await begin(at, words, named);
      else await add(at, named);
      go(`/dashboards/${at}`);
    } catch (thrown) {
      if (!(thrown instanceof Trouble)) throw thrown;
      setTrouble(thrown);
    }
  };
  return (
    <Modal opened onClose={onClose} title={t('save_tile')} closeButtonProps={{ 'aria-label': t('close') }}>
      <form className="stack" onSubmit={save}>
        <TextInput label={t('title')} value={words} onChange={({ currentTarget: { value } }) => setWords(value)} data-autofocus required />
        <Select
          label={t('dashboard')}
          allowDeselect={false}
          value={name}
          onChange={(next) => setName(next ?? fresh)}
          data={[
            { value: fresh, label: t('new_dashboard') },
            ...known.filter(({ error }) => error === null).map((each) => ({ value: each.name, label: each.title })),
          ]}
        />
        {trouble !== null && <Problem trouble={trouble} compact />}
        <Button type="submit" disabled={words.trim() === ''}>
          {t('save')}
        </Button>
      </form>
    </Modal>
  );
}

async function begin(name: string, title: string, tile: Tile): Promise<void> {
  const definition = definitionOf({ title, description: '', refresh: null, range: 'all', filters: [], annotations: null, tiles: [tile] });
  await call('PUT', dashboardPath(name), { body: { definition, version: null } });
}

async function add(name: string, tile: Tile): Promise<void> {
  for (let tries = 0; ; tries++) {
    const { dashboard, error, version } = await call<DashboardAnswer>('GET', dashboardPath(name));
    if (dashboard === null) throw new Trouble(error!, 400);
    const definition = definitionOf({ ...dashboard, tiles: [...dashboard.tiles, tile] });
    try {
      return await call('PUT', dashboardPath(name), { body: { definition, version } });
    } catch (thrown) {
      if (!(thrown instanceof Trouble) || thrown.body.code !== 'DASHBOARD_CHANGED' || tries === 3) throw thrown;
    }
  }
}

/** Saves a question as a file; `held` is the one that was opened, and is only replaced as it was read. */
export function SaveQuery({
  sql,
  held,
  onSaved,
  onClose,
}: {
  sql: string;
  held: SavedQueryAnswer | null;
  onSaved: (saved: SavedQueryAnswer) => void;
  onClose: () => void;
}) {
  const { t } = useWords();
  const [name, setName] = useState(held?.name ?? '');
  const [trouble, setTrouble] = useState<Trouble | null>(null);
  const save = async (event: FormEvent) => {
    event.preventDefault();
    try {
      const version = held !== null && held.name === name ? held.version : null;
      onSaved(await call<SavedQueryAnswer>('PUT', queryPath(name), { body: { sql, version } }));
    } catch (thrown) {
      if (!(thrown instanceof Trouble)) throw thrown;
      setTrouble(thrown);
    }
  };
  return (
    <Modal opened onClose={onClose} title={t('save_query')} closeButtonProps={{ 'aria-label': t('close') }}>
      <form className="stack" onSubmit={save}>
        <p className="faint small">{t('save_query_lead')}</p>
        <TextInput
          label={t('dashboard_name')}
          value={name}
          onChange={({ currentTarget: { value } }) => setName(value)}
          data-autofocus
          required
        />
        {trouble !== null && <Problem trouble={trouble} compact />}
        {trouble?.body.code === 'SAVED_CHANGED' && <p className="warn">{t('save_query_conflict')}</p>}
        <Button type="submit" disabled={name === ''}>
          {t('save')}
        </Button>
      </form>
    </Modal>
  );
}
