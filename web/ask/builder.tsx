import { Autocomplete, Button, Checkbox, MultiSelect, SegmentedControl, Select, TextInput } from '@mantine/core';
import type { Table } from '#core';
import { timeRanges } from '#visualize';
import type { MetricFacts } from '../../src/server/api.ts';
import { ask } from '../api.ts';
import { useLive } from '../live.ts';
import { quotedTable } from '../sql.ts';
import { useWords } from '../words/index.tsx';
import { today } from '../zone.ts';
import { aggregates, type Condition, isNumber, isTime, plainColumns, type Question, type Test, tests } from './question.ts';

/** What is asked about: one of the tables or metrics. */
export type Subject = { readonly kind: 'table'; readonly table: Table } | { readonly kind: 'metric'; readonly metric: MetricFacts };

export const keyOf = (subject: Subject) =>
  subject.kind === 'table' ? `table ${subject.table.schema}.${subject.table.name}` : `metric ${subject.metric.name}`;

const most = 3;

/** A figure, what it is broken down by, what is filtered, and which time is looked at. */
export function Builder({
  subjects,
  subject,
  question,
  onSubject,
  onQuestion,
}: {
  subjects: readonly Subject[];
  subject: Subject | null;
  question: Question | null;
  onSubject: (subject: Subject) => void;
  onQuestion: (question: Question) => void;
}) {
  const { t } = useWords();
  const labelled = (kind: Subject['kind']) =>
    subjects
      .filter((each) => each.kind === kind)
      .map((each) => ({
        value: keyOf(each),
        label: each.kind === 'table' ? `${each.table.schema}.${each.table.name}` : each.metric.title,
      }));
  return (
    <div className="builder card">
      <Select
        label={t('question_about')}
        placeholder={t('question_about_hint')}
        searchable
        allowDeselect={false}
        value={subject === null ? null : keyOf(subject)}
        onChange={(key) => {
          const next = subjects.find((each) => keyOf(each) === key);
          if (next !== undefined) onSubject(next);
        }}
        data={[
          { group: t('metrics'), items: labelled('metric') },
          { group: t('data'), items: labelled('table') },
        ].filter(({ items }) => items.length > 0)}
      />
      {subject !== null && question !== null && <Parts subject={subject} question={question} onQuestion={onQuestion} />}
    </div>
  );
}

function Parts({ subject, question, onQuestion }: { subject: Subject; question: Question; onQuestion: (question: Question) => void }) {
  const { t } = useWords();
  const set = (part: Partial<Question>) => onQuestion({ ...question, ...part });
  const columns = subject.kind === 'table' ? plainColumns(subject.table) : [];
  const dimensions = subject.kind === 'table' ? columns.map(({ name }) => name) : subject.metric.dimensions;
  const numbers = columns.filter((column) => question.aggregate === 'distinct' || isNumber(column)).map(({ name }) => name);
  const times = columns.filter(isTime).map(({ name }) => name);
  const hasTime = question.time !== null;
  return (
    <>
      {subject.kind === 'table' && (
        <Select
          label={t('question_figure')}
          allowDeselect={false}
          value={question.aggregate}
          onChange={(value) => {
            const aggregate = value as Question['aggregate'];
            const fits = aggregate !== 'count' && numbers.includes(question.measure ?? '');
            const first = columns.filter((column) => aggregate === 'distinct' || isNumber(column))[0]?.name ?? null;
            set({ aggregate, measure: aggregate === 'count' ? null : fits ? question.measure : first });
          }}
          data={aggregates.map((value) => ({ value, label: t(`aggregate_${value}`) }))}
        />
      )}
      {question.aggregate !== 'count' && (
        <Select
          label={t('question_of')}
          searchable
          allowDeselect={false}
          value={question.measure}
          onChange={(measure) => set({ measure })}
          data={numbers}
        />
      )}
      <MultiSelect
        label={t('question_by')}
        placeholder={question.by.length === 0 ? t('question_by_hint') : ''}
        searchable
        maxValues={most}
        value={[...question.by]}
        onChange={(by) => set({ by })}
        data={[...dimensions]}
      />
      {times.length > 1 && (
        <Select label={t('question_time')} allowDeselect={false} value={question.time} onChange={(time) => set({ time })} data={times} />
      )}
      {hasTime && (
        <div>
          <span className="label">{t('question_grain')}</span>
          <SegmentedControl
            value={question.grain}
            onChange={(grain) => set({ grain: grain as Question['grain'] })}
            data={(['none', 'day', 'week', 'month'] as const).map((value) => ({ value, label: t(`grain_${value}`) }))}
          />
        </div>
      )}
      {hasTime && <Period question={question} set={set} comparable={subject.kind === 'table' || question.grain === 'none'} />}
      <Conditions subject={subject} question={question} set={set} dimensions={subject.kind === 'table' ? dimensions : question.by} />
    </>
  );
}

