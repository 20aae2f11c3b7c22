import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scaleLinear } from 'd3-scale';
import { complete, freeName, isOurs, OPTIONS, optionAt, wrapped } from '../src/lab/magic-line';
import {
  count,
  duration,
  money,
  num,
  python,
  sentence,
  sourceName,
  unbroken,
  unmarked,
  val
} from '../src/view/format';
import { outMark, point, SHAPES, shapeOf } from '../src/view/marks';
import { paramScale, roomFor, valueTicks } from '../src/view/scales';

test('a reason stands in one line without marks, and a number stays with its error', () => {
  assert.equal(unmarked('lower `lr`, **not** `a*b`; 2 ** 3 ** 2'), 'lower lr, not a*b; 2 ** 3 ** 2');
  assert.equal(unbroken('0.338 ± 0.023, a ± b'), '0.338\u00a0±\u00a00.023, a ± b');
});

test('numbers are short and say what they are', () => {
  const cases: [number | null, string][] = [
    [0.88681234, '0.8868'],
    [0, '0'],
    [null, '–'],
    [NaN, '–'],
    [-3.14159, '−3.142'],
    [1e-8, '1e−8'],
    [0.00066712, '6.67e−4'],
    [31, '31'],
    [12345.678, '12,346'],
    [-33853.2, '−33,853'],
    [2_500_000, '2.5e6'],
    [0.5, '0.5000']
  ];
  cases.forEach(([x, text]) => assert.equal(num(x), text));
  assert.deepEqual(
    [val(0.5), val(true), val(false), val(null), val('gbdt'), val(undefined)],
    ['0.5', 'True', 'False', 'None', 'gbdt', '–']
  );
  assert.deepEqual([count(950), count(15_340), money(0.0591), money(null)], ['950', '15.3 k', '$0.059', '–']);
  assert.deepEqual(
    [duration(2.44), duration(75), duration(600), duration(7300)],
    ['2.4 s', '75 s', '10 min', '2 h 2 min']
  );
  assert.deepEqual([duration(0.003), duration(0)], ['<0.1 s', '0.0 s'], 'short is not nothing');
  assert.deepEqual(
    [money(0.00042), money(0.00001), money(0), money(12)],
    ['$0.0004', '<$0.0001', '$0', '$12.00']
  );
});

test('words become a sentence', () => {
  assert.deepEqual(['all done', 'Why?', ' x. ', '', 'from -0.1 to 2-3'].map(sentence), [
    'All done.',
    'Why?',
    'X.',
    '',
    'From −0.1 to 2-3.'
  ]);
});

test('a configuration is copied as Python', () => {
  assert.equal(
    python({ a: 0.5, b: null, c: true, 'd"': 'x"y' }),
    '{"a": 0.5, "b": None, "c": True, "d\\"": "x\\"y"}'
  );
});

test('no two sources have the same mark, since all can be in one legend; every shape is a closed path', () => {
  const drawn = Object.keys(SHAPES).map(source => point(shapeOf(source), 10, 20, 4));
  assert.equal(new Set(drawn).size, drawn.length);
  drawn.forEach(d => assert.match(d, /^M[\d.]+,[\d.]+.*Z$/));
});

test('scales: log where log, lanes for choices, whole numbers for integers', () => {
  const log = paramScale({ name: 'a', type: 'float', log: true }, [0.001, 1], [100, 0]);
  assert.ok(Math.abs(log.at(Math.sqrt(0.001))! - 50) < 1e-9);
  assert.equal(log.at(0), null);
  assert.deepEqual(
    log.ticks.map(t => t.label),
    ['0.001', '0.01', '0.1', '1']
  );
  const narrow = paramScale({ name: 'a', type: 'int', log: true }, [2, 56], [100, 0]);
  assert.deepEqual(
    narrow.ticks.map(t => t.label),
    ['2', '10', '50'],
    'round numbers where there are too few powers of ten'
  );
  const lanes = paramScale({ name: 'b', type: 'categorical', choices: ['x', 'y', null] }, [0, 1], [0, 90]);
  assert.deepEqual([lanes.at('x'), lanes.at(null), lanes.at('z'), lanes.value(50)], [15, 75, null, 'y']);
  const whole = paramScale({ name: 'c', type: 'int' }, [0, 10], [100, 0]);
  assert.equal(whole.value(43), 6);
  assert.ok(whole.ticks.every(t => !t.label.includes('.')));
  assert.equal(whole.at('7'), null);
});

test('a source that is no source of ours is a word and a square', () => {
  for (const name of ['constructor', '__proto__', 'toString']) {
    assert.deepEqual([sourceName(name), shapeOf(name)], [name, 'square']);
  }
});

