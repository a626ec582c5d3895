import { Button, Modal, NativeSelect, Progress, SegmentedControl, TextInput } from '@mantine/core';
import { useEffect, useMemo, useState } from 'react';
import type { ErrorBody } from '#core';
import type { CatalogAnswer, TransferRun, UploadAnswer, UploadLoad } from '../../src/server/api.ts';
import { call, parseExact, Trouble } from '../api.ts';
import { useLive } from '../live.ts';
import { go } from '../route.ts';
import { freeTable, tableOfFile } from '../sql.ts';
import { Problem } from '../states.tsx';
import { Grid } from '../table/grid.tsx';
import { useWords } from '../words/index.tsx';
import { useReturnedFocus } from './returned-focus.ts';

interface Props {
  readonly file: File;
  /** How many come after it. */
  readonly waiting: number;
  onClose(): void;
  onLoaded(): void;
}

/** The dialog in which a file becomes a table. */
export default function LoadFile({ file, waiting, onClose, onLoaded }: Props) {
  const { t } = useWords();
  useReturnedFocus();
  return (
    <Modal opened onClose={onClose} returnFocus={false} title={t('load_title')} size={760} closeButtonProps={{ 'aria-label': t('close') }}>
      {waiting > 0 && <p className="faint small">{t('load_waiting', { n: waiting })}</p>}
      <Loading file={file} onDone={onLoaded} />
    </Modal>
  );
}

/** What comes back of a file that was sent: what it seems to be, and its first rows. */
function Loading({ file, onDone }: { file: File; onDone: () => void }) {
  const { t, share, bytes } = useWords();
  const [sent, setSent] = useState(0);
  const [upload, setUpload] = useState<UploadAnswer | null>(null);
  const [trouble, setTrouble] = useState<Trouble | null>(null);
  const [round, setRound] = useState(0);
  // Beside the sending: which names are taken is known when the form comes.
  const catalog = useLive('catalog', (signal) => call<CatalogAnswer>('GET', '/v1/catalog', { signal }));
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new round sends it again
  useEffect(() => {
    setTrouble(null);
    setSent(0);
    const request = send(file, { onShare: setSent, onDone: setUpload, onTrouble: setTrouble });
    return () => request.abort();
  }, [file, round]);
  return (
    <div className="stack">
      <p className="faint middle-cut" title={file.name}>
        {file.name} · {bytes(file.size)}
      </p>
      {trouble !== null && <Problem trouble={trouble} onRetry={() => setRound((now) => now + 1)} compact />}
      {catalog.error !== null && <Problem trouble={catalog.error} onRetry={catalog.refresh} compact />}
      {trouble === null && (upload === null || catalog.data === null) && (
        <div role="status">
          <Progress value={sent * 100} aria-label={t('load_title')} />
          <p className="faint">{sent < 1 ? t('load_running', { share: share(sent) }) : t('load_reading')}</p>
        </div>
      )}
      {upload !== null && catalog.data !== null && (
        <Guessed file={file} upload={upload} tables={catalog.data.tables} onUpload={setUpload} onDone={onDone} />
      )}
    </div>
  );
}

const types = ['VARCHAR', 'BIGINT', 'DOUBLE', 'DECIMAL(18,2)', 'BOOLEAN', 'DATE', 'TIMESTAMP', 'JSON'];

