import { Button, Modal, Textarea } from '@mantine/core';
import { useState } from 'react';
import type { DashboardAnswer, DashboardVersionsAnswer } from '../../src/server/api.ts';
import { call, Trouble, troubled } from '../api.ts';
import { Copied } from '../copy.tsx';
import { useLive } from '../live.ts';
import { Placeholder, Problem } from '../states.tsx';
import { useWords } from '../words/index.tsx';
import { newestFile, saveFile } from './file.ts';

interface Props {
  readonly file: DashboardAnswer;
  onClose(): void;
  onSaved(): void;
}

/** The file as text. What is typed stays when saving fails, and is closed by its button alone. */
export function AsText({ file, onClose, onSaved }: Props) {
  const { t } = useWords();
  const [text, setText] = useState(file.text);
  const [version, setVersion] = useState<string | null>(file.version);
  const [theirs, setTheirs] = useState<string | null>(null);
  const [trouble, setTrouble] = useState<Trouble | null>(null);
  const changed = text !== file.text;
  const save = () =>
    troubled(setTrouble, async () => {
      try {
        await saveFile(file.name, { text }, version);
        onSaved();
      } catch (thrown) {
        if (!(thrown instanceof Trouble) || thrown.body.code !== 'DASHBOARD_CHANGED') throw thrown;
        // What stands there is shown, so that the next save stands on it.
        const newest = await newestFile(file.name);
        setTheirs(newest?.text ?? '');
        setVersion(newest?.version ?? null);
        throw thrown;
      }
    });
  const title = `dashboards/${file.name}.yaml`;
  return (
    <Modal
      opened
      onClose={onClose}
      title={title}
      size={860}
      closeOnClickOutside={!changed}
      closeOnEscape={!changed}
      closeButtonProps={{ 'aria-label': t('close') }}
    >
      <div className="stack">
        <Textarea
          aria-label={title}
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
          rows={22}
          spellCheck={false}
          styles={{ input: { fontFamily: 'var(--mono)', fontSize: 13, lineHeight: '20px' } }}
        />
        {trouble !== null && <Problem trouble={trouble} compact />}
        {theirs !== null && (
          <>
            <p className="warn">{t(theirs === '' ? 'save_removed' : 'save_conflict')}</p>
            {theirs !== '' && <Copied text={theirs} />}
          </>
        )}
        <div className="end-row">
          {changed && <span className="faint small">{t('unsaved')}</span>}
          <Button onClick={save} disabled={!changed}>
            {t('save')}
          </Button>
        </div>
      </div>
    </Modal>
  );
}

/** Earlier versions; taking one back saves it as the newest, so that this can be taken back too. */
export function Versions({ file, onClose, onSaved }: Props) {
  const { t, instant, ago } = useWords();
  const path = `/v1/dashboards/${encodeURIComponent(file.name)}/versions`;
  const list = useLive(path, (signal) => call<DashboardVersionsAnswer>('GET', path, { signal }));
  const [trouble, setTrouble] = useState<Trouble | null>(null);
  const restore = (version: string) =>
    troubled(setTrouble, async () => {
      const { text } = await call<DashboardAnswer>('GET', `${path}/${version}`);
      await saveFile(file.name, { text }, file.version);
      onSaved();
    });
  return (
    <Modal opened onClose={onClose} title={t('versions')} closeButtonProps={{ 'aria-label': t('close') }}>
      <div className="stack">
        {(trouble ?? list.error) !== null && <Problem trouble={(trouble ?? list.error)!} compact />}
        {list.data === null && list.error === null && <Placeholder />}
        {list.data?.versions.length === 0 && <p className="faint">{t('versions_none')}</p>}
        <ul className="items">
          {list.data?.versions.map(({ version, at, by }, k) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: one text may have been saved twice
            <li key={`${k} ${version}`} className="item">
              <div>
                <p title={instant(Date.parse(at))}>{ago(Date.parse(at))}</p>
                <p className="faint small">{by === 'file' ? t('version_by_file') : by}</p>
              </div>
              {version === file.version ? (
                <span className="faint small">{t('version_now')}</span>
              ) : (
                <Button variant="default" onClick={() => restore(version)}>
                  {t('version_restore')}
                </Button>
              )}
            </li>
          ))}
        </ul>
      </div>
    </Modal>
  );
}
