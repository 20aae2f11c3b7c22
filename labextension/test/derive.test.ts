import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scaleLog } from 'd3-scale';
import type { Trial } from '../src/view/bundle';
import * as d from '../src/view/derive';
import { entriesOf } from '../src/view/entries';
import { causesOf } from '../src/view/panes/failures';
import { outcome } from '../src/view/plot';
import { valueTicks } from '../src/view/scales';
import { asBundle } from '../src/view/store';
import { asZoom } from '../src/view/zoom';

const trial = (
  n: number,
  value: number | null,
  params: Trial['params'] = {},
  more: Partial<Trial> = {}
): Trial => ({
  n,
  value,
  params,
  state: value === null ? 'FAIL' : 'COMPLETE',
  source: 'tpe',
  ...more
});
const run = (values: (number | null)[], direction = 'maximize') =>
  asBundle({ run: { direction, n_trials: values.length }, trials: values.map((v, n) => trial(n, v)) });

test('best so far follows the direction and skips failures', () => {
  assert.deepEqual(d.bestSoFar(run([1, null, 3, 2, 4])), [
    [0, 1],
    [2, 3],
    [4, 4]
  ]);
  assert.deepEqual(d.bestSoFar(run([5, 6, 2], 'minimize')), [
    [0, 5],
    [2, 2]
  ]);
});

test('an infeasible trial is neither the best nor ranked, and its score is told', () => {
  const bundle = run([1, 5, 3]);
  bundle.trials[1]!.state = 'INFEASIBLE';
  assert.deepEqual(d.bestSoFar(bundle), [
    [0, 1],
    [2, 3]
  ]);
  assert.deepEqual([...levelsOf(bundle).keys()], [0, 2]);
  assert.equal(outcome(bundle.trials[1]!), 'infeasible, 5');
  assert.equal(outcome(trial(3, null, {}, { state: 'INFEASIBLE', values: [1, 2] })), 'infeasible, 1, 2');
  assert.deepEqual(
    causesOf(bundle).map(({ cause, trials }) => [cause, trials.length]),
    [['infeasible', 1]]
  );
  const two = [
    { values: [1, 1], state: 'COMPLETE' },
    { values: [2, 2], state: 'INFEASIBLE' }
  ].map((more, n) => trial(n, null, {}, more));
  assert.deepEqual([...d.levels(two, 'maximize, maximize')], [[0, d.LEVELS - 1]]);
});

test('a trial that was cut off runs again: it is neither done nor failed', () => {
  const bundle = run([1, null, null]);
  Object.assign(bundle.trials[1]!, { error: 'stopped', cause: '' });
  Object.assign(bundle.trials[2]!, { error: 'stopped', cause: 'cut off when its process ended' });
  assert.equal(d.finished(bundle), 1);
  assert.deepEqual(causesOf(bundle), []);
  assert.deepEqual(bundle.trials.slice(1).map(outcome), ['cut off', 'cut off when its process ended']);
  assert.deepEqual(bundle.trials.map(d.outcomeOf), ['COMPLETE', 'CUT_OFF', 'CUT_OFF']);
});

test('the axis of the trials grows with them, up to the total, and ends with them', () => {
  const end = (n: number, more: object) =>
    d.axisEnd(
      asBundle({ run: { n_trials: 200, ...more }, trials: Array.from({ length: n }, (_, i) => trial(i, i)) })
    );
  assert.deepEqual(
    [0, 13, 100, 190, 200].map(n => end(n, { status: 'running' })),
    [10, 20, 150, 200, 200]
  );
  assert.equal(end(13, { status: 'stopped' }), 13);
});

test('some of the trials are shown with the best score before them, in which the default has no part', () => {
  const all = run([5, 3, 1, 2, 4, 0.5], 'minimize');
  const some = d.zoomed(all, [3, 4]);
  assert.deepEqual(
    some.trials.map(t => t.n),
    [3, 4]
  );
  const [low, high] = d.scoreDomain(some);
  assert.ok(low < 1 && low > 0.5 && high > 4 && high < 5);
  assert.equal(d.zoomed(all, [0, 2]).run.default_value, null);
});

test('a log scale is offered for scores of one sign and more than a decade apart', () => {
  const offers = (values: number[], default_value: number | null = null) =>
    d.spansDecade(
      asBundle({ run: { direction: 'maximize', default_value }, trials: values.map((v, n) => trial(n, v)) })
    );
  assert.deepEqual(
    [[1, 9], [1, 10], [-1, -10], [-1, 10], [0, 100], [0.2, 30], [5]].map(values => offers(values)),
    [false, true, true, false, false, true, false]
  );
  assert.deepEqual([offers([1, 5], 20), offers([1, 50], -20)], [true, false], 'the default counts too');
});

