import { Button, Modal, Select } from '@mantine/core';
import { useState } from 'react';
import type { Dashboard } from '#visualize';
import type { ShareAnswer } from '../../src/server/api.ts';
import { call, Trouble } from '../api.ts';
import { Copied } from '../copy.tsx';
import { Problem } from '../states.tsx';
import { useWords } from '../words/index.tsx';
import type { Seen } from './parameters.ts';

const lives = [1, 7, 30, 365];

/** A link that shows this dashboard with this choice and no other, to anyone who has it, until it ends. */
export function Share({ name, dashboard, choice, onClose }: { name: string; dashboard: Dashboard; choice: Seen; onClose: () => void }) {
  const { t, instant, duration } = useWords();
  const [days, setDays] = useState('7');
  const [made, setMade] = useState<ShareAnswer | null>(null);
  const [trouble, setTrouble] = useState<Trouble | null>(null);
  const { range, from, to, filters } = choice;
  const fixed = [
    `${t('range')}: ${range === 'custom' ? `${from} – ${to}` : t(`range_${range}`)}`,
    ...dashboard.filters.map((filter) => `${filter.title}: ${filters[filter.name] ?? t('all')}`),
  ];
  const make = async () => {
    try {
      setMade(await call<ShareAnswer>('POST', `/v1/dashboards/${name}/share`, { body: { range, from, to, filters, days: Number(days) } }));
      setTrouble(null);
    } catch (thrown) {
      if (!(thrown instanceof Trouble)) throw thrown;
      setTrouble(thrown);
    }
  };
  return (
    <Modal opened onClose={onClose} title={t('share')} closeButtonProps={{ 'aria-label': t('close') }}>
      <div className="stack">
        <p>{t('share_lead')}</p>
        <ul className="plain-list small faint">
          {fixed.map((line) => (
            <li key={line}>{line}</li>
          ))}
        </ul>
        {made === null ? (
          <>
            <Select
              label={t('share_days')}
              value={days}
              onChange={(next) => next && setDays(next)}
              allowDeselect={false}
              data={lives.map((each) => ({ value: String(each), label: duration(each * 86_400_000) }))}
            />
            {trouble !== null && <Problem trouble={trouble} compact />}
            <Button onClick={make}>{t('share_make')}</Button>
          </>
        ) : (
          <>
            <Copied text={location.origin + made.path} />
            <p className="small faint">{t('share_until', { when: instant(Date.parse(made.expires)) })}</p>
          </>
        )}
      </div>
    </Modal>
  );
}