function Guessed({
  file,
  upload,
  tables,
  onUpload,
  onDone,
}: {
  file: File;
  upload: UploadAnswer;
  tables: CatalogAnswer['tables'];
  onUpload: (upload: UploadAnswer) => void;
  onDone: () => void;
}) {
  const { t, number } = useWords();
  const { guess, rows, refused } = upload;
  const [named, setTable] = useState<string | null>(null);
  const [mode, setMode] = useState<'append' | 'replace'>('append');
  const [chosen, setChosen] = useState<Readonly<Record<string, string>>>({});
  const [trouble, setTrouble] = useState<Trouble | null>(null);
  const [run, setRun] = useState<string | null>(null);
  const held = (target: string) => tables.find(({ schema, name }) => `${schema}.${name}`.toLowerCase() === target.toLowerCase());
  const word = tableOfFile(file.name);
  // Another file of the same name is not the same table's: whoever wants its rows in there says so.
  const table = named ?? `main.${freeTable(word, (each) => held(`main.${each}`) !== undefined)}`;
  const target = table.includes('.') ? table : `main.${table}`;
  const existing = held(target);
  const exists = existing !== undefined;
  const meant = held(`main.${word}`) !== undefined && named === null ? `main.${word}` : null;
  const look = async (source: string, next: Readonly<Record<string, string>>) => {
    setChosen(next);
    await trying(setTrouble, async () =>
      onUpload(
        await call<UploadAnswer>('POST', `/v1/uploads/${upload.upload}/preview`, {
          body: { kind: guess.kind, table: source, types: next },
        }),
      ),
    );
  };
  const load = () =>
    trying(setTrouble, async () => {
      const body: UploadLoad = {
        kind: guess.kind as NonNullable<UploadLoad['kind']>,
        table,
        // One that does not exist yet is made by either.
        mode: exists ? mode : 'replace',
        source_table: guess.table,
        types: { ...chosen },
      };
      setRun((await call<{ run: string }>('POST', `/v1/uploads/${upload.upload}/load`, { body })).run);
    });
  const data = useMemo(() => ({ columns: guess.columns.map(({ name }) => ({ name, type: 'VARCHAR' })), rows }), [guess, rows]);
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        load();
      }}
    >
      <TextInput
        label={t('load_table')}
        value={table}
        onChange={(event) => setTable(event.currentTarget.value)}
        disabled={run !== null}
        data-autofocus
      />
      {meant !== null && run === null && (
        <div className="end-row load-taken">
          <p className="faint small">{t('load_taken', { table: meant })}</p>
          <Button variant="default" onClick={() => setTable(meant)}>
            {t('load_into', { table: meant })}
          </Button>
        </div>
      )}
      {guess.tables.length > 1 && (
        <NativeSelect
          label={t('load_part')}
          value={guess.table}
          onChange={({ currentTarget: { value } }) => look(value, {})}
          data={guess.tables.map(({ name }) => name)}
        />
      )}
      {exists && (
        <div>
          <span className="label">{t('load_mode')}</span>
          <SegmentedControl
            fullWidth
            value={mode}
            onChange={(next) => setMode(next as typeof mode)}
            disabled={run !== null}
            data={(['append', 'replace'] as const).map((value) => ({ value, label: t(`load_${value}`) }))}
          />
        </div>
      )}
      {exists && (
        <p className="warn">
          {mode === 'replace'
            ? t('load_replace_warning', { table: target })
            : t(existing.rows === null ? 'load_append_warning' : 'load_append_rows', { table: target, n: number(existing.rows ?? 0) })}
        </p>
      )}
      <details>
        <summary>{t('load_types', { n: guess.columns.length })}</summary>
        <div className="inputs load-types">
          {guess.columns.map(({ name, type, note }) => (
            <NativeSelect
              key={name}
              label={name}
              description={note ?? undefined}
              value={type}
              onChange={({ currentTarget: { value } }) => look(guess.table, { ...chosen, [name]: value })}
              data={[...new Set([type, ...types])]}
            />
          ))}
        </div>
      </details>
      <Grid columns={data.columns} rows={data.rows} label={t('sample')} height={220} />
      <p className="faint small">
        {[guess.kind, ...Object.values(guess.options)].join(' · ')}
        {refused.length > 0 && ` · ${t('load_refused', { n: number(refused.length), line: refused[0]!.line, reason: refused[0]!.reason })}`}
      </p>
      {trouble !== null && <Problem trouble={trouble} compact />}
      {run === null ? (
        <Button type="submit" disabled={table === ''}>
          {t('load_go')}
        </Button>
      ) : (
        <Running
          run={run}
          onFailed={(failed) => {
            setTrouble(failed);
            setRun(null);
          }}
          onLoaded={() => {
            onDone();
            go(`/data/${target.split('.').map(encodeURIComponent).join('/')}`);
          }}
        />
      )}
    </form>
  );
}

function Running({ run, onLoaded, onFailed }: { run: string; onLoaded: () => void; onFailed: (trouble: Trouble) => void }) {
  const { t, number } = useWords();
  const state = useLive(run, (signal) => call<TransferRun>('GET', `/v1/transfers/runs/${run}`, { signal }), 300);
  // biome-ignore lint/correctness/useExhaustiveDependencies: only what the run says counts
  useEffect(() => {
    if (state.data?.state === 'done') onLoaded();
    const error = state.data?.state === 'failed' ? state.data.report?.error : null;
    if (state.data?.state === 'failed') onFailed(new Trouble(error ?? lost, 500));
    else if (state.error !== null) onFailed(state.error);
  }, [state.data, state.error]);
  const { rows = 0, total = null } = state.data?.progress ?? {};
  return (
    <div role="status">
      <Progress value={total === null || total === 0 ? 100 : (100 * rows) / total} animated={total === null} aria-label={t('load_title')} />
      <p className="faint">{t('load_rows', { n: number(rows) })}</p>
    </div>
  );
}

async function trying(onTrouble: (trouble: Trouble | null) => void, act: () => Promise<void>): Promise<void> {
  try {
    onTrouble(null);
    await act();
  } catch (thrown) {
    if (!(thrown instanceof Trouble)) throw thrown;
    onTrouble(thrown);
  }
}

const lost = { code: 'UNREACHABLE', message: '', remedy: '', retryable: true, params: {} };

/** fetch tells nothing of how much was sent. */
function send(
  file: File,
  heard: { onShare: (share: number) => void; onDone: (answer: UploadAnswer) => void; onTrouble: (trouble: Trouble) => void },
): XMLHttpRequest {
  const request = new XMLHttpRequest();
  request.open('POST', `/v1/uploads?${new URLSearchParams({ name: file.name })}`);
  request.setRequestHeader('content-type', 'application/octet-stream');
  if (/\.gz$/i.test(file.name)) request.setRequestHeader('content-encoding', 'gzip');
  request.upload.onprogress = ({ loaded, total }) => heard.onShare(total === 0 ? 1 : loaded / total);
  request.onerror = () => heard.onTrouble(new Trouble(lost, 0));
  request.onload = () => {
    const said = parseExact<UploadAnswer & { error?: ErrorBody }>(request.responseText || '{}');
    if (request.status < 300) return heard.onDone(said);
    heard.onTrouble(new Trouble(said.error ?? { ...lost, code: `HTTP_${request.status}` }, request.status));
  };
  request.send(file);
  return request;
}
