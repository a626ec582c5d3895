import { Button, Modal, TextInput } from '@mantine/core';
import { useState } from 'react';
import type { DashboardAnswer, DashboardsAnswer, SessionAnswer } from '../../src/server/api.ts';
import { call, Trouble } from '../api.ts';
import { Link } from '../link.tsx';
import { useLive } from '../live.ts';
import { go } from '../route.ts';
import { Empty, Page, Placeholder, Problem } from '../states.tsx';
import { useWords } from '../words/index.tsx';

export default function Dashboards({ who }: { who: SessionAnswer }) {
  const { t, said } = useWords();
  const list = useLive('dashboards', (signal) => call<DashboardsAnswer>('GET', '/v1/dashboards', { signal }), 10_000);
  const [making, setMaking] = useState(false);
  const dashboards = list.data?.dashboards ?? [];
  return (
    <Page
      title={t('dashboards')}
      lead={t('dashboards_lead')}
      action={who.role !== 'viewer' && <Button onClick={() => setMaking(true)}>{t('new_dashboard')}</Button>}
    >
      {list.error !== null && <Problem trouble={list.error} onRetry={list.refresh} />}
      {list.data === null && list.error === null && <Placeholder />}
      {list.data !== null && dashboards.length === 0 && (
        <Empty>
          <p>{t('dashboards_empty')}</p>
          <p className="faint">{t('dashboards_empty_text')}</p>
        </Empty>
      )}
      <ul className="cards">
        {dashboards.map(({ name, title, description, tiles, error }) => (
          <li key={name}>
            <Link href={`/dashboards/${name}`} className="card card-link">
              <h2>{title}</h2>
              {error === null ? (
                <>
                  <p className="faint">{description}</p>
                  <p className="faint small">{t('tiles', { n: tiles })}</p>
                </>
              ) : (
                <p className="bad-text small">{said(error)}</p>
              )}
            </Link>
          </li>
        ))}
      </ul>
      <Modal opened={making} onClose={() => setMaking(false)} title={t('new_dashboard')} closeButtonProps={{ 'aria-label': t('close') }}>
        <Making />
      </Modal>
    </Page>
  );
}

const begun = (name: string) => `title: ${name}
tiles:
  - title: What was written
    chart: table
    width: 12
    sql: SELECT target AS name, sum("rows")::BIGINT AS rows, max(committed) AS written FROM millrace.batch GROUP BY 1 ORDER BY 1
`;

function Making() {
  const { t } = useWords();
  const [name, setName] = useState('');
  const [trouble, setTrouble] = useState<Trouble | null>(null);
  const make = async () => {
    try {
      await call<DashboardAnswer>('PUT', `/v1/dashboards/${encodeURIComponent(name)}`, { body: { text: begun(name), version: null } });
      go(`/dashboards/${name}`);
    } catch (thrown) {
      if (!(thrown instanceof Trouble)) throw thrown;
      setTrouble(thrown);
    }
  };
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        make();
      }}
    >
      <TextInput label={t('dashboard_name')} value={name} onChange={(event) => setName(event.currentTarget.value)} data-autofocus />
      {trouble !== null && <Problem trouble={trouble} compact />}
      <Button type="submit" disabled={name === ''}>
        {t('new_dashboard')}
      </Button>
    </form>
  );
}
