import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { displayed, displayMetric } from '../src/view/metric';
import { asBundle } from '../src/view/store';

const data = {
  run: {
    metric: 'neg_mean_absolute_error',
    direction: 'maximize',
    default_value: -47.4,
    best_value: -44.3,
    summary: { verification: { verdict: 'real', text: '', default_mean: -47, best_mean: -44, gain: 3 } }
  },
  trials: [
    { n: 0, state: 'COMPLETE', value: -47.4, std: 2, splits: [-47, -48], params: {} },
    { n: 1, state: 'FAIL', value: null, params: {} },
    { n: 2, state: 'RUNNING', folds: [-40, null], params: {} }
  ]
};

test('a loss is shown without its sign, and lower is better', () => {
  const bundle = asBundle(data);
  const { run, trials } = displayed(bundle);
  assert.deepEqual(
    [run.metric, run.direction, run.default_value, run.best_value],
    ['MAE', 'minimize', 47.4, 44.3]
  );
  assert.deepEqual(
    trials.map(t => t.value),
    [47.4, null, null].slice(0, 2).concat([undefined as never])
  );
  assert.deepEqual([trials[0]!.splits, trials[0]!.std, trials[2]!.folds], [[47, 48], 2, [40, null]]);
  const check = run.summary!.verification!;
  assert.deepEqual([check.default_mean, check.best_mean, check.gain], [47, 44, 3], 'a gain is a gain');
  assert.equal(bundle.run.best_value, -44.3, 'the data keep the sign');
  assert.equal(displayed(bundle).trials, trials, 'converted once');
});

test('what needs no other sign stays the same object', () => {
  const bundle = asBundle({ run: { metric: 'f1_weighted', direction: 'maximize' } });
  assert.equal(displayed(bundle), bundle);
});

test('metrics are shown as Python shows them', { skip: !process.env.SLLMBO_METRICS }, () => {
  for (const { given, shown } of JSON.parse(readFileSync(process.env.SLLMBO_METRICS!, 'utf8'))) {
    assert.deepEqual(displayMetric(given), shown, JSON.stringify(given));
  }
});
