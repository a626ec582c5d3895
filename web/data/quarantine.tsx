import { Button } from '@mantine/core';
import { useState } from 'react';
import type { QuarantineRow, ReplayAnswer, SessionAnswer } from '../../src/server/api.ts';
import { call, Trouble } from '../api.ts';
import { useLive } from '../live.ts';
import { Problem } from '../states.tsx';
import { useWords } from '../words/index.tsx';

const listed = 200;

/** What was refused, of one topic or of all (null), with the reason, and sending it through again. */
export function Quarantine({ name, who }: { name: string | null; who: SessionAnswer }) {
  const { t, ago, instant, reasonInWords } = useWords();
  const sees = who.role === 'admin' || who.role === 'editor';
  const rows = useLive(
    sees ? `quarantine ${name}` : null,
    (signal) =>
      call<{ rows: QuarantineRow[] }>(
        'GET',
        `/v1/quarantine?${new URLSearchParams({ ...(name !== null && { topic: name }), limit: String(listed) })}`,
        { signal },
      ),
    5_000,
  );
  const [busy, setBusy] = useState(false);
  const [only, setOnly] = useState<string | null>(null);
  const [said, setSaid] = useState<ReplayAnswer | Trouble | null>(null);
  const replay = async () => {
    setBusy(true);
    try {
      setSaid(await call<ReplayAnswer>('POST', '/v1/quarantine/replay', { body: name === null ? {} : { topic: name } }));
      rows.refresh();
    } catch (thrown) {
      if (!(thrown instanceof Trouble)) throw thrown;
      setSaid(thrown);
    } finally {
      setBusy(false);
    }
  };
  const list = rows.data?.rows ?? [];
  return (
    <section className="card">
      <div className="card-head">
        <h2>{t('quarantine')}</h2>
        {list.some(({ replayed }) => replayed === null) && (
          <Button variant="default" onClick={replay} loading={busy}>
            {t('replay')}
          </Button>
        )}
      </div>
      {!sees && <p className="faint">{t('quarantine_not_yours')}</p>}
      {rows.error !== null && <Problem trouble={rows.error} onRetry={rows.refresh} compact />}
      {said instanceof Trouble && <Problem trouble={said} compact />}
      {said !== null && !(said instanceof Trouble) && <p role="status">{t('replay_done', { ...said })}</p>}
      {sees && rows.data !== null && list.length === 0 && (
        <p className="faint calm">{t(name === null ? 'quarantine_empty_all' : 'quarantine_empty')}</p>
      )}
      {list.length > 0 && (
        <>
          <p className="faint small">{t('quarantine_lead')}</p>
          <div className="reasons">
            {reasonsOf(list).map(({ code, count }) => (
              <button key={code} type="button" aria-pressed={code === only} onClick={() => setOnly(code === only ? null : code)}>
                {code} <span className="tabular faint">{count}</span>
              </button>
            ))}
          </div>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard */}
          <ul className="refused" tabIndex={0} aria-label={t('quarantine')}>
            {list
              .filter(({ code }) => only === null || code === only)
              .map((row) => (
                <li key={row.id}>
                  <div>
                    <p>{reasonInWords(row.reason)}</p>
                    <p className="faint small">
                      {name === null && `${row.topic} · `}
                      <code>{row.code}</code> · <span title={instant(Date.parse(row.received))}>{ago(Date.parse(row.received))}</span>
                      {row.replayed !== null && ` · ${t('replayed')}`}
                    </p>
                  </div>
                  {row.body !== undefined && (
                    <code className="record" title={row.body.slice(0, 2000)}>
                      {row.body.slice(0, 2000)}
                    </code>
                  )}
                </li>
              ))}
          </ul>
        </>
      )}
    </section>
  );
}

/** The most frequent first. */
function reasonsOf(rows: readonly QuarantineRow[]): { code: string; count: number }[] {
  const codes = [...Map.groupBy(rows, ({ code }) => code)].map(([code, { length }]) => ({ code, count: length }));
  return codes.sort((a, b) => b.count - a.count);
}
