import { Button, PasswordInput, Select, TextInput } from '@mantine/core';
import { useState } from 'react';
import type { SessionAnswer, TransferGuessAnswer } from '../../src/server/api.ts';
import { call, type Trouble, troubled } from '../api.ts';
import { go } from '../route.ts';
import { tableWord } from '../sql.ts';
import { Empty, Page, Problem } from '../states.tsx';
import { useWords } from '../words/index.tsx';
import { FileText } from './definition.tsx';

const systems = [
  { value: 'mysql', label: 'MySQL, MariaDB', port: '3306' },
  { value: 'postgres', label: 'PostgreSQL', port: '5432' },
] as const;

const blank = { system: 'mysql', host: '', port: '', user: '', password: '', database: '', name: '' };

/** A database becomes a transfer: how to reach it, what a look at it proposes, and the file that is then written. */
export default function ConnectPage({ who }: { who: SessionAnswer }) {
  const { t } = useWords();
  const [given, setGiven] = useState(blank);
  const [definition, setDefinition] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const [trouble, setTrouble] = useState<Trouble | null>(null);
  if (who.role !== 'admin') return <Empty>{t('connect_admin')}</Empty>;
  const name = given.name || tableWord(given.database);
  const attempt = async (work: () => Promise<void>) => {
    setBusy(true);
    setTrouble(null);
    await troubled(setTrouble, work).finally(() => setBusy(false));
  };
  const look = () =>
    attempt(async () => {
      const { text } = await call<TransferGuessAnswer>('POST', '/v1/transfers/guess', { body: { address: addressOf(given), name } });
      setDefinition(text);
    });
  const save = () =>
    attempt(async () => {
      const { password } = given;
      await call('PUT', `/v1/transfers/${encodeURIComponent(name)}`, { body: { definition, ...(password === '' ? {} : { password }) } });
      go(`/data/transfers/${encodeURIComponent(name)}`);
    });
  const set = (key: keyof typeof blank) => (value: string) => {
    setGiven((before) => ({ ...before, [key]: value }));
    // What was proposed belonged to what was typed before.
    setDefinition(null);
  };
  const typed = (key: 'host' | 'port' | 'user' | 'database' | 'name', more: { placeholder?: string; required?: boolean } = {}) => (
    <TextInput
      label={t(`connect_${key}`)}
      value={given[key]}
      onChange={({ currentTarget: { value } }) => set(key)(value)}
      autoComplete="off"
      spellCheck={false}
      {...more}
    />
  );
  const { port } = systems.find(({ value }) => value === given.system)!;
  return (
    <Page title={t('connect')} lead={t('connect_lead')}>
      <form
        className="card stack"
        onSubmit={(event) => {
          event.preventDefault();
          void (definition === null ? look() : save());
        }}
      >
        <div className="fields">
          <Select
            label={t('connect_system')}
            data={systems.map(({ value, label }) => ({ value, label }))}
            value={given.system}
            onChange={(value) => value !== null && set('system')(value)}
            allowDeselect={false}
          />
          {typed('host', { required: true, placeholder: 'db.example.com' })}
          {typed('port', { placeholder: port })}
          {typed('database', { required: true, placeholder: 'shop' })}
          {typed('user', { required: true, placeholder: 'reader' })}
          <PasswordInput
            label={t('connect_password')}
            value={given.password}
            onChange={({ currentTarget: { value } }) => set('password')(value)}
            autoComplete="new-password"
          />
          {typed('name', { placeholder: name })}
        </div>
        {given.password !== '' && <p className="faint small">{t('connect_kept', { file: `secrets/${name}` })}</p>}
        {definition !== null && (
          <>
            <p className="faint small">{t('connect_proposed', { file: `transfers/${name}.yaml` })}</p>
            <FileText file={`transfers/${name}.yaml`} text={definition} onText={setDefinition} />
          </>
        )}
        {trouble !== null && <Problem trouble={trouble} compact />}
        <div className="end-row">
          <Button type="submit" loading={busy}>
            {t(definition === null ? 'connect_look' : 'connect_save')}
          </Button>
        </div>
      </form>
    </Page>
  );
}

/** The password goes in the body of the request, never into the browser's own address. */
function addressOf({ system, host, port, user, password, database }: typeof blank): string {
  const who = `${encodeURIComponent(user)}${password === '' ? '' : `:${encodeURIComponent(password)}`}`;
  const place = host.includes(':') ? `[${host.trim()}]` : host.trim();
  return `${system}://${who}@${place}${port.trim() === '' ? '' : `:${port.trim()}`}/${encodeURIComponent(database)}`;
}
