/** Failures: why trials have no score, how many there are, and in which part of the search space they lie. */

import type { Bundle, ParamSpec, Trial } from '../bundle';
import { useBundle } from '../context';
import { outcomeOf, searched, usedRange } from '../derive';
import { duration, sourceName, val } from '../format';
import { Empty, TrialLink } from '../plot';
import { plain } from '../safe';
import { paramScale } from '../scales';

const MOST_TRIALS = 12;
/** From so many trials on it is said where in the search space they lie. */
const LEAST_TRIALS = 3;
const MOST_SHARE = 0.34;

export interface Cause {
  cause: string;
  trials: Trial[];
  /** Parts of the search space in which all of these trials lie: `max_depth 14 to 16`. */
  where: string[];
}

/** The trials without a score that counts by cause, the most frequent cause first. */
export function causesOf(bundle: Bundle): Cause[] {
  const byCause = new Map<string, Trial[]>();
  for (const trial of bundle.trials) {
    const end = outcomeOf(trial);
    if (['FAIL', 'PRUNED', 'INFEASIBLE'].includes(end)) {
      const cause = end === 'FAIL' ? plain(trial.error) || 'failed' : trial.state.toLowerCase();
      byCause.set(cause, [...(byCause.get(cause) ?? []), trial]);
    }
  }
  const specs = searched(bundle);
  return [...byCause]
    .map(([cause, trials]) => ({ cause, trials, where: regionsOf(trials, specs, bundle) }))
    .sort((a, b) => b.trials.length - a.trials.length);
}

function regionsOf(trials: Trial[], specs: ParamSpec[], bundle: Bundle): string[] {
  if (trials.length < LEAST_TRIALS) {
    return [];
  }
  return specs.flatMap(spec => {
    const values = trials.map(t => t.params[spec.name]).filter(v => v !== undefined);
    if (values.length < trials.length) {
      return [];
    }
    if (spec.type === 'categorical') {
      const [first] = values;
      return values.every(v => v === first) ? [`${plain(spec.name)} ${plain(val(first))}`] : [];
    }
    const { at } = paramScale(spec, usedRange(spec, bundle), [0, 1]);
    const places = values.map(v => at(v)).filter(x => x !== null);
    const [low, high] = [Math.min(...places), Math.max(...places)];
    if (places.length < values.length || high - low > MOST_SHARE) {
      return [];
    }
    const numbers = values.map(Number);
    return [`${plain(spec.name)} ${val(Math.min(...numbers))} to ${val(Math.max(...numbers))}`];
  });
}

export function Failures() {
  const bundle = useBundle();
  const causes = causesOf(bundle);
  const { length } = bundle.trials.filter(t => outcomeOf(t) !== 'CUT_OFF');
  if (causes.length === 0) {
    return <Empty>{length ? 'Every trial so far has a score.' : 'No trial has ended.'}</Empty>;
  }
  return (
    <div
      class="table-scroll failures"
      tabIndex={0}
      role="group"
      aria-label="Trials without a score, by cause"
    >
      <table>
        <thead>
          <tr>
            <th scope="col">Cause</th>
            <th scope="col" class="right">
              Trials
            </th>
            <th scope="col" class="right">
              Time spent
            </th>
            <th scope="col">Proposed by</th>
            <th scope="col">Where</th>
            <th scope="col">Which</th>
          </tr>
        </thead>
        <tbody>
          {causes.map(({ cause, trials, where }) => (
            <tr key={cause}>
              <th scope="row">{cause}</th>
              <td class="right">
                {trials.length} of {length}
              </td>
              <td class="right">{duration(trials.reduce((sum, t) => sum + (t.seconds ?? 0), 0))}</td>
              <td>{[...new Set(trials.map(t => sourceName(t.source)))].join(', ')}</td>
              <td>{where.join(', ') || '–'}</td>
              <td>
                {trials.slice(0, MOST_TRIALS).map(t => (
                  <TrialLink key={t.n} n={t.n} bare />
                ))}
                {trials.length > MOST_TRIALS && ` and ${trials.length - MOST_TRIALS} more`}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
