import { useRef, useState } from 'react';
import { useWords } from './words/index.tsx';

/** Whether it is in the clipboard now. The clipboard's own door is shut on pages that came over plain HTTP; copying a selection is not. */
async function copyText(text: string): Promise<boolean> {
  try {
    // undefined there, whatever its type says.
    if (navigator.clipboard !== undefined) return await navigator.clipboard.writeText(text).then(() => true);
  } catch {
    // Refused by the browser's settings: the other way may be open.
  }
  const focused = document.activeElement;
  const area = document.createElement('textarea');
  area.value = text;
  area.className = 'out-of-sight';
  document.body.append(area);
  area.select();
  try {
    return document.execCommand('copy');
  } finally {
    area.remove();
    if (focused instanceof HTMLElement) focused.focus();
  }
}

/** What became of the last copying, for as long as it is worth saying. */
export function useCopying(): { state: 'idle' | 'copied' | 'refused'; copy: (text: string) => Promise<boolean> } {
  const [state, setState] = useState<'idle' | 'copied' | 'refused'>('idle');
  const copy = async (text: string) => {
    const done = await copyText(text);
    setState(done ? 'copied' : 'refused');
    setTimeout(() => setState('idle'), done ? 1500 : 5000);
    return done;
  };
  return { state, copy };
}

/** A line to copy; where the browser lets no page copy, it is selected, so that the keys do. */
export function Copied({ text }: { text: string }) {
  const { t } = useWords();
  const { state, copy } = useCopying();
  const line = useRef<HTMLElement>(null);
  return (
    <div className="copied">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard */}
      <code tabIndex={0} ref={line}>
        {text}
      </code>
      <button
        type="button"
        onClick={async () => {
          if (!(await copy(text)) && line.current !== null) getSelection()?.selectAllChildren(line.current);
        }}
        aria-label={t('copy')}
      >
        {state === 'copied' ? t('copied') : state === 'refused' ? t('copy_refused') : t('copy')}
      </button>
    </div>
  );
}
