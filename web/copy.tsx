import { useState } from 'react';
import { useWords } from './words/index.tsx';

/** A line to copy. */
export function Copied({ text }: { text: string }) {
  const { t } = useWords();
  const [done, setDone] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setDone(true);
    setTimeout(() => setDone(false), 1500);
  };
  return (
    <div className="copied">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard */}
      <code tabIndex={0}>{text}</code>
      <button type="button" onClick={copy} aria-label={t('copy')}>
        {done ? t('copied') : t('copy')}
      </button>
    </div>
  );
}
