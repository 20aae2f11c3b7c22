import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ParamSpec } from '../src/view/bundle';
import { endsOf, nudged, parseEnds, same, withEnd } from '../src/view/ranges';
import { paramScale } from '../src/view/scales';

const depth: ParamSpec = { name: 'depth', type: 'int', low: 2, high: 12 };
const rate: ParamSpec = { name: 'rate', type: 'float', low: 0.01, high: 1, log: true };

test('an end never passes the other', () => {
  assert.deepEqual(withEnd({ low: 2, high: 12 }, 'low', 5), { low: 5, high: 12 });
  assert.deepEqual(withEnd({ low: 2, high: 12 }, 'low', 12), { low: 2, high: 12 });
  assert.deepEqual(withEnd({ low: 2, high: 12 }, 'high', NaN), { low: 2, high: 12 });
});

test('a key moves an end along its own scale, a whole number by one at least', () => {
  const whole = paramScale(depth, [0, 1000], [100, 0]);
  assert.deepEqual(nudged({ low: 2, high: 12 }, 'high', 0.01, whole, 'int'), { low: 2, high: 13 });
  assert.deepEqual(nudged({ low: 2, high: 12 }, 'high', -0.01, whole, 'int'), { low: 2, high: 11 });
  const log = paramScale(rate, [0.01, 1], [100, 0]);
  assert.deepEqual(nudged({ low: 0.01, high: 1 }, 'low', 50, log, 'float'), { low: 0.1, high: 1 });
  assert.deepEqual(
    nudged({ low: 0, high: 1 }, 'low', 4, log, 'float'),
    { low: 0, high: 1 },
    'no place on a log scale'
  );
});

test('typed text is a range of its kind, or the reason why it is none', () => {
  assert.deepEqual(parseEnds('3', ' 8 ', depth), { low: 3, high: 8 });
  assert.deepEqual(parseEnds('1e-3', '.5', rate), { low: 0.001, high: 0.5 });
  const wrong: [string, string, ParamSpec, RegExp][] = [
    ['', '8', depth, /must be numbers/],
    ['x', '8', depth, /must be numbers/],
    ['0.1', 'Infinity', rate, /must be numbers/],
    ['8', '3', depth, /below the upper end/],
    ['3', '3', depth, /below the upper end/],
    ['2.5', '8', depth, /whole numbers/],
    ['0', '1', rate, /above 0/],
    ['-1', '1', rate, /above 0/]
  ];
  for (const [low, high, spec, problem] of wrong) {
    assert.match(String(parseEnds(low, high, spec)), problem, `${low} to ${high}`);
  }
  assert.ok(same(endsOf(depth), { low: 2, high: 12 }));
  assert.ok(!same(endsOf(depth), { low: 2, high: 11 }));
});
