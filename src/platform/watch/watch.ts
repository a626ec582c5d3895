import type { WatchedFolder } from '#core';
import { type Supervised, supervise } from '#run';
import type { Arrivals } from './arrivals.ts';

/** A transfer whose folder is looked at. When its definition is another one, all files of the folder are told anew. */
export interface Watched {
  readonly name: string;
  readonly definition: string;
  readonly folder: WatchedFolder;
}

/** All that is to be looked at from now on. */
export interface Watching {
  readonly workspace: string;
  readonly watched: readonly Watched[];
}

export interface Arrived {
  readonly name: string;
  readonly arrivals: Arrivals;
}

export interface Watch {
  /** Null where there is nothing to look at. */
  readonly pid: number | null;
  /** Looks at these, and no longer at others. */
  keep(watched: readonly Watched[]): void;
  stop(): Promise<void>;
}

/** Looks at folders in a process of its own, for as long as there are any. */
export function openWatch(workspace: string, onArrived: (arrived: Arrived) => void): Watch {
  let looker: Supervised | null = null;
  let kept = '[]';
  let watched: readonly Watched[] = [];
  const send = () => looker?.send({ workspace, watched } satisfies Watching);
  const stop = async () => {
    const last = looker;
    looker = null;
    await last?.stop(1_000);
  };
  return {
    get pid() {
      return looker?.pid ?? null;
    },
    keep(folders) {
      const spelled = JSON.stringify(folders);
      if (spelled === kept) return;
      kept = spelled;
      watched = folders;
      if (watched.length === 0) void stop();
      else if (looker === null)
        looker = supervise({
          script: new URL('./looker.ts', import.meta.url),
          // A folder of 100,000 files has its names and states in it twice.
          nodeArguments: ['--max-old-space-size=160', '--max-semi-space-size=1'],
          onReady: send,
          onMessage: (message) => onArrived(message as Arrived),
        });
      else send();
    },
    stop,
  };
}