test('ticks of a narrow scale are told apart', () => {
  const narrow = paramScale({ name: 'x', type: 'float' }, [0.881201, 0.881209], [100, 0], 4);
  const labels = narrow.ticks.map(t => t.label);
  assert.ok(labels.length > 2 && new Set(labels).size === labels.length, labels.join());
  assert.deepEqual(
    paramScale({ name: 'x', type: 'float' }, [0, 1], [100, 0], 2).ticks.map(t => t.label),
    ['0', '0.5', '1']
  );
});

test('numbers of an axis are told apart and short: all with exponents where they would be long', () => {
  const labels = (low: number, high: number) =>
    valueTicks(scaleLinear([low, high], [0, 300])).map(t => t.label);
  assert.deepEqual(labels(4.35e10, 5.05e10), [
    '4.4e10',
    '4.5e10',
    '4.6e10',
    '4.7e10',
    '4.8e10',
    '4.9e10',
    '5.0e10'
  ]);
  assert.deepEqual(labels(-1e-9, 4e-9), ['−1e−9', '0', '1e−9', '2e−9', '3e−9', '4e−9']);
  assert.deepEqual(labels(0, 2e9), ['0', '5e8', '1.0e9', '1.5e9', '2.0e9']);
  assert.deepEqual(labels(0.81, 0.89), ['0.82', '0.84', '0.86', '0.88']);
  assert.deepEqual(labels(165_000, 175_000).slice(0, 2), ['166,000', '168,000']);
  assert.ok(
    labels(1e9, 1e9 + 4).every(label => /^1,000,000,00\d$/.test(label)),
    'an exponent would be longer'
  );
  const integers = paramScale({ name: 'n', type: 'float' }, [1e9, 1.00000001e9], [0, 300]).ticks;
  assert.equal(new Set(integers.map(t => t.label)).size, integers.length);
  assert.ok(roomFor(['1,000,000,001'], 58) > 80 && roomFor(['4.4e10'], 58) === 58);
});

test('trials without a score have marks of their own', () => {
  assert.equal(new Set(['FAIL', 'PRUNED', 'INFEASIBLE', 'CUT_OFF'].map(end => outMark(end, 5, 5))).size, 4);
});

test('the magic is known by its name only', () => {
  assert.ok(isOurs('\n%%sllmbo run'));
  assert.ok(!isOurs('%%sllmbox'));
  assert.ok(!isOurs('x = "%%sllmbo"'));
});

test('options complete on the magic line, values after an option that takes one', () => {
  const labels = (text: string) => complete(text, text.length)?.items.map(i => i.label);
  assert.deepEqual(labels('%%sllmbo run --sa'), ['--sampler']);
  assert.ok(
    labels('%%sllmbo run --sampler llm-tpe --s')!.every(l => l !== '--sampler'),
    'given once, not offered again'
  );
  assert.deepEqual(labels('%%sllmbo --sampler l'), ['llm-tpe', 'llm']);
  assert.deepEqual(labels('%%sllmbo --sampler=t'), ['tpe']);
  const metrics = labels('%%sllmbo --metric ')!;
  assert.ok(
    metrics.length >= 10 && metrics.includes('roc_auc') && metrics.includes('r2'),
    'more than an example'
  );
  assert.deepEqual(labels('%%sllmbo --scoring neg_l'), ['neg_log_loss']);
  assert.ok(labels('%%sllmbo --llm ')!.includes('rulebook'));
  assert.deepEqual(labels('%%sllmbo a \\\n --sam'), ['--sampler']);
  assert.equal(labels('%%sllmbo run\nmodel = f(--x'), undefined);
  assert.equal(labels('print(1) --sa'), undefined);
});

test('every option is explained where it stands', () => {
  for (const option of OPTIONS) {
    for (const spelling of option.spellings) {
      const text = `%%sllmbo run ${spelling}`;
      assert.equal(optionAt(text, text.length - 2)?.option, option);
    }
  }
  assert.equal(optionAt('%%sllmbo run\n--sampler', 20), null);
});

test('a wrapped cell carries the settings that differ from the defaults', () => {
  const plain = {
    llm: 'rulebook',
    sampler: 'llm-tpe',
    nTrials: 50,
    maxRequests: 0,
    maxTokens: 0,
    maxCost: 0
  };
  assert.equal(wrapped('model = M()', 'run', plain), '%%sllmbo run\nmodel = M()');
  assert.equal(
    wrapped('x', 'run2', { ...plain, llm: 'openai:gpt-4o', nTrials: 20, maxCost: 0.5 }),
    '%%sllmbo run2 --llm openai:gpt-4o --n-trials 20 --max-cost 0.5\nx'
  );
  assert.equal(freeName(['%%sllmbo run\n', 'x', '%%sllmbo run2 --seed 1']), 'run3');
});