function Period({ question, set, comparable }: { question: Question; set: (part: Partial<Question>) => void; comparable: boolean }) {
  const { t } = useWords();
  const day = today();
  return (
    <>
      <Select
        label={t('range')}
        allowDeselect={false}
        value={question.range}
        onChange={(range) => set({ range: range as Question['range'], from: question.from || day, to: question.to || day })}
        data={[...timeRanges, 'custom' as const].map((value) => ({ value, label: t(`range_${value}`) }))}
      />
      {question.range === 'custom' &&
        (['from', 'to'] as const).map((end) => (
          <TextInput
            key={end}
            type="date"
            label={t(end)}
            value={question[end]}
            onChange={({ currentTarget: { value } }) => value !== '' && set({ [end]: value })}
          />
        ))}
      {question.range !== 'all' && comparable && (
        <Checkbox
          className="compare"
          label={t('compare_previous')}
          checked={question.compare}
          onChange={({ currentTarget: { checked } }) => set({ compare: checked })}
        />
      )}
    </>
  );
}

function Conditions({
  subject,
  question,
  set,
  dimensions,
}: {
  subject: Subject;
  question: Question;
  set: (part: Partial<Question>) => void;
  dimensions: readonly string[];
}) {
  const { t } = useWords();
  const { conditions } = question;
  const change = (at: number, part: Partial<Condition>) => set({ conditions: conditions.with(at, { ...conditions[at]!, ...part }) });
  return (
    <div className="conditions">
      {conditions.map((condition, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a condition has no other name than its place
        <div className="condition" key={at}>
          <Select
            aria-label={t('column')}
            searchable
            allowDeselect={false}
            value={condition.column}
            onChange={(column) => column !== null && change(at, { column, value: '' })}
            data={[...dimensions]}
          />
          <Select
            aria-label={t('condition_test')}
            allowDeselect={false}
            value={condition.test}
            onChange={(test) => change(at, { test: test as Test })}
            data={tests.map((value) => ({ value, label: t(`test_${value}`) }))}
          />
          {condition.test !== 'empty' && condition.test !== 'filled' && (
            <Value subject={subject} condition={condition} onValue={(value) => change(at, { value })} />
          )}
          <Button
            variant="default"
            px={12}
            aria-label={`${t('remove')}: ${condition.column}`}
            onClick={() => set({ conditions: conditions.toSpliced(at, 1) })}
          >
            ×
          </Button>
        </div>
      ))}
      {dimensions.length > 0 && (
        <Button variant="default" onClick={() => set({ conditions: [...conditions, { column: dimensions[0]!, test: 'is', value: '' }] })}>
          {t('condition_add')}
        </Button>
      )}
    </div>
  );
}

/** The most frequent values are offered; any other can be typed. */
function Value({ subject, condition, onValue }: { subject: Subject; condition: Condition; onValue: (value: string) => void }) {
  const { t } = useWords();
  const { column } = condition;
  const quoted = `"${column.replaceAll('"', '""')}"`;
  const sql =
    subject.kind === 'table' && (condition.test === 'is' || condition.test === 'is_not')
      ? `SELECT ${quoted}::VARCHAR FROM ${quotedTable(subject.table)} WHERE ${quoted} IS NOT NULL GROUP BY 1 ORDER BY count(*) DESC LIMIT 50`
      : null;
  const values = useLive(sql, (signal) => ask({ sql: sql! }, signal));
  const [typed, known] = [condition.value, values.data?.rows.map(([cell]) => String(cell)) ?? []];
  return <Autocomplete aria-label={t('condition_value')} value={typed} onChange={onValue} data={[...new Set(known)]} />;
}
