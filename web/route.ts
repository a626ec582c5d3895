import { useSyncExternalStore } from 'react';

const moved = new EventTarget();

/** Goes to a page of the console. */
export function go(path: string): void {
  if (path !== location.pathname + location.search) history.pushState(null, '', path);
  moved.dispatchEvent(new Event('moved'));
  window.scrollTo(0, 0);
}

/** Told when one goes somewhere, or back; not when a page writes what it shows into its address. */
export function onMoved(changed: () => void): () => void {
  window.addEventListener('popstate', changed);
  moved.addEventListener('moved', changed);
  return () => {
    window.removeEventListener('popstate', changed);
    moved.removeEventListener('moved', changed);
  };
}

export const usePath = (): string => useSyncExternalStore(onMoved, () => location.pathname);