test('a log scale has room for every score, and round numbers', () => {
  const ends = (values: number[]) => d.logDomain(run(values)) as [number, number];
  const [low, high] = ends([40, 70_000, 200]);
  assert.ok(low < 40 && low > 20 && high > 70_000 && high < 140_000);
  const [lowest, highest] = ends([-40, -70_000]);
  assert.ok(lowest < -70_000 && highest > -40 && highest < 0);
  assert.equal(d.logDomain(run([-1, 1])), null);
  const labels = (domain: [number, number]) => valueTicks(scaleLog(domain, [300, 0])).map(t => t.label);
  assert.deepEqual(labels([low, high]), ['100', '1,000', '10,000', '100,000']);
  assert.deepEqual(labels([lowest, highest]), ['−100,000', '−10,000', '−1,000', '−100']);
  assert.deepEqual(labels([0.08, 1.2]), ['0.1', '0.2', '0.5', '1']);
});

test('a zoom has whole ends, not too close, inside of the trials; all of them is none', () => {
  assert.deepEqual(asZoom(10.4, 19.6, 99), { from: 10, to: 20 });
  assert.deepEqual(asZoom(30, 31, 99), { from: 30, to: 34 });
  assert.deepEqual(asZoom(98, 99, 99), { from: 95, to: null }, 'the newest, whichever that is');
  assert.equal(asZoom(-3, 120, 99), null);
});

test('the gain is positive when better, in both directions', () => {
  const of = (direction: string) =>
    d.gain(
      asBundle({ run: { direction, default_value: 2, best_value: direction === 'minimize' ? 1 : 3 } }).run
    );
  assert.deepEqual([of('maximize'), of('minimize')], [1, 1]);
  assert.equal(d.gain(asBundle({}).run), null);
});

const levelsOf = (bundle: ReturnType<typeof run>) => d.levels(bundle.trials, bundle.run.direction);

test('levels are ranks: the best is the highest whatever the direction', () => {
  assert.deepEqual(
    [...levelsOf(run([1, 2, 1000]))],
    [
      [0, 0],
      [1, 3],
      [2, 6]
    ]
  );
  assert.equal(levelsOf(run([1, 2, 1000], 'minimize')).get(0), 6);
  assert.deepEqual([...levelsOf(run([null]))], []);
});

test('one absurd score does not squash the rest', () => {
  const scores = [...Array.from({ length: 20 }, (_, i) => 0.8 + i / 200), -1000];
  const [low, high] = d.scoreDomain(run(scores));
  assert.ok(low > 0.5 && high < 1.2, `${low} to ${high}`);
  const [low2, high2] = d.scoreDomain(
    run(
      scores.map(s => -s),
      'minimize'
    )
  );
  assert.ok(low2 > -1.2 && high2 < -0.5, `${low2} to ${high2}`);
  assert.ok(d.scoreDomain(run([])).every(Number.isFinite));
  assert.ok(d.scoreDomain(run([0.5])).every(Number.isFinite));
});

test('the spread of the folds gets room, but never more than half of that of the scores', () => {
  const of = (std: number) =>
    d.scoreDomain(asBundle({ trials: [0.8, 0.84, 0.9].map((v, n) => trial(n, v, {}, { std })) }));
  const [low, high] = of(0.02);
  assert.ok(low > 0.79 && low < 0.8 && high > 0.92 && high < 0.935, `${low} to ${high}`);
  assert.ok(of(5)[1] < 0.97, 'folds that differ much do not press the scores flat');
});

test('bands run from a version to the next', () => {
  const float = (low: number) => [{ name: 'a', type: 'float', low, high: 1 }];
  const bundle = asBundle({
    space: {
      versions: [
        { version: 0, trial: 0, params: float(0) },
        { version: 1, trial: 8, params: float(0.5) },
        { version: 2, trial: 12, params: [] }
      ]
    }
  });
  assert.deepEqual(
    d.bands('a', bundle, 50).map(s => [s.from, s.to, s.spec.low]),
    [
      [0, 8, 0],
      [8, 12, 0.5]
    ]
  );
  assert.deepEqual(
    d.changes(bundle.space.versions[0], bundle.space.versions[1]!).map(c => c[0]),
    ['a']
  );
  assert.equal(d.changes(bundle.space.versions[1], bundle.space.versions[2]!)[0]![2], undefined);
});

test('a candidate leads to the trial of its own request only', () => {
  const trials = [
    trial(0, 1, { lr: 0.1, n: 5 }, { request: 0 }),
    trial(1, 1, { lr: 0.1, n: 5 }, { request: 1 }),
    trial(2, 1, { lr: 0.1000000001, n: 6 }, { request: 1 })
  ];
  assert.equal(d.trialOf({ params: { lr: 0.1, n: 5 } }, 1, trials)?.n, 1);
  assert.equal(d.trialOf({ params: { lr: 0.1, n: 6 } }, 1, trials)?.n, 2);
  assert.equal(d.trialOf({ params: { lr: 0.2, n: 6 } }, 1, trials), undefined);
});

