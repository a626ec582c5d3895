import { type ComponentType, lazy } from 'react';

const reloaded = 'millrace.reloaded';

/**
 * A page's code, or a part's, fetched when it is first shown. After an update of Millrace the names of its files are others: the console that is open
 * loads itself anew, once, and says what is wrong if that did not help.
 */
export function later<P>(load: () => Promise<{ default: ComponentType<P> }>) {
  return lazy(async () => {
    try {
      const loaded = await load();
      sessionStorage.removeItem(reloaded);
      return loaded;
    } catch (thrown) {
      if (sessionStorage.getItem(reloaded) !== null) throw thrown;
      sessionStorage.setItem(reloaded, location.pathname);
      location.reload();
      // Until the page is gone.
      return new Promise<never>(() => {});
    }
  });
}
