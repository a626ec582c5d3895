import { useSyncExternalStore } from 'react';

const moved = new EventTarget();

/** Goes to a page of the console. */
export function go(path: string): void {
  if (path !== location.pathname + location.search) history.pushState(null, '', path);
  moved.dispatchEvent(new Event('moved'));
  window.scrollTo(0, 0);
}

export function usePath(): string {
  return useSyncExternalStore(
    (changed) => {
      window.addEventListener('popstate', changed);
      moved.addEventListener('moved', changed);
      return () => {
        window.removeEventListener('popstate', changed);
        moved.removeEventListener('moved', changed);
      };
    },
    () => location.pathname,
  );
}