test('what a parameter explains: all when it decides, little when it is noise', () => {
  const trials = Array.from({ length: 40 }, (_, i) =>
    trial(i, i / 40, { decides: i, noise: (i * 17) % 41, word: i < 20 ? 'a' : 'b', same: 1 })
  );
  const bundle = asBundle({ trials });
  assert.ok(d.explained('decides', bundle) > 0.9);
  assert.ok(d.explained('word', bundle) > 0.6);
  assert.ok(d.explained('noise', bundle) < 0.2);
  assert.ok(d.explained('same', bundle) < 0.98, 'ties are not mistaken for an effect of their own');
  assert.equal(d.explained('missing', bundle), 0);
});

test('parameters come from space, versions, or failing both from the trials', () => {
  const both = asBundle({
    space: {
      outer: [
        { name: 'b', type: 'float', low: 0, high: 1 },
        { name: 'a', type: 'int', low: 1, high: 9 }
      ],
      versions: [{ version: 0, trial: 0, params: [{ name: 'a', type: 'int', low: 0, high: 5 }] }]
    }
  });
  assert.deepEqual(
    d.parameters(both).map(p => [p.name, p.low, p.high]),
    [
      ['a', 0, 9],
      ['b', 0, 1]
    ]
  );
  const seen = asBundle({ trials: [trial(0, 1, { x: 2, k: 'u' }), trial(1, 1, { x: 5, k: 'v' })] });
  assert.deepEqual(
    d.parameters(seen).map(p => p.type),
    ['float', 'categorical']
  );
  assert.deepEqual(d.usedRange(d.parameters(seen)[0]!, seen), [2, 5]);
});

test('a parameter that never varies is not searched', () => {
  const params = [
    { name: 'lr', type: 'float', low: 0, high: 1 },
    { name: 'freq', fixed: 1 },
    { name: 'was', fixed: 2 },
    { name: 'one', type: 'categorical', choices: ['a'] }
  ];
  const bundle = asBundle({
    space: { versions: [{ version: 0, trial: 0, params }] },
    trials: [
      trial(0, 1, { lr: 0.5, freq: 1, was: 1, one: 'a' }),
      trial(1, 1, { lr: 0.5, freq: 1, was: 2, one: 'a' })
    ]
  });
  assert.deepEqual(
    d.searched(bundle).map(p => p.name),
    ['lr', 'was']
  );
});

test('the chat is in the order of time: messages, ranges, proposals without a request', () => {
  const bundle = asBundle({
    chat: [
      { id: 'p0', kind: 'prompt', trial: 1, time: 10 },
      { id: 'n1', kind: 'note', trial: null, time: 40 }
    ],
    space: {
      versions: [
        { version: 0, trial: 0, params: [], time: 5 },
        { version: 1, trial: 2, params: [] }
      ]
    },
    trials: [
      trial(0, 1, {}, { time: 6, reason: 'default' }),
      trial(1, 1, {}, { time: 20, reason: 'asked for', request: 0 }),
      trial(2, 1, {}, { time: 30, reason: 'a rule' }),
      trial(3, 1, {}, { time: 31, reason: '' })
    ]
  });
  const keys = entriesOf(bundle.chat, bundle.space.versions, bundle.trials).map(e => e.key);
  assert.deepEqual(keys, ['v0', 't0', 'p0', 'v1', 't2', 'n1']);
});

test('the time left is that of the trials left, and unknown before the first', () => {
  assert.equal(
    d.eta(
      asBundle({
        run: { n_trials: 4, seconds: 30, status: 'running' },
        trials: [trial(0, 1), trial(1, 1), trial(2, 1)]
      })
    ),
    10
  );
  assert.equal(d.eta(asBundle({ run: { n_trials: 4, seconds: 30, status: 'running' } })), null);
  const wish = (id: string, wish: string, time: number, state = 'applied') => ({
    ...{ id, kind: 'wish', wish, time, state }
  });
  const paused = asBundle({
    run: { n_trials: 2, seconds: 100, status: 'running' },
    trials: [trial(0, 1)],
    chat: [wish('a', 'pause', 10), wish('b', 'resume', 80), wish('c', 'pause', 90, 'pending')]
  });
  assert.equal(d.eta(paused), 30, 'a pause is no part of a trial');
  const all = { run: { n_trials: 1, seconds: 30, status: 'running' }, trials: [trial(0, 1)] };
  assert.equal(d.eta(asBundle(all)), null, 'after the last trial the run does something else');
});
