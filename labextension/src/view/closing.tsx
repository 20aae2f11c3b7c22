/** How a run ended: one sentence, default against best, what changed; the rest is folded away. */

import type { Run } from './bundle';
import { useBundle } from './context';
import { trialByNumber } from './derive';
import { num, sentence, signed, unbroken, val } from './format';
import { plain } from './safe';
import { verdictOf } from './words';

const SENTENCE_END = /(?<=[.!?])\s+(?=\p{Lu})/u;

export function Closing() {
  const bundle = useBundle();
  const { run, trials } = bundle;
  const text = plain(run.summary?.text || run.reason);
  if (['running', 'paused', 'checking'].includes(run.status) || !text) {
    return null;
  }
  const first = text.split(SENTENCE_END)[0]!; // an older file has the text alone, and scikit-learn's sign in it
  const verdict = plain(run.summary?.verdict) || (first.includes('neg_') ? scoresText(run) : sentence(first));
  const best = trialByNumber(trials, run.best_number);
  const before = trials.find(t => t.source === 'default');
  const changed =
    best && before // an objective has no default to change from
      ? Object.entries(best.params).filter(([name, value]) => before?.params[name] !== value)
      : [];
  return (
    <section class="closing" aria-label="How the run ended">
      <p class="verdict-text">{unbroken(verdict)}</p>
      {run.summary?.verification && <Scores />}
      {best !== before && changed.length > 0 && (
        <details class="changed">
          <summary>
            {changed.length} parameter{changed.length === 1 ? '' : 's'} changed
          </summary>
          <table>
            <tbody>
              {changed.map(([name, value]) => (
                <tr key={name}>
                  <th scope="row">{plain(name)}</th>
                  <td class="muted">{plain(val(before?.params[name]))}</td>
                  <td>{plain(val(value))}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </details>
      )}
      {sentence(text) !== verdict && (
        <details class="more-text">
          <summary>More about this run</summary>
          <p>{unbroken(sentence(text))}</p>
        </details>
      )}
      <LibraryWarnings />
    </section>
  );
}

/** What libraries warned of, by text: counted, and shown on request. */
function LibraryWarnings() {
  const { run } = useBundle();
  const rows = run.summary?.warnings ?? [];
  if (rows.length === 0) {
    return null;
  }
  const total = rows.reduce((sum, row) => sum + row.count, 0);
  return (
    <details class="library-warnings">
      <summary>
        {total} warning{total === 1 ? '' : 's'} of libraries
        {rows.length > 1 && `, ${rows.length} texts`}
      </summary>
      <table>
        <thead>
          <tr>
            <th scope="col">Times</th>
            <th scope="col">Trials</th>
            <th scope="col">Warning</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(row => (
            <tr key={`${row.category} ${row.text} ${row.trial}`}>
              <td>{row.count}</td>
              <td>{row.trial === null ? 'none' : row.n_trials}</td>
              <td>
                <span class="muted">{plain(row.category)}</span> {plain(row.text)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}

function scoresText(run: Run): string {
  const before = run.default_value === null ? '' : `, ${num(run.default_value)} by default`;
  return `Best ${plain(run.metric ?? 'score')} ${num(run.best_value)} at trial ${run.best_number ?? '–'}${before}.`;
}

/** Default and best on the search's folds, on fresh folds and on test data. */
function Scores() {
  const { run } = useBundle();
  const check = run.summary?.verification;
  const sign = run.direction === 'minimize' ? -1 : 1;
  const gainOf = (a: number | null | undefined, b: number | null | undefined) =>
    typeof a === 'number' && typeof b === 'number' ? signed(sign * (b - a)) : '–';
  const interval = check?.test_interval;
  const rows: [string, number | null | undefined, number | null | undefined, string][] = [
    ['Search folds', run.default_value, run.best_value, gainOf(run.default_value, run.best_value)]
  ];
  if (check && check.fresh !== false && typeof check.default_mean === 'number') {
    const noise = typeof check.noise === 'number' ? ` ± ${num(check.noise, 2)}` : '';
    const gain = typeof check.gain === 'number' ? signed(check.gain) : '–';
    rows.push(['Fresh folds', check.default_mean, check.best_mean, gain + noise]);
  }
  if (check && typeof check.test_default === 'number') {
    const range = interval ? ` (95 %: ${num(interval[0], 2)} to ${num(interval[1], 2)})` : '';
    rows.push([
      'Test data',
      check.test_default,
      check.test_best,
      gainOf(check.test_default, check.test_best) + range
    ]);
  }
  const verdict = verdictOf(run);
  return (
    <table class="closing-scores">
      <caption class="hidden">{plain(run.metric)} of default and best</caption>
      <thead>
        <tr>
          <th scope="col">{plain(run.metric)}</th>
          <th scope="col">Default</th>
          <th scope="col">Best</th>
          <th scope="col">Gain {rows.length > 1 && <span class="muted">± standard error</span>}</th>
        </tr>
      </thead>
      <tbody>
        {rows.map(([name, a, b, gain]) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td>{num(a)}</td>
            <td>{num(b)}</td>
            <td>{gain}</td>
          </tr>
        ))}
      </tbody>
      {verdict?.word === 'not checked' && (
        <tfoot>
          <tr>
            <td colSpan={4} class="muted">
              Not checked on other folds: {verdict.detail}.
            </td>
          </tr>
        </tfoot>
      )}
    </table>
  );
}
