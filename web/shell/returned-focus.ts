import { useEffect } from 'react';

/** What had the focus when a dialog came gets it back when it goes. */
export function useReturnedFocus(): void {
  useEffect(() => {
    const before = document.activeElement;
    return () => {
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
}
