/** The states that every page and tile has: its frame, what it looks like while it loads, when it is empty, when it failed. */
import { Button, Skeleton } from '@mantine/core';
import { type ReactNode, useEffect } from 'react';
import type { Trouble } from './api.ts';
import { useWords } from './words/index.tsx';

export function Page({ title, lead, action, children }: { title: string; lead?: ReactNode; action?: ReactNode; children: ReactNode }) {
  useEffect(() => {
    document.title = `${title} · Millrace`;
  }, [title]);
  return (
    <>
      <header className="page-head">
        <div>
          <h1>{title}</h1>
          {lead !== undefined && <p className="lead">{lead}</p>}
        </div>
        {action !== undefined && <div className="page-action">{action}</div>}
      </header>
      {children}
    </>
  );
}

export function Placeholder() {
  const { t } = useWords();
  return (
    <div aria-busy="true" role="status" aria-label={t('loading')}>
      <Skeleton height={28} width={180} mb={24} />
      <Skeleton height={120} mb={16} />
      <Skeleton height={240} />
    </div>
  );
}

/** Code, what happened, what to do, and the way to try again. */
export function Problem({ trouble, onRetry, compact = false }: { trouble: Trouble; onRetry?: () => void; compact?: boolean }) {
  const { t, said, remedy } = useWords();
  const lost = trouble.body.code === 'UNREACHABLE';
  return (
    <div className={compact ? 'problem compact' : 'problem'} role="alert">
      <p className="problem-what">{said(trouble.body) || t('went_wrong')}</p>
      <p className="faint">{lost ? t('unreachable_todo') : remedy(trouble.body)}</p>
      <p className="problem-foot">
        {!lost && <code>{trouble.body.code}</code>}
        {onRetry !== undefined && (
          <Button size="sm" variant="default" onClick={onRetry}>
            {t('retry')}
          </Button>
        )}
      </p>
    </div>
  );
}

export function Empty({ children, action }: { children: ReactNode; action?: ReactNode }) {
  return (
    <div className="empty">
      <div>{children}</div>
      {action}
    </div>
  );
}

/** What is wider than the page scrolls inside itself, by the keyboard too. */
export function Sideways({ label, children }: { label: string; children: ReactNode }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
    <section className="scroll-x" aria-label={label} tabIndex={0}>
      {children}
    </section>
  );
}
