import { checkModel, predict, predictor, train } from '#learn';
import { readTable } from '/work/main/test/learn/data.ts';

const adultNames =
  'age workclass fnlwgt education education_num marital occupation relationship race sex gain loss hours country income'.split(' ');
const sets: Record<string, [any, string, any?]> = {
  german: [() => readTable('german-credit/german.data', /[ \t]+/, null), 'class', { task: 'classification' }],
  telco: [() => readTable('telco-churn/Telco-Customer-Churn.csv.gz', ',', null), 'Churn'],
  bike: [() => readTable('bike-sharing/hour.csv.gz', ',', null), 'cnt'],
  california: [() => readTable('california-housing/housing.csv.gz', ',', null), 'median_house_value'],
  higgs: [() => readTable('higgs-lightgbm/binary.train.tsv.gz', '\t', ['y', ...Array.from({ length: 28 }, (_, i) => 'f' + i)]), 'y'],
  adult: [() => readTable('adult-census/adult-train.csv.gz', /, ?/, adultNames), 'income'],
  sms: [() => readTable('sms-spam/SMSSpamCollection.gz', '\t', ['label', 'text']), 'label'],
};
for (const name of process.argv.slice(2)) {
  const [load, target, plan] = sets[name]!;
  const cols = load();
  const t = performance.now();
  const m = await train({ target, ...plan }, cols);
  const r = m.report!;
  console.log('==', name, ((performance.now() - t) / 1000).toFixed(1) + 's', r.rows, r.split, 'bytes', JSON.stringify(m).length);
  for (const x of r.trials)
    console.log('  ', x.candidate.name, r.metric, x.score.toFixed(5), x.rounds, (x.trainMillis | 0) + 'ms', x.share.toFixed(2));
  console.log(
    '  ',
    r.scores.map((f) => `${f.metric} ${f.value.toFixed(4)}±${f.error.toFixed(4)}`).join(' '),
    'rule',
    r.rule.text,
    r.rule.score.toFixed(4),
    'gain',
    r.rule.gain.toFixed(4),
    '±',
    r.rule.gainError.toFixed(4),
    r.better,
  );
  for (const w of r.warnings) console.log('  !', w.kind, w.text);
  console.log(
    '  ',
    r.importance
      .slice(0, 5)
      .map((i) => i.column + ' ' + i.loss.toFixed(3))
      .join(', '),
  );
  checkModel(JSON.parse(JSON.stringify(m)));
}
