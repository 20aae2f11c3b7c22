import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commandText } from '../src/view/commands';
import { eta } from '../src/view/derive';
import { plain } from '../src/view/safe';
import { asBundle } from '../src/view/store';
import { Ui } from '../src/view/ui';
import { activity, lossOf, requestsText, samplerNames, usesLlm, verdictOf } from '../src/view/words';

const llmRun = asBundle({ run: { llm: 'openai:gpt-4o', sampler: 'llm-tpe' } });
const rulebookRun = asBundle({ run: { llm: 'rulebook', sampler: 'llm-tpe' } });

test('a run is gone with its kernel, also where that is only heard to start anew', () => {
  const told = (status: string) => lossOf(status)?.restarted;
  assert.deepEqual(['restarting', 'autorestarting', 'starting'].map(told), [true, true, true]);
  assert.deepEqual(['dead', 'terminating'].map(told), [false, false]);
  assert.deepEqual(['idle', 'busy', 'unknown'].map(lossOf), [null, null, null]);
});

test('a command reads the same wherever it stands', () => {
  const cases: [string, unknown, string][] = [
    ['sampler', 'tpe', 'Sampler TPE'],
    ['ratio', 0.25, 'LLM share 0.25'],
    ['hint', 'fewer leaves', 'Hint “fewer leaves”'],
    ['extend', 20, '20 more trials'],
    ['lock', 'max_depth', 'Lock max_depth'],
    ['pause', null, 'Pause'],
    ['range', { param: 'a', low: 0.1, high: 2 }, 'Range of a: 0.1 to 2'],
    ['range', { param: 'a', choices: ['x', null, true] }, 'Range of a: x, None, True'],
    ['enqueue', { a: 0.5, b: 'x' }, 'Run a 0.5, b x']
  ];
  cases.forEach(([wish, value, words]) => assert.equal(commandText(wish, value, llmRun), words));
});

test('an LLM that answered no request is told at their number', () => {
  const said = (...kinds: string[]) =>
    requestsText(
      asBundle({
        cost: { requests: 2 },
        chat: kinds.map((kind, i) => ({ id: `${i}`, kind, trial: i, time: i }))
      })
    );
  assert.equal(said('prompt'), '2 requests', 'the first one is under way');
  assert.equal(said('prompt', 'fallback', 'prompt'), '2 requests, none answered');
  assert.equal(said('prompt', 'fallback', 'prompt', 'reply'), '2 requests');
});

