import { Button, PasswordInput } from '@mantine/core';
import { type FormEvent, useEffect, useState } from 'react';
import type { SessionAnswer } from '../src/server/api.ts';
import { call, Trouble } from './api.ts';
import { Mark } from './shell/icons.tsx';
import { useWords } from './words/index.tsx';

export default function SignIn({ onEnter }: { onEnter: (who: SessionAnswer) => void }) {
  const { t, said } = useWords();
  const [token, setToken] = useState('');
  const [trouble, setTrouble] = useState<Trouble | null>(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    document.title = `${t('sign_in')} · Millrace`;
  }, [t]);
  const enter = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    try {
      onEnter(await call<SessionAnswer>('POST', '/v1/session', { body: { token: token.trim() } }));
    } catch (thrown) {
      if (!(thrown instanceof Trouble)) throw thrown;
      setTrouble(thrown);
      setBusy(false);
    }
  };
  const wrong = trouble === null ? null : trouble.status === 401 ? t('token_wrong') : said(trouble.body) || t('went_wrong');
  return (
    <main className="entrance">
      <form onSubmit={enter} className="entrance-form">
        <Mark />
        <h1>{t('sign_in')}</h1>
        <p className="lead">{t('sign_in_lead')}</p>
        <PasswordInput
          label={t('token')}
          value={token}
          onChange={(event) => setToken(event.currentTarget.value)}
          error={wrong}
          autoComplete="off"
          autoFocus
          size="md"
          visibilityToggleButtonProps={{ 'aria-label': t('token') }}
        />
        <Button type="submit" fullWidth mt={16} size="md" loading={busy} disabled={token.trim() === ''}>
          {t('sign_in')}
        </Button>
      </form>
    </main>
  );
}
