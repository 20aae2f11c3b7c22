/** Search space: one small multiple per parameter, its range as a band that moves through the versions. */

import { useMemo, useState } from 'preact/hooks';
import { useBundle, useEnv, useWidth } from '../context';
import { isConstant, levels, parameters } from '../derive';
import { val } from '../format';
import { CHANGE, point } from '../marks';
import { Empty, Legend, Levels } from '../plot';
import { useRanking } from '../ranking';
import { plain } from '../safe';
import { ParamPanel } from './param-panel';

const GAP = 20;
const MIN = 220;
/** Parameters from which a filter helps, and that are drawn until more are asked for. */
const MANY = 9;
const FIRST = 24;

export function Space() {
  const { store, printing } = useEnv();
  const bundle = useBundle();
  const [ref, width] = useWidth<HTMLDivElement>();
  const [query, setQuery] = useState('');
  const [showsAll, setAll] = useState(false);
  const { trials, run } = bundle;
  const byLevel = useMemo(() => levels(trials, run.direction), [trials, run.direction]);
  const everything = parameters(bundle);
  const specs = everything.filter(s => !isConstant(s, bundle));
  const fixed = everything.filter(s => isConstant(s, bundle));
  const { order } = useRanking(bundle, specs);
  const rank = new Map(order.map((name, i) => [name, i]));
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const matching = [...specs]
    .sort((a, b) => (rank.get(a.name) ?? specs.length) - (rank.get(b.name) ?? specs.length))
    .filter(s => words.every(w => s.name.toLowerCase().includes(w)));
  const listed = showsAll || printing ? matching : matching.slice(0, FIRST);
  const ranges = bundle.space.versions.some(v => v.params.length > 0);
  const best = trials.some(t => t.n === run.best_number);
  const unscored = trials.some(t => t.state !== 'RUNNING' && !byLevel.has(t.n));
  const columns = Math.max(1, Math.floor((width + GAP) / (MIN + GAP)));
  const each = Math.floor((width - GAP * (columns - 1)) / columns);
  return (
    <div class="space-pane" ref={ref}>
      {specs.length === 0 && (
        <Empty>
          {store.live
            ? 'The search space stands here once the run has one.'
            : 'No search space was recorded.'}
        </Empty>
      )}
      {specs.length >= MANY && (
        <div class="chat-bar">
          <input
            type="search"
            placeholder="Filter by name"
            aria-label="Filter the parameters"
            value={query}
            onInput={event => setQuery(event.currentTarget.value)}
          />
          <span class="muted" role="status">
            {matching.length} of {specs.length} parameters, those that matter most first
          </span>
        </div>
      )}
      <div class="multiples" style={{ gridTemplateColumns: `repeat(${columns}, minmax(0, 1fr))` }}>
        {width > 0 &&
          listed.map(spec => (
            <ParamPanel key={spec.name} spec={spec} bundle={bundle} width={each} levels={byLevel} />
          ))}
      </div>
      {listed.length < matching.length && (
        <button type="button" class="link centre" onClick={() => setAll(true)}>
          Show {matching.length - listed.length} more parameters
        </button>
      )}
      {fixed.length > 0 && (
        <p class="muted fixed">
          Fixed:{' '}
          {fixed
            .map(
              s =>
                `${plain(s.name)} ${plain(val(s.fixed ?? bundle.trials[bundle.trials.length - 1]?.params[s.name]))}`
            )
            .join(', ')}
        </p>
      )}
      {specs.length > 0 && (
        <div class="legend-row">
          <Legend bundle={bundle} colored={false} />
          <ul class="legend" aria-label="What the charts show">
            {ranges && (
              <li>
                <svg width="18" height="12" aria-hidden="true">
                  <rect class="band" x="1" y="1" width="16" height="10" />
                </svg>
                range in force
              </li>
            )}
            {bundle.space.versions.length > 1 && (
              <li>
                <svg width="12" height="12" aria-hidden="true">
                  <path class="change-mark" d={CHANGE(6, 2)} />
                </svg>
                range changed
              </li>
            )}
            {best && (
              <li>
                <svg width="14" height="14" aria-hidden="true">
                  <circle class="incumbent" cx="7" cy="7" r="5.5" />
                </svg>
                best trial
              </li>
            )}
            {unscored && (
              <li>
                <svg width="14" height="14" aria-hidden="true">
                  <g class="marks">
                    <path class="is-out" d={point('square', 7, 7, 4.2)} />
                  </g>
                </svg>
                hollow: no score
              </li>
            )}
          </ul>
          {byLevel.size > 0 && <Levels />}
        </div>
      )}
    </div>
  );
}
