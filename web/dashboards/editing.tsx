import { Button, Checkbox, Menu, Modal, NumberInput, Select, Textarea, TextInput } from '@mantine/core';
import { type KeyboardEvent, type PointerEvent, useCallback, useEffect, useRef, useState } from 'react';
import { type Dashboard, definitionOf, mergeDashboards, same, type Tile, type TimeRange, timeRanges } from '#visualize';
import { Trouble, troubled } from '../api.ts';
import { icons } from '../shell/icons.tsx';
import { Page, Problem } from '../states.tsx';
import { useWords } from '../words/index.tsx';
import { type Draft, keptDraft, keyOf } from './draft.ts';
import { newestFile, saveFile } from './file.ts';
import { isOn, moved, readChoice, tabsOf } from './parameters.ts';
import { TileView } from './tile.tsx';
import { TileForm } from './tile-form.tsx';

type Conflict = { theirs: Dashboard; version: string; merged: Dashboard; titles: readonly string[] };

/** The dashboard, edited where it stands. Every step can be undone; saving never overwrites what someone else saved meanwhile. */
export default function Editing({ name, base, version, onDone }: { name: string; base: Dashboard; version: string; onDone: () => void }) {
  const { t } = useWords();
  const [draft, setDraft] = useState<Draft>(() => keptDraft(name) ?? { base, version, now: base });
  const [past, setPast] = useState<readonly Dashboard[]>([]);
  const [future, setFuture] = useState<readonly Dashboard[]>([]);
  const [open, setOpen] = useState<number | 'new' | 'settings' | null>(null);
  const [trouble, setTrouble] = useState<Trouble | null>(null);
  const [conflict, setConflict] = useState<Conflict | null>(null);
  const [met, setMet] = useState<'save_joined' | 'save_removed' | null>(null);
  const { now } = draft;
  const changed = !same(now, draft.base);
  useEffect(() => {
    if (changed) sessionStorage.setItem(keyOf(name), JSON.stringify(draft));
    else sessionStorage.removeItem(keyOf(name));
  }, [draft, changed, name]);
  const change = (next: Dashboard) => {
    setPast((list) => [...list, now].slice(-100));
    setFuture([]);
    setDraft({ ...draft, now: next });
  };
  const step = useCallback(
    (from: readonly Dashboard[], set: typeof setPast, other: typeof setPast) => {
      const last = from.at(-1);
      if (last === undefined) return;
      set(from.slice(0, -1));
      other((list) => [...list, now]);
      setDraft((held) => ({ ...held, now: last }));
    },
    [now],
  );
  const undo = () => step(past, setPast, setFuture);
  const redo = () => step(future, setFuture, setPast);
  const onKey = (event: KeyboardEvent) => {
    if (event.key.toLowerCase() !== 'z' || !(event.metaKey || event.ctrlKey) || open !== null) return;
    event.preventDefault();
    if (event.shiftKey) redo();
    else undo();
  };
  const leave = () => {
    sessionStorage.removeItem(keyOf(name));
    onDone();
  };
  const save = (what = now, on = draft.version) =>
    troubled(setTrouble, async () => {
      try {
        await saveFile(name, { definition: definitionOf(what) }, on);
        leave();
      } catch (thrown) {
        if (!(thrown instanceof Trouble) || thrown.body.code !== 'DASHBOARD_CHANGED') throw thrown;
        await meet(what);
      }
    });
  /** Someone saved meanwhile: what touches different parts is joined; what does not is asked. */
  const meet = async (mine: Dashboard) => {
    const theirs = await newestFile(name);
    setTrouble(null);
    if (theirs === null) {
      setDraft({ ...draft, now: mine, version: null });
      return setMet('save_removed');
    }
    if (theirs.dashboard === null) throw new Trouble(theirs.error!, 400);
    const { dashboard, conflicts } = mergeDashboards(draft.base, mine, theirs.dashboard);
    if (conflicts.length > 0)
      return setConflict({ theirs: theirs.dashboard, version: theirs.version, merged: dashboard, titles: conflicts });
    setPast((list) => [...list, now]);
    setDraft({ base: theirs.dashboard, version: theirs.version, now: dashboard });
    setMet('save_joined');
  };
  const choice = readChoice(now, '', timeRanges);
  const tabs = tabsOf(now);
  const [tab, setTab] = useState<string | null>(null);
  const setTile = (at: number, tile: Tile) => change({ ...now, tiles: now.tiles.with(at, tile) });
  const move = (at: number, by: number) => {
    const tiles = moved(now.tiles, at, by);
    if (tiles !== now.tiles) change({ ...now, tiles });
  };
  const keys = keysOf(now.tiles);
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the keys of undo and redo, wherever the focus is
    <div onKeyDown={onKey}>
      <Page
        title={now.title}
        lead={now.description}
        action={
          <div className="page-actions" role="toolbar" aria-label={t('edit')}>
            <Button variant="default" onClick={undo} disabled={past.length === 0} aria-label={t('undo')} px={12}>
              ↶
            </Button>
            <Button variant="default" onClick={redo} disabled={future.length === 0} aria-label={t('redo')} px={12}>
              ↷
            </Button>
            <Button variant="default" onClick={() => setOpen('settings')}>
              {t('dashboard_settings')}
            </Button>
            <Button variant="default" onClick={() => setOpen('new')}>
              {t('add_tile')}
            </Button>
            <Button variant="default" onClick={leave}>
              {t('discard')}
            </Button>
            <Button onClick={() => save()} disabled={!changed}>
              {t('save')}
            </Button>
          </div>
        }
      >
        <p className="small faint edit-hint" role="status">
          {t(met ?? 'edit_hint')}
        </p>
        {trouble !== null && <Problem trouble={trouble} />}
        {tabs.length > 1 && (
          <div className="reasons">
            {tabs.map((each) => (
              <button key={each} type="button" aria-pressed={each === (tab ?? tabs[0])} onClick={() => setTab(each)}>
                {each}
              </button>
            ))}
          </div>
        )}
        <div className="tiles editing">
          {now.tiles.map(
            (tile, at) =>
              isOn(tile, tab, tabs) && (
                <TileView
                  key={keys[at]}
                  tile={tile}
                  choice={choice}
                  round={0}
                  every={null}
                  items={
                    <>
                      <Menu.Item onClick={() => setOpen(at)}>{t('edit')}</Menu.Item>
                      <Menu.Item onClick={() => change({ ...now, tiles: now.tiles.toSpliced(at + 1, 0, tile) })}>
                        {t('duplicate')}
                      </Menu.Item>
                      {now.tiles.length > 1 && (
                        <Menu.Item onClick={() => change({ ...now, tiles: now.tiles.toSpliced(at, 1) })}>{t('remove')}</Menu.Item>
                      )}
                      <Menu.Divider />
                    </>
                  }
                  tools={
                    <Handles
                      tile={tile}
                      onMove={(by) => move(at, by)}
                      onSize={(width, height) => setTile(at, { ...tile, width, height })}
                    />
                  }
                />
              ),
          )}
        </div>
      </Page>
      {open === 'settings' && (
        <Settings
          dashboard={now}
          onClose={() => setOpen(null)}
          onChange={(next) => {
            change(next);
            setOpen(null);
          }}
        />
      )}
      {open !== null && open !== 'settings' && (
        <TileForm
          tile={open === 'new' ? null : now.tiles[open]!}
          dashboard={now}
          tab={tab}
          onClose={() => setOpen(null)}
          onTile={(tile) => {
            if (open === 'new') change({ ...now, tiles: [...now.tiles, tile] });
            else setTile(open, tile);
            setOpen(null);
          }}
        />
      )}
      <Modal
        opened={conflict !== null}
        onClose={() => setConflict(null)}
        title={t('conflict')}
        closeButtonProps={{ 'aria-label': t('close') }}
      >
        {conflict !== null && (
          <div className="stack">
            <p>{t('conflict_lead')}</p>
            <ul className="plain-list">
              {conflict.titles.map((title) => (
                <li key={title}>{title}</li>
              ))}
            </ul>
            <Button
              onClick={() => {
                setConflict(null);
                save(conflict.merged, conflict.version);
              }}
            >
              {t('conflict_mine')}
            </Button>
            <Button variant="default" onClick={leave}>
              {t('conflict_theirs')}
            </Button>
          </div>
        )}
      </Modal>
    </div>
  );
}

