import { useEffect, useState } from 'react';
import type { LiveEvent } from '../../src/server/api.ts';

export interface LiveTiles {
  /** How often each tile's tables have changed since the page was opened, by the tile's place. */
  readonly rounds: ReadonlyMap<number, number>;
  readonly open: boolean;
}

const mostTiles = 60;
const again = 5000;

/** The dashboard's stream of changes. What happened before it was open is unknown, so that then all tiles are asked again. */
export function useLiveTiles(name: string, wanted: boolean): LiveTiles {
  const [state, setState] = useState<LiveTiles>({ rounds: new Map(), open: false });
  useEffect(() => {
    if (!wanted) return;
    let stream: EventSource;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const changed = (tiles: readonly number[]) =>
      setState(({ rounds }) => ({
        rounds: new Map([...rounds, ...tiles.map((at) => [at, (rounds.get(at) ?? 0) + 1] as const)]),
        open: true,
      }));
    const connect = () => {
      stream = new EventSource(`/v1/dashboards/${encodeURIComponent(name)}/live`);
      stream.onopen = () => {
        changed(Array.from({ length: mostTiles }, (_, at) => at));
      };
      stream.onerror = () => {
        setState(({ rounds }) => ({ rounds, open: false }));
        // After a refusal the browser does not try again by itself.
        if (stream.readyState === EventSource.CLOSED) timer = setTimeout(connect, again);
      };
      stream.addEventListener('changed', (event) => changed((JSON.parse((event as MessageEvent<string>).data) as LiveEvent).tiles));
    };
    connect();
    return () => {
      clearTimeout(timer);
      stream.close();
    };
  }, [name, wanted]);
  return state;
}
