import { Skeleton } from '@mantine/core';
import type { Topic } from '#core';
import type { SessionAnswer } from '../../src/server/api.ts';
import { ask, call } from '../api.ts';
import { Link } from '../link.tsx';
import { useLive } from '../live.ts';
import { useStatus } from '../shell/shell.tsx';
import { Page, Placeholder, Problem } from '../states.tsx';
import { Grid } from '../table/grid.tsx';
import { useWords } from '../words/index.tsx';
import { Definition } from './definition.tsx';
import { Quarantine } from './quarantine.tsx';

export default function TopicPage({ name, who }: { name: string; who: SessionAnswer }) {
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
      <Tail name={name} />
      <Quarantine name={name} who={who} />
      <Definition name={name} text={topic.data.definition} who={who} onSaved={topic.refresh} />
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

/** What came last, asked again while the page is looked at. */
function Tail({ name }: { name: string }) {
  const { t, said } = useWords();
  const rows = useLive(
    `tail ${name}`,
    (signal) =>
      ask({ sql: `SELECT _received, _id, data FROM raw."${name.replaceAll('"', '""')}" ORDER BY _position DESC LIMIT 50` }, signal),
    2_000,
  );
  return (
    <section className="card">
      <h2>{t('tail')}</h2>
      {rows.error !== null && (
        <p className="faint calm">{rows.error.body.code === 'SQL_TABLE' ? t('tail_empty') : said(rows.error.body)}</p>
      )}
      {rows.data !== null && rows.data.rows.length === 0 && <p className="faint calm">{t('tail_empty')}</p>}
      {rows.data !== null && rows.data.rows.length > 0 && (
        <Grid columns={rows.data.columns} rows={rows.data.rows} label={t('tail')} height={260} />
      )}
    </section>
  );
}
