import { Button, Modal, Progress, SegmentedControl, TextInput } from '@mantine/core';
import { useEffect, useRef, useState } from 'react';
import type { ErrorBody } from '#core';
import type { LoadAnswer } from '../../src/server/api.ts';
import { Trouble } from '../api.ts';
import { go } from '../route.ts';
import { Problem } from '../states.tsx';
import { useWords } from '../words/index.tsx';

/** Asks the shell to load a file that was chosen elsewhere. */
export const loading = new EventTarget();
export const loadFile = (file: File) => loading.dispatchEvent(new CustomEvent('file', { detail: file }));

const formats: Readonly<Record<string, string>> = {
  csv: 'csv',
  tsv: 'csv',
  txt: 'csv',
  ndjson: 'ndjson',
  jsonl: 'ndjson',
  json: 'ndjson',
  parquet: 'parquet',
};

/** A file dropped anywhere becomes a table. */
export function DropToLoad() {
  const { t } = useWords();
  const [over, setOver] = useState(false);
  const [file, setFile] = useState<File | null>(null);
  useEffect(() => {
    let depth = 0;
    const carries = (event: DragEvent) => event.dataTransfer?.types.includes('Files') === true;
    const enter = (event: DragEvent) => {
      if (!carries(event)) return;
      depth++;
      setOver(true);
    };
    const leave = () => {
      depth = Math.max(0, depth - 1);
      if (depth === 0) setOver(false);
    };
    const hover = (event: DragEvent) => carries(event) && event.preventDefault();
    const drop = (event: DragEvent) => {
      if (!carries(event)) return;
      event.preventDefault();
      depth = 0;
      setOver(false);
      setFile(event.dataTransfer?.files[0] ?? null);
    };
    const chosen = (event: Event) => setFile((event as CustomEvent<File>).detail);
    const heard = new AbortController();
    const { signal } = heard;
    window.addEventListener('dragenter', enter, { signal });
    window.addEventListener('dragleave', leave, { signal });
    window.addEventListener('dragover', hover, { signal });
    window.addEventListener('drop', drop, { signal });
    loading.addEventListener('file', chosen, { signal });
    return () => heard.abort();
  }, []);
  return (
    <>
      {over && (
        <div className="drop" aria-hidden="true">
          <div>
            <strong>{t('drop_title')}</strong>
            <span>{t('drop_text')}</span>
          </div>
        </div>
      )}
      <Modal opened={file !== null} onClose={() => setFile(null)} title={t('load_title')} closeButtonProps={{ 'aria-label': t('close') }}>
        {file !== null && <Loading file={file} onDone={() => setFile(null)} />}
      </Modal>
    </>
  );
}

type Phase = { kind: 'asking' } | { kind: 'sending'; share: number } | { kind: 'failed'; trouble: Trouble };

function Loading({ file, onDone }: { file: File; onDone: () => void }) {
  const { t, share, bytes } = useWords();
  const format = formats[file.name.replace(/\.gz$/i, '').split('.').at(-1)!.toLowerCase()];
  const [table, setTable] = useState(() => tableName(file.name));
  const [mode, setMode] = useState('create');
  const [phase, setPhase] = useState<Phase>({ kind: 'asking' });
  const request = useRef<XMLHttpRequest | null>(null);
  useEffect(() => () => request.current?.abort(), []);
  if (format === undefined) return <p role="alert">{t('load_kind')}</p>;
  const start = () => {
    setPhase({ kind: 'sending', share: 0 });
    request.current = send(
      file,
      { table, mode, format },
      {
        onShare: (done) => setPhase({ kind: 'sending', share: done }),
        onDone: (answer) => {
          onDone();
          go(`/data/${answer.table.split('.').map(encodeURIComponent).join('/')}`);
        },
        onTrouble: (trouble) => setPhase({ kind: 'failed', trouble }),
      },
    );
  };
  const busy = phase.kind === 'sending';
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        start();
      }}
    >
      <p className="faint middle-cut" title={file.name}>
        {file.name} · {bytes(file.size)}
      </p>
      <TextInput
        label={t('load_table')}
        value={table}
        onChange={(event) => setTable(event.currentTarget.value)}
        disabled={busy}
        data-autofocus
      />
      <div>
        <span className="label">{t('load_mode')}</span>
        <SegmentedControl
          fullWidth
          value={mode}
          onChange={setMode}
          disabled={busy}
          data={(['create', 'append', 'replace'] as const).map((value) => ({ value, label: t(`load_${value}`) }))}
        />
      </div>
      {mode === 'replace' && <p className="warn">{t('load_replace_warning', { table })}</p>}
      {busy && (
        <div role="status">
          <Progress value={phase.share * 100} aria-label={t('load_title')} />
          <p className="faint">{phase.share < 1 ? t('load_running', { share: share(phase.share) }) : t('load_reading')}</p>
        </div>
      )}
      {phase.kind === 'failed' && <Problem trouble={phase.trouble} compact />}
      <Button type="submit" disabled={busy || table === ''}>
        {t('load_go')}
      </Button>
    </form>
  );
}

/** fetch tells nothing of how much was sent. */
function send(
  file: File,
  { table, mode, format }: { table: string; mode: string; format: string },
  heard: { onShare: (share: number) => void; onDone: (answer: LoadAnswer) => void; onTrouble: (trouble: Trouble) => void },
): XMLHttpRequest {
  const request = new XMLHttpRequest();
  request.open('POST', `/v1/load/${encodeURIComponent(table)}?${new URLSearchParams({ format, mode })}`);
  request.setRequestHeader('content-type', 'application/octet-stream');
  request.setRequestHeader('idempotency-key', crypto.randomUUID());
  if (/\.gz$/i.test(file.name)) request.setRequestHeader('content-encoding', 'gzip');
  request.upload.onprogress = ({ loaded, total }) => heard.onShare(total === 0 ? 1 : loaded / total);
  const unreachable = { code: 'UNREACHABLE', message: '', remedy: '', retryable: true, params: {} };
  request.onerror = () => heard.onTrouble(new Trouble(unreachable, 0));
  request.onload = () => {
    if (request.status < 300) return heard.onDone(JSON.parse(request.responseText));
    const { error } = JSON.parse(request.responseText || '{}') as { error?: ErrorBody };
    heard.onTrouble(new Trouble(error ?? { ...unreachable, code: `HTTP_${request.status}` }, request.status));
  };
  request.send(file);
  return request;
}

/** A name that needs no quotes in SQL. */
export function tableName(file: string): string {
  const stem = file
    .replace(/(\.\w+){1,2}$/, '')
    .normalize('NFC')
    .toLowerCase();
  const word = stem.replaceAll(/[^\p{L}\p{N}]+/gu, '_').replace(/^_+|_+$/g, '');
  return `main.${/^\p{L}/u.test(word) ? word : `t_${word}`}`.slice(0, 60);
}