test('a command of a damaged or hostile file is words too', () => {
  assert.equal(commandText('range', null, llmRun), 'Range of : – to –');
  assert.equal(commandText('fly\u202e', '\u001b[31mhigh', llmRun), 'Fly high');
  assert.equal(commandText('sampler', 'constructor', llmRun), 'Sampler constructor');
  assert.equal(commandText('lock', '<img src=x>\u2066', llmRun), 'Lock <img src=x>', 'markup stays text');
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

test('without an LLM nothing is called one', () => {
  assert.equal(commandText('sampler', 'llm-tpe', rulebookRun), 'Sampler Rulebook-TPE');
  assert.equal(commandText('ratio', 0.25, rulebookRun), 'Rulebook share 0.25');
  assert.deepEqual(samplerNames(rulebookRun), { llm: 'Rulebook', 'llm-tpe': 'Rulebook-TPE', tpe: 'TPE' });
  assert.ok(!usesLlm(rulebookRun) && usesLlm(llmRun));
  const waiting = asBundle({ run: { llm: 'openai:gpt-4o', sampler: 'tpe' }, cost: { requests: 0 } });
  assert.ok(!usesLlm(waiting));
  assert.equal(samplerNames(waiting).llm, 'LLM', 'the run asks it once that is chosen');
  assert.ok(usesLlm(asBundle({ run: { llm: 'rulebook' }, cost: { requests: 1 } })), 'a request was made');
});

test('the run says what it is doing', () => {
  const at = (run: object, trials: object[] = []) => activity(asBundle({ run, trials }));
  assert.equal(at({ status: 'running' }), 'reading the task');
  const fitting = { n: 0, state: 'RUNNING', source: 'default', folds: [0.5, null, null] };
  assert.equal(
    at({ status: 'running', n_folds: 3 }, [fitting]),
    'fitting the default configuration, fold 2 of 3'
  );
  assert.equal(
    at({ status: 'running', n_folds: 3 }, [{ n: 4, state: 'RUNNING' }]),
    'fitting trial 4, fold 1 of 3'
  );
  assert.equal(
    at({ status: 'checking', checked: [6, 20] }),
    'checking the best configuration on fresh folds, 6 of 20'
  );
  assert.equal(at({ status: 'finished' }), '');
  const done = [
    { n: 0, state: 'COMPLETE', value: 1 },
    { n: 1, state: 'FAIL' }
  ];
  assert.equal(at({ status: 'running', n_trials: 3 }, done), 'choosing the next configuration');
  assert.equal(at({ status: 'running', n_trials: 2 }, done), 'all trials are done, summing up');
});

test('an answer of the LLM is awaited where a request is open and no trial runs', () => {
  const prompt = (request: number) => ({ id: `p${request}`, kind: 'prompt', request });
  const reply = (request: number) => ({ id: `r${request}`, kind: 'reply', request });
  const run = { status: 'running', n_trials: 9, seconds: 30 };
  const at = (chat: object[], state = 'COMPLETE') => asBundle({ run, trials: [{ n: 0, state }], chat });
  const awaited = 'waiting for an answer of the LLM';
  const open = [prompt(0), reply(0), prompt(1)];
  assert.equal(activity(at(open)), awaited);
  assert.equal(eta(at(open)), null, 'nobody can say how long that takes');
  assert.equal(activity(at(open, 'RUNNING')), 'fitting trial 0');
  for (const closed of [[], [...open, reply(1)], [...open, { id: 'n1', kind: 'fallback' }]]) {
    assert.equal(activity(at(closed)), 'choosing the next configuration');
    assert.equal(eta(at(closed)), 240);
  }
});

test('the verdict is no better than its evidence', () => {
  const of = (verification: object | null, more: object = {}) =>
    verdictOf(
      asBundle({ run: { status: 'finished', best_number: 3, ...more, summary: { verification } } }).run
    );
  const check = { verdict: 'real', text: '', gain: 3.1, noise: 0.98, n_folds: 10 };
  assert.deepEqual(of(check), { word: 'real', gain: '+3.10 ± 0.98', detail: 'on 10 fresh folds' });
  assert.equal(of({ ...check, fresh: false })?.word, 'not checked', 'the folds of the search are no check');
  assert.match(of({ ...check, fresh: false })?.detail ?? '', /give a cv that shuffles/);
  assert.equal(of(null)?.word, 'not checked');
  assert.equal(of(null, { best_value: 0.5, default_value: 0.5 })?.word, 'no gain');
  assert.equal(verdictOf(asBundle({ run: { status: 'running' } }).run), null, 'while it runs there is none');
  assert.equal(of(null, { best_number: null }), null, 'without a score there is nothing to say');
  assert.equal(of(null, { best_value: 0.5, direction: 'minimize, minimize' }), null, 'no single best');
  assert.equal(of(null, { best_value: 0.5, best_number: null })?.detail, 'the default has no score');
  const one = asBundle({
    run: { status: 'finished', best_number: 0, best_value: 1, default_value: 1, summary: {} },
    trials: [
      { n: 0, state: 'COMPLETE', value: 1 },
      { n: 1, state: 'FAIL' }
    ]
  });
  assert.equal(verdictOf(one.run, one.trials)?.detail, 'no other configuration has a score');
});

test('what was not checked says the reason that the run has for it', () => {
  const of = (verification: object | null, status: string) =>
    verdictOf(
      asBundle({
        run: { status, best_number: 3, best_value: 2, default_value: 1, summary: { verification } }
      }).run
    )?.detail;
  const text = 'The gain could not be checked on folds, since the time limit of 2.5 s is over.';
  const unknown = { verdict: 'unknown', text, gain: null, fresh: true };
  assert.equal(of(unknown, 'finished'), 'the time limit of 2.5 s is over');
  const more = `${text} On the test data there is a gain of 0.1.`;
  assert.equal(of({ ...unknown, text: more, fresh: false }, 'stopped'), 'the time limit of 2.5 s is over');
  assert.equal(of(null, 'interrupted'), 'the run was interrupted');
  assert.equal(of(null, 'failed'), 'the run failed');
  assert.equal(of(null, 'finished'), 'default and best were not scored again');
});
