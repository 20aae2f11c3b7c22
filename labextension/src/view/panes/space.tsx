/** Search space: one small multiple per parameter, its range as a band that moves through the versions. */

import { useMemo } from 'preact/hooks';
import { useBundle, useEnv, useWidth } from '../context';
import { isConstant, levels, parameters } from '../derive';
import { val } from '../format';
import { Empty, Legend, Levels } from '../plot';
import { plain } from '../safe';
import { ParamPanel } from './param-panel';

const GAP = 20;
const MIN = 220;

export function Space() {
  const { store } = useEnv();
  const bundle = useBundle();
  const [ref, width] = useWidth<HTMLDivElement>();
  const byLevel = useMemo(() => levels(bundle), [bundle.trials]);
  const all = parameters(bundle);
  const specs = all.filter(s => !isConstant(s, bundle));
  const fixed = all.filter(s => isConstant(s, bundle));
  const columns = Math.max(1, Math.floor((width + GAP) / (MIN + GAP)));
  const each = Math.floor((width - GAP * (columns - 1)) / columns);
  return (
    <div class="space-pane" ref={ref}>
      {specs.length === 0 && (
        <Empty>
          {store.live ? 'The first answer brings the search space.' : 'No search space was recorded.'}
        </Empty>
      )}
      <div class="multiples" style={{ gridTemplateColumns: `repeat(${columns}, minmax(0, 1fr))` }}>
        {width > 0 &&
          specs.map(spec => (
            <ParamPanel key={spec.name} spec={spec} bundle={bundle} width={each} levels={byLevel} />
          ))}
      </div>
      {fixed.length > 0 && (
        <p class="muted fixed">
          Fixed: {fixed.map(s => `${plain(s.name)} ${plain(val(s.fixed ?? bundle.trials[bundle.trials.length - 1]?.params[s.name]))}`).join(', ')}
        </p>
      )}
      {specs.length > 0 && (
        <div class="legend-row">
          <Legend bundle={bundle} colored={false} />
          <Levels />
        </div>
      )}
    </div>
  );
}
