import { Button, Skeleton } from '@mantine/core';
import { useState } from 'react';
import type { Topic } from '#core';
import type { QuarantineRow, ReplayAnswer, SessionAnswer } from '../../src/server/api.ts';
import { call, Trouble } from '../api.ts';
import { Copied } from '../copy.tsx';
import { Link } from '../link.tsx';
import { useLive } from '../live.ts';
import { useStatus } from '../shell/shell.tsx';
import { Page, Placeholder, Problem } from '../states.tsx';
import { useWords } from '../words/index.tsx';

const listed = 200;

export default function TopicPage({ name, who }: { name: string; who: SessionAnswer }) {
  const { t } = useWords();
  const topic = useLive(name, (signal) =>
    call<{ topic: Topic; definition: string }>('GET', `/v1/topics/${encodeURIComponent(name)}`, { signal }),
  );
  if (topic.data === null) return topic.error === null ? <Placeholder /> : <Problem trouble={topic.error} onRetry={topic.refresh} />;
  return (
    <Page
      title={name}
      lead={topic.data.topic.title === name ? undefined : topic.data.topic.title}
      action={<Link href={`/data/raw/${encodeURIComponent(name)}`}>raw.{name}</Link>}
    >
      <Figures name={name} />
      <Quarantine name={name} who={who} />
      <section className="card">
        <h2>{t('definition')}</h2>
        <Copied text={topic.data.definition} />
      </section>
    </Page>
  );
}

function Figures({ name }: { name: string }) {
  const { t, number, duration } = useWords();
  const topic = useStatus().data?.topics.find((each) => each.name === name);
  const figures: [string, string | null][] = [
    [t('rate'), topic ? number(topic.per_second) : null],
    [t('accepted'), topic ? number(topic.accepted) : null],
    [t('rejected'), topic ? number(topic.quarantined) : null],
    [t('waiting'), topic ? (topic.lag_ms === 0 ? '–' : duration(topic.lag_ms)) : null],
  ];
  return (
    <dl className="figures">
      {figures.map(([word, value]) => (
        <div key={word}>
          <dt className="faint small">{word}</dt>
          <dd className="figure">{value ?? <Skeleton height={28} width={56} />}</dd>
        </div>
      ))}
    </dl>
  );
}

function Quarantine({ name, who }: { name: string; who: SessionAnswer }) {
  const { t, ago, instant } = useWords();
  const sees = who.role === 'admin' || who.role === 'editor';
  const rows = useLive(
    sees ? name : null,
    (signal) =>
      call<{ rows: QuarantineRow[] }>('GET', `/v1/quarantine?${new URLSearchParams({ topic: name, limit: String(listed) })}`, { signal }),
    5_000,
  );
  const [busy, setBusy] = useState(false);
  const [only, setOnly] = useState<string | null>(null);
  const [said, setSaid] = useState<ReplayAnswer | Trouble | null>(null);
  const replay = async () => {
    setBusy(true);
    try {
      setSaid(await call<ReplayAnswer>('POST', '/v1/quarantine/replay', { body: { topic: name } }));
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
      {sees && rows.data !== null && list.length === 0 && <p className="faint calm">{t('quarantine_empty')}</p>}
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
                    <p>{row.reason}</p>
                    <p className="faint small">
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