/** What a tile is known by while others move around it, so that what has the focus keeps it; of several alike each has its number. */
function keysOf(tiles: readonly Tile[]): string[] {
  const seen = new Map<string, number>();
  return tiles.map(({ title, sql, text }) => {
    const name = JSON.stringify([title, sql, text]);
    const n = (seen.get(name) ?? 0) + 1;
    seen.set(name, n);
    return `${name} ${n}`;
  });
}

/** Moves and resizes a tile, by pointer and by arrow keys. */
function Handles({
  tile,
  onMove,
  onSize,
}: {
  tile: Tile;
  /** By so many places among the tiles in sight. */
  onMove: (by: number) => void;
  onSize: (width: number, height: number) => void;
}) {
  const { t } = useWords();
  const from = useRef<{ x: number; y: number; cell: { x: number; y: number } } | null>(null);
  const [size, setSize] = useState<{ width: number; height: number } | null>(null);
  const label = tile.title || (tile.text ?? '').slice(0, 40);
  const clamp = (value: number, most: number) => Math.max(1, Math.min(most, Math.round(value)));
  const sized = (event: PointerEvent) => {
    const { x, y, cell } = from.current!;
    return { width: clamp(tile.width + (event.clientX - x) / cell.x, 12), height: clamp(tile.height + (event.clientY - y) / cell.y, 20) };
  };
  const begin = (event: PointerEvent<HTMLElement>) => {
    event.preventDefault();
    event.currentTarget.setPointerCapture(event.pointerId);
    const grid = event.currentTarget.closest('.tiles')!;
    const style = getComputedStyle(grid);
    const gap = Number.parseFloat(style.columnGap) || 0;
    from.current = {
      x: event.clientX,
      y: event.clientY,
      cell: { x: (grid.clientWidth + gap) / 12, y: (Number.parseFloat(style.gridAutoRows) || 64) + gap },
    };
  };
  /** Where the tile would go, marked until the next place or the end. */
  const over = useRef<Element | null>(null);
  const mark = (target: Element | null) => {
    if (over.current === target) return;
    over.current?.removeAttribute('data-drop');
    target?.setAttribute('data-drop', '');
    over.current = target;
  };
  const under = (event: PointerEvent<HTMLElement>) =>
    document
      .elementsFromPoint(event.clientX, event.clientY)
      .map((element) => element.closest('[data-tile]'))
      .find((element) => element !== null && element !== event.currentTarget.closest('[data-tile]')) ?? null;
  const end = () => {
    from.current = null;
    mark(null);
    setSize(null);
  };
  const drop = (event: PointerEvent<HTMLElement>) => {
    if (from.current === null) return;
    end();
    const target = under(event);
    if (target === null) return;
    const all = [...event.currentTarget.closest('.tiles')!.querySelectorAll('[data-tile]')];
    const own = all.indexOf(event.currentTarget.closest('[data-tile]')!);
    onMove(all.indexOf(target) - own);
  };
  const arrows = (event: KeyboardEvent, act: (x: number, y: number) => void) => {
    const x = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0;
    const y = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    if (x === 0 && y === 0) return;
    event.preventDefault();
    act(x, y);
  };
  return (
    <>
      <button
        type="button"
        className="tile-move"
        aria-label={t('move_tile', { tile: label })}
        onPointerDown={begin}
        onPointerMove={(event) => from.current !== null && mark(under(event))}
        onPointerUp={drop}
        onPointerCancel={end}
        onKeyDown={(event) => arrows(event, (x, y) => onMove(x || y))}
      >
        {icons.grip}
      </button>
      <button
        type="button"
        className="tile-size"
        aria-label={t('size_tile', { tile: label, width: tile.width, height: tile.height })}
        onPointerDown={begin}
        onPointerMove={(event) => from.current !== null && setSize(sized(event))}
        onPointerUp={(event) => {
          if (from.current === null) return;
          const { width, height } = sized(event);
          end();
          onSize(width, height);
        }}
        onPointerCancel={end}
        onKeyDown={(event) => arrows(event, (x, y) => onSize(clamp(tile.width + x, 12), clamp(tile.height + y, 20)))}
      />
      {size !== null && <span className="tile-sized tabular">{`${size.width} × ${size.height}`}</span>}
    </>
  );
}

