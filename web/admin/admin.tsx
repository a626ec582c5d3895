import { Button, Modal, Select, TextInput } from '@mantine/core';
import { type FormEvent, useState } from 'react';
import type { Job, LoginAnswer, SessionAnswer, TokenInfo } from '../../src/server/api.ts';
import { call, Trouble } from '../api.ts';
import { Copied } from '../copy.tsx';
import { Quarantine } from '../data/quarantine.tsx';
import { useLive } from '../live.ts';
import { useStatus } from '../shell/shell.tsx';
import { Page, Problem, Sideways } from '../states.tsx';
import { useWords } from '../words/index.tsx';

const roles = ['admin', 'editor', 'viewer', 'write'] as const;

/** Who may enter, what runs, what was refused. */
export default function Admin({ who }: { who: SessionAnswer }) {
  const { t } = useWords();
  return (
    <Page title={t('admin')} lead={t('admin_lead')}>
      <Parts />
      <Quarantine name={null} who={who} />
      <Jobs />
      {who.role === 'admin' && <Tokens who={who} />}
    </Page>
  );
}

function Parts() {
  const { t, bytes, duration } = useWords();
  const status = useStatus().data;
  const figures: [string, string][] =
    status === null
      ? []
      : [
          [t('memory_front'), bytes(status.memory.front_bytes)],
          [t('memory_warehouse'), bytes(status.memory.warehouse_bytes)],
          [t('uptime'), duration(status.uptime_s * 1000)],
          [t('version'), status.version],
        ];
  return (
    <dl className="figures">
      {figures.map(([word, value]) => (
        <div key={word}>
          <dt className="faint small">{word}</dt>
          <dd className="figure">{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function Jobs() {
  const { t, ago, duration, number } = useWords();
  const jobs = useLive('jobs', (signal) => call<Job[]>('GET', '/v1/jobs', { signal }), 2_000);
  const stop = async (id: string) => {
    await call('DELETE', `/v1/jobs/${encodeURIComponent(id)}`).catch((thrown) => {
      // It ended by itself meanwhile.
      if (!(thrown instanceof Trouble)) throw thrown;
    });
    jobs.refresh();
  };
  const list = (jobs.data ?? []).toSorted((a, b) => Date.parse(b.started) - Date.parse(a.started)).slice(0, 15);
  return (
    <section className="card">
      <h2>{t('jobs')}</h2>
      {jobs.error !== null && <Problem trouble={jobs.error} onRetry={jobs.refresh} compact />}
      {jobs.data !== null && list.length === 0 && <p className="faint calm">{t('jobs_none')}</p>}
      {list.length > 0 && (
        <Sideways label={t('jobs')}>
          <table className="plain jobs">
            <thead>
              <tr>
                <th>{t('job_state')}</th>
                <th>{t('editor')}</th>
                <th>{t('job_who')}</th>
                <th className="end">{t('job_rows')}</th>
                <th className="end">{t('model_time')}</th>
                <th>{t('job_started')}</th>
                <th aria-label={t('stop')} />
              </tr>
            </thead>
            <tbody>
              {list.map(({ id, state, sql, who, rows, elapsed_ms, started }) => (
                <tr key={id}>
                  <td className={state === 'failed' ? 'bad-text nowrap' : 'nowrap'}>{t(`job_${state}`)}</td>
                  <td className="cut">
                    <code title={sql}>{sql.slice(0, 200)}</code>
                  </td>
                  <td className="nowrap">{who}</td>
                  <td className="end tabular">{number(rows)}</td>
                  <td className="end tabular nowrap">{duration(elapsed_ms)}</td>
                  <td className="nowrap">{ago(Date.parse(started))}</td>
                  <td>
                    {(state === 'running' || state === 'waiting') && (
                      <Button variant="default" onClick={() => stop(id)}>
                        {t('stop')}
                      </Button>
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </Sideways>
      )}
    </section>
  );
}

function Tokens({ who }: { who: SessionAnswer }) {
  const { t, instant } = useWords();
  const tokens = useLive('tokens', (signal) => call<TokenInfo[]>('GET', '/v1/tokens', { signal }));
  const [making, setMaking] = useState(false);
  const [removing, setRemoving] = useState<string | null>(null);
  const remove = async (name: string) => {
    setRemoving(null);
    await call('DELETE', `/v1/tokens/${encodeURIComponent(name)}`);
    tokens.refresh();
  };
  return (
    <section className="card">
      <div className="card-head">
        <h2>{t('tokens')}</h2>
        <Button variant="default" onClick={() => setMaking(true)}>
          {t('token_new')}
        </Button>
      </div>
      {tokens.error !== null && <Problem trouble={tokens.error} onRetry={tokens.refresh} compact />}
      {tokens.data?.length === 0 && <p className="faint calm">{t('tokens_none')}</p>}
      <ul className="items">
        {(tokens.data ?? []).map(({ name, role, topics, created, expires }) => (
          <li key={name} className="item">
            <div>
              <p>
                {name} <span className="faint">{t(`role_${role}`)}</span>
              </p>
              <p className="faint small">
                {instant(Date.parse(created))}
                {expires !== null && ` · ${t('share_until', { when: instant(Date.parse(expires)) })}`}
                {topics !== null && ` · ${topics.join(', ')}`}
              </p>
            </div>
            {name !== who.name && (
              <Button variant="default" onClick={() => setRemoving(name)}>
                {t('token_remove')}
              </Button>
            )}
          </li>
        ))}
      </ul>
      <Modal
        opened={making}
        onClose={() => {
          setMaking(false);
          tokens.refresh();
        }}
        title={t('token_new')}
        closeButtonProps={{ 'aria-label': t('close') }}
      >
        <NewToken />
      </Modal>
      <Modal
        opened={removing !== null}
        onClose={() => setRemoving(null)}
        title={t('token_remove')}
        closeButtonProps={{ 'aria-label': t('close') }}
      >
        <div className="stack">
          <p>{t('token_remove_lead', { name: removing ?? '' })}</p>
          <Button color="red" onClick={() => removing !== null && remove(removing)}>
            {t('token_remove')}
          </Button>
        </div>
      </Modal>
    </section>
  );
}

function NewToken() {
  const { t } = useWords();
  const [name, setName] = useState('');
  const [role, setRole] = useState<(typeof roles)[number]>('viewer');
  const [topics, setTopics] = useState('');
  const [made, setMade] = useState<LoginAnswer | null>(null);
  const [trouble, setTrouble] = useState<Trouble | null>(null);
  const make = async (event: FormEvent) => {
    event.preventDefault();
    try {
      const of = role === 'write' ? { topics: topics.split(/[\s,]+/).filter(Boolean) } : {};
      setMade(await call<LoginAnswer>('POST', '/v1/tokens', { body: { name, role, ...of } }));
    } catch (thrown) {
      if (!(thrown instanceof Trouble)) throw thrown;
      setTrouble(thrown);
    }
  };
  if (made !== null) {
    return (
      <div className="stack">
        <p>{t('token_once')}</p>
        <Copied text={made.token} />
      </div>
    );
  }
  return (
    <form className="stack" onSubmit={make}>
      <TextInput label={t('token_name')} value={name} onChange={({ currentTarget: { value } }) => setName(value)} data-autofocus />
      <Select
        label={t('token_role')}
        value={role}
        allowDeselect={false}
        onChange={(next) => next && setRole(next as typeof role)}
        data={roles.map((value) => ({ value, label: t(`role_${value}`) }))}
      />
      {role === 'write' && (
        <TextInput
          label={t('all_topics')}
          value={topics}
          onChange={({ currentTarget: { value } }) => setTopics(value)}
          placeholder="events, orders"
        />
      )}
      {trouble !== null && <Problem trouble={trouble} compact />}
      <Button type="submit" disabled={name === ''}>
        {t('token_make')}
      </Button>
    </form>
  );
}
