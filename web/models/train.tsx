import { Button, MultiSelect, Select, TextInput } from '@mantine/core';
import { useEffect, useState } from 'react';
import type { CatalogAnswer, ModelsAnswer, QueryAnswer, SessionAnswer, TargetsAnswer, TrainingsAnswer } from '../../src/server/api.ts';
import { call, type Trouble, troubled } from '../api.ts';
import { Copied } from '../copy.tsx';
import { newId } from '../id.ts';
import { useLive } from '../live.ts';
import { go } from '../route.ts';
import { literal, quoted, quotedTable, tableWord } from '../sql.ts';
import { Empty, Page, Placeholder, Problem } from '../states.tsx';
import { useWords } from '../words/index.tsx';
import { TrainingList } from './trainings.tsx';

type Table = CatalogAnswer['tables'][number];

const budgets = [30, 120, 600, 3600];

/** A table and the column to predict become a model: the statement that is run stands below, to be changed in Ask. */
export default function TrainPage({ who }: { who: SessionAnswer }) {
  const { t, duration } = useWords();
  const catalog = useLive('catalog', (signal) => call<CatalogAnswer>('GET', '/v1/catalog', { signal }));
  const models = useLive('models', (signal) => call<ModelsAnswer>('GET', '/v1/models', { signal }));
  const [source, setSource] = useState<string | null>(null);
  const [target, setTarget] = useState<string | null>(null);
  const [ignored, setIgnored] = useState<string[]>([]);
  const [typed, setTyped] = useState('');
  const [seconds, setSeconds] = useState(budgets[0]!);
  const [job, setJob] = useState<string | null>(null);
  const [trouble, setTrouble] = useState<Trouble | null>(null);
  const likely = useLikely(source);
  const trainings = useLive('trainings', (signal) => call<TrainingsAnswer>('GET', '/v1/trainings', { signal }), 1_000);
  if (who.role !== 'admin' && who.role !== 'editor') return <Empty>{t('train_editor')}</Empty>;
  if (catalog.data === null)
    return catalog.error === null ? <Placeholder /> : <Problem trouble={catalog.error} onRetry={catalog.refresh} />;
  const tables = catalog.data.tables.filter(({ origin }) => origin !== 'system');
  const table = tables.find((each) => fullName(each) === source) ?? null;
  const names = table?.columns.map(({ name }) => name).filter((name) => !name.startsWith('_')) ?? [];
  const name = typed.trim() || (table !== null && target !== null ? tableWord(`${table.name}_${target}`) : '');
  const full = name.includes('.') ? name : `main.${name}`;
  const isKnown = models.data?.models.some((model) => model.name === full.toLowerCase()) ?? false;
  const sql = table === null || target === null ? null : statement({ table, target, name, ignored, seconds });
  const train = async (asked: string) => {
    const id = `train_${newId()}`;
    setTrouble(null);
    setJob(id);
    const failed = (thrown: Trouble) => {
      // Who gave it up needs no telling.
      if (thrown.body.code !== 'QUERY_CANCELLED') setTrouble(thrown);
      setJob(null);
    };
    await troubled(failed, async () => {
      const { rows } = await call<QueryAnswer>('POST', '/v1/query', { body: { sql: asked, job: id } });
      go(`/models/${encodeURIComponent(String(rows[0]![0]))}`);
    });
  };
  return (
    <Page title={t('train')} lead={t('train_lead')}>
      {tables.length === 0 && <Empty>{t('train_no_table')}</Empty>}
      <form
        className="card stack"
        onSubmit={(event) => {
          event.preventDefault();
          if (sql !== null) void train(sql);
        }}
      >
        <div className="fields">
          <Select
            label={t('train_table')}
            data={tables.map(fullName)}
            value={source}
            onChange={(value) => {
              setSource(value);
              setTarget(null);
              setIgnored([]);
            }}
            searchable
            required
            disabled={job !== null}
          />
          <Select
            label={t('train_target')}
            inputWrapperOrder={['label', 'input', 'description', 'error']}
            description={likely.length === 0 ? undefined : t('train_likely', { columns: likely.slice(0, 3).join(', ') })}
            data={[...likely, ...names.filter((each) => !likely.includes(each))]}
            value={target}
            onChange={setTarget}
            searchable
            required
            disabled={table === null || job !== null}
          />
          <MultiSelect
            label={t('train_ignored')}
            data={names.filter((each) => each !== target)}
            value={ignored}
            onChange={setIgnored}
            searchable
            clearable
            disabled={table === null || job !== null}
          />
          <Select
            label={t('train_budget')}
            data={budgets.map((value) => ({ value: String(value), label: duration(value * 1000) }))}
            value={String(seconds)}
            onChange={(value) => value !== null && setSeconds(Number(value))}
            allowDeselect={false}
            disabled={job !== null}
          />
          <TextInput
            label={t('train_name')}
            value={typed}
            placeholder={name}
            onChange={({ currentTarget: { value } }) => setTyped(value)}
            autoComplete="off"
            spellCheck={false}
            disabled={job !== null}
          />
        </div>
        {isKnown && name !== '' && <p className="faint small">{t('train_again', { name: full })}</p>}
        {sql !== null && <Copied text={sql} />}
        {trouble !== null && <Problem trouble={trouble} compact />}
        <div className="end-row">
          <Button type="submit" loading={job !== null} disabled={sql === null}>
            {t('train_run')}
          </Button>
        </div>
      </form>
      {job !== null && (
        <section className="card" role="status">
          <h2>{t('trainings')}</h2>
          <TrainingList trainings={trainings.data?.trainings.filter((each) => each.job === job) ?? []} who={who} />
          <p className="faint small">{t('train_stay')}</p>
        </section>
      )}
    </Page>
  );
}

/** Columns of the table that could be predicted, the likeliest first; none while it is not known. A hint that fails is none. */
function useLikely(source: string | null): readonly string[] {
  const [found, setFound] = useState<TargetsAnswer | null>(null);
  useEffect(() => {
    if (source === null) return;
    const ends = new AbortController();
    call<TargetsAnswer>('GET', `/v1/targets?table=${encodeURIComponent(source)}`, { signal: ends.signal }).then(setFound, () => {});
    return () => ends.abort();
  }, [source]);
  return found !== null && found.table === source ? found.targets.map(({ column }) => column) : [];
}

const fullName = ({ schema, name }: Table) => `${schema}.${name}`;

function statement(given: { table: Table; target: string; name: string; ignored: readonly string[]; seconds: number }): string {
  const { table, target, name, ignored, seconds } = given;
  // What Millrace adds to a table tells of its coming, not of what it says.
  const own = table.columns.map((column) => column.name).filter((column) => column.startsWith('_') && column !== target);
  const left = [...ignored, ...own];
  const options = [
    `input_label_cols = [${literal(target)}]`,
    `budget = '${seconds} seconds'`,
    ...(left.length === 0 ? [] : [`ignore_cols = [${left.map(literal).join(', ')}]`]),
  ];
  const model = name.split('.').map(quoted).join('.');
  return `CREATE OR REPLACE MODEL ${model}\nOPTIONS(${options.join(', ')})\nAS SELECT * FROM ${quotedTable(table)}`;
}
