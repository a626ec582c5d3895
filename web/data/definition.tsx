import { Button, Textarea } from '@mantine/core';
import { useState } from 'react';
import type { SessionAnswer } from '../../src/server/api.ts';
import { call, Trouble } from '../api.ts';
import { Copied } from '../copy.tsx';
import { Problem } from '../states.tsx';
import { useWords } from '../words/index.tsx';

/** A topic's file: its fields and its policy for what does not fit. What is typed stays when saving fails. */
export function Definition({ name, text, who, onSaved }: { name: string; text: string; who: SessionAnswer; onSaved: () => void }) {
  const { t } = useWords();
  const [typed, setTyped] = useState<string | null>(null);
  const [trouble, setTrouble] = useState<Trouble | null>(null);
  const [saved, setSaved] = useState(false);
  const edits = who.role === 'admin' || who.role === 'editor';
  const path = `/v1/topics/${encodeURIComponent(name)}`;
  const save = async () => {
    try {
      // Whoever edited the file meanwhile, here or on disk, is not overwritten.
      const { definition } = await call<{ definition: string }>('GET', path);
      if (definition !== text)
        return setTrouble(
          new Trouble({ code: 'CHANGED', message: t('definition_changed'), remedy: '', retryable: false, params: {} }, 409),
        );
      await call('PUT', path, { raw: typed!, headers: { 'content-type': 'text/yaml' } });
      setTrouble(null);
      setTyped(null);
      setSaved(true);
      onSaved();
    } catch (thrown) {
      if (!(thrown instanceof Trouble)) throw thrown;
      setTrouble(thrown);
    }
  };
  return (
    <section className="card">
      <div className="card-head">
        <h2>{t('definition')}</h2>
        {edits && typed === null && (
          <Button variant="default" onClick={() => setTyped(text)}>
            {t('edit')}
          </Button>
        )}
      </div>
      {saved && typed === null && <p role="status">{t('definition_saved')}</p>}
      {typed === null ? (
        <Copied text={text} />
      ) : (
        <div className="stack">
          <p className="faint small">{t('definition_lead')}</p>
          <FileText file={`topics/${name}.yaml`} text={typed} onText={setTyped} />
          {trouble !== null && <Problem trouble={trouble} compact />}
          <div className="end-row">
            <Button
              variant="default"
              onClick={() => {
                setTyped(null);
                setTrouble(null);
              }}
            >
              {t('discard')}
            </Button>
            <Button onClick={save} disabled={typed === text}>
              {t('save')}
            </Button>
          </div>
        </div>
      )}
    </section>
  );
}

/** A definition's file, to be edited as it stands. */
export function FileText({ file, text, onText }: { file: string; text: string; onText: (text: string) => void }) {
  return (
    <Textarea
      aria-label={file}
      value={text}
      onChange={({ currentTarget: { value } }) => onText(value)}
      rows={18}
      spellCheck={false}
      styles={{ input: { fontFamily: 'var(--mono)', fontSize: 13, lineHeight: '20px' } }}
    />
  );
}
