import assert from 'node:assert/strict';
import { test } from 'node:test';
import { plain } from '../src/view/safe';
import { Ui } from '../src/view/ui';
import { wishWords } from '../src/view/wishes';

test('a wish reads the same wherever it stands', () => {
  const cases: [string, unknown, string][] = [
    ['sampler', 'tpe', 'Sampler TPE'],
    ['ratio', 0.25, 'LLM share 0.25'],
    ['hint', 'fewer leaves', 'Hint “fewer leaves”'],
    ['extend', 20, '20 more trials'],
    ['lock', 'max_depth', 'Lock max_depth'],
    ['pause', null, 'Pause'],
    ['range', { param: 'a', low: 0.1, high: 2 }, 'Range of a: 0.1 to 2'],
    ['range', { param: 'a', choices: ['x', null, true] }, 'Range of a: x, None, true'],
    ['enqueue', { a: 0.5, b: 'x' }, 'Run a 0.5, b x']
  ];
  cases.forEach(([wish, value, words]) => assert.equal(wishWords(wish, value), words));
});

test('a wish of a damaged or hostile file is words too', () => {
  assert.equal(wishWords('range', null), 'Range of : – to –');
  assert.equal(wishWords('fly\u202e', '\u001b[31mhigh'), 'Fly high');
  assert.equal(wishWords('sampler', 'constructor'), 'Sampler constructor');
  assert.equal(wishWords('lock', '<img src=x>\u2066'), 'Lock <img src=x>', 'markup stays text');
});

test('what deceives the eye or the terminal is taken out, all else stays', () => {
  const cases: [unknown, string][] = [
    ['\u001b[31mred\u001b[0m', 'red'],
    ['\u001b]8;;https://evil.invalid\u0007click\u001b]8;;\u0007', 'click'],
    ['\u009b2Jx', 'x'],
    ['gnp\u202e.exe \u2066a\u2069\u200f', 'gnp.exe a'],
    ['zero\u200bwidth\ufeff\u0000\u007f', 'zerowidth'],
    ['tab\tand\nline', 'tab\tand\nline'],
    ['naïve λ 漢字 👩‍🔬', 'naïve λ 漢字 👩‍🔬'],
    [null, ''],
    [3, '3']
  ];
  cases.forEach(([text, shown]) => assert.equal(plain(text), shown));
});

test('the focus tells its listeners of a change, and only of a change', () => {
  const ui = new Ui();
  const seen: (number | null)[] = [];
  const stop = ui.listen(() => seen.push(ui.focus.hover));
  ui.hover(3);
  ui.hover(3);
  ui.pin(3);
  ui.pin(3);
  assert.deepEqual([seen, ui.focus.pinned], [[3, 3, 3], null]);
  stop();
  ui.hover(null);
  assert.equal(seen.length, 3);
});