function freeName(filters: Dashboard['filters']): string {
  let n = filters.length + 1;
  while (filters.some(({ name }) => name === `filter_${n}`)) n++;
  return `filter_${n}`;
}

function Settings({ dashboard, onChange, onClose }: { dashboard: Dashboard; onChange: (next: Dashboard) => void; onClose: () => void }) {
  const { t } = useWords();
  const [next, setNext] = useState(dashboard);
  const set = (part: Partial<Dashboard>) => setNext((held) => ({ ...held, ...part }));
  const setFilter = (at: number, part: Partial<Dashboard['filters'][number]>) =>
    set({ filters: next.filters.with(at, { ...next.filters[at]!, ...part }) });
  return (
    <Modal
      opened
      onClose={onClose}
      title={t('dashboard_settings')}
      size={680}
      closeOnClickOutside={same(next, dashboard)}
      closeOnEscape={same(next, dashboard)}
      closeButtonProps={{ 'aria-label': t('close') }}
    >
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          onChange(next);
        }}
      >
        <TextInput label={t('title')} value={next.title} onChange={({ currentTarget: { value } }) => set({ title: value })} required />
        <TextInput
          label={t('description')}
          value={next.description}
          onChange={({ currentTarget: { value } }) => set({ description: value })}
        />
        <div className="two">
          <Select
            label={t('range_first')}
            value={next.range}
            onChange={(range) => range && set({ range: range as TimeRange })}
            allowDeselect={false}
            data={timeRanges.map((value) => ({ value, label: t(`range_${value}`) }))}
          />
          <NumberInput
            label={t('refresh_seconds')}
            disabled={next.refresh === 'live'}
            value={typeof next.refresh === 'number' ? next.refresh : ''}
            onChange={(value) => set({ refresh: typeof value === 'number' ? value : null })}
            min={1}
            max={86_400}
            allowDecimal={false}
          />
          <Checkbox
            label={t('refresh_live')}
            checked={next.refresh === 'live'}
            onChange={({ currentTarget: { checked } }) => set({ refresh: checked ? 'live' : null })}
          />
        </div>
        <Textarea
          label={t('annotations')}
          description={t('annotations_lead')}
          placeholder="SELECT day, name FROM …"
          value={next.annotations ?? ''}
          onChange={({ currentTarget: { value } }) => set({ annotations: value.trim() === '' ? null : value })}
          autosize
          styles={{ input: { fontFamily: 'var(--mono)', fontSize: 13 } }}
        />
        <h3>{t('filters')}</h3>
        <p className="faint small">{t('filters_lead')}</p>
        {next.filters.map((filter, at) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: its name is what is edited
          <fieldset key={at} className="stack boxed">
            <div className="two">
              <TextInput
                label={t('filter_name')}
                value={filter.name}
                onChange={({ currentTarget: { value } }) => setFilter(at, { name: value })}
              />
              <TextInput
                label={t('title')}
                value={filter.title}
                onChange={({ currentTarget: { value } }) => setFilter(at, { title: value })}
              />
            </div>
            <Textarea
              label={t('filter_sql')}
              value={filter.sql}
              onChange={({ currentTarget: { value } }) => setFilter(at, { sql: value })}
              autosize
              styles={{ input: { fontFamily: 'var(--mono)', fontSize: 13 } }}
            />
            <div className="end-row">
              <Button variant="default" onClick={() => set({ filters: next.filters.toSpliced(at, 1) })}>
                {t('remove')}
              </Button>
            </div>
          </fieldset>
        ))}
        <div>
          <Button
            variant="default"
            onClick={() => set({ filters: [...next.filters, { name: freeName(next.filters), title: '', sql: 'SELECT DISTINCT ' }] })}
          >
            {t('filter_add')}
          </Button>
        </div>
        <div className="end-row">
          <Button type="submit">{t('apply')}</Button>
        </div>
      </form>
    </Modal>
  );
}
