/** Contour: the score over two parameters, as the trials near each point suggest it. */

import { useCallback, useMemo, useState } from 'preact/hooks';
import type { Bundle, ParamSpec, Trial } from '../bundle';
import { useBundle, useEnv, useWidth } from '../context';
import { LEVELS, levels, scored, usedRange } from '../derive';
import { shortName, val } from '../format';
import type { Place } from '../plot';
import { Empty, FocusMarks, Levels, Marks, nearest, Tip, usePick } from '../plot';
import { byImportance } from '../ranking';
import { plain } from '../safe';
import { paramScale } from '../scales';

const HEIGHT = 340; // its legend is seen without scrolling
const PAD = { top: 28, right: 16, bottom: 40, left: 70 };
/** Characters of a name in a choice. */
const OPTION = 22;
const CELLS = 28;
const LEAST_TRIALS = 8;
/** Beyond this distance from every trial, in shares of the chart, nothing is suggested. */
const REACH = 0.22;

export function Contour() {
  const { id } = useEnv();
  const bundle = useBundle();
  const [ref, width] = useWidth<HTMLDivElement>();
  const specs = useMemo(() => byImportance(bundle), [bundle]);
  const [names, setNames] = useState<[string | null, string | null]>([null, null]);
  const x = specs.find(s => s.name === names[0]) ?? specs[0];
  const y = specs.find(s => s.name === names[1] && s !== x) ?? specs.find(s => s !== x);
  const choose = (label: string, current: ParamSpec, set: (name: string) => void) => (
    <label>
      {label}{' '}
      <select id={`${id}-${label}`} value={current.name} onChange={event => set(event.currentTarget.value)}>
        {specs.map(s => (
          <option key={s.name} value={s.name}>
            {shortName(plain(s.name), OPTION)}
          </option>
        ))}
      </select>
    </label>
  );
  const enough = bundle.trials.filter(scored).length >= LEAST_TRIALS;
  return (
    <div class="contour" ref={ref}>
      {!x || !y || !enough ? (
        <Empty>From eight scored trials and two parameters on, the score is drawn over both here.</Empty>
      ) : (
        <>
          <div class="chat-bar">
            {choose('Across', x, name => setNames([name, y.name === name ? x.name : y.name]))}
            {choose('Up', y, name => setNames([x.name === name ? y.name : x.name, name]))}
          </div>
          {width > 0 && <Chart bundle={bundle} across={x} up={y} width={width} />}
          <div class="legend-row">
            <span class="muted">
              Ground: what the trials near a point suggest; blank where there are none.
            </span>
            <Levels />
          </div>
        </>
      )}
    </div>
  );
}

function Chart(props: { bundle: Bundle; across: ParamSpec; up: ParamSpec; width: number }) {
  const { bundle, across, up, width } = props;
  const { direction } = bundle.run;
  const trials = useMemo(() => bundle.trials.filter(scored), [bundle.trials]);
  const level = useMemo(() => levels(bundle.trials, direction), [bundle.trials, direction]);
  const bottom = HEIGHT - PAD.bottom;
  const [x, y] = useMemo(
    () => [
      paramScale(across, usedRange(across, bundle), [PAD.left, width - PAD.right], 5),
      paramScale(up, usedRange(up, bundle), [bottom, PAD.top], 5)
    ],
    [bundle, across, up, width, bottom]
  );
  const place: Place = useCallback(
    (t: Trial) => {
      const [px, py] = [x.at(t.params[across.name]), y.at(t.params[up.name])];
      const jitter = (((t.n * 7) % 11) / 10 - 0.5) * 0.8;
      return px === null || py === null ? null : [px + jitter * x.half, py + jitter * y.half];
    },
    [x, y, across.name, up.name]
  );
  const cells = useMemo(() => groundOf(trials, place, level, width), [trials, place, level, width]);
  const classOf = useCallback((t: Trial) => `lev-${level.get(t.n) ?? 0}`, [level]);
  const pick = usePick(trials, (px, py) => nearest(trials, place, px, py, 24));
  const label = `Score over ${plain(across.name)} and ${plain(up.name)}. Arrow keys move, Enter pins.`;
  return (
    <div class="chart" style={{ height: `${HEIGHT}px` }}>
      <svg width={width} height={HEIGHT} role="group" aria-label={label} {...pick}>
        <g class="ground">{cells.map((d, i) => d && <path key={GROUND[i]} class={GROUND[i]} d={d} />)}</g>
        <g class="axis">
          {x.ticks.map(t => (
            <text key={t.label} x={t.at} y={bottom + 16} text-anchor="middle">
              {x.lanes ? shortName(plain(t.label), 10) : t.label}
            </text>
          ))}
          {y.ticks.map(t => (
            <text key={t.label} x={PAD.left - 8} y={t.at} dy="0.32em" text-anchor="end">
              {y.lanes ? shortName(plain(t.label), 9) : t.label}
            </text>
          ))}
          <text class="axis-title" x={(PAD.left + width - PAD.right) / 2} y={HEIGHT - 6} text-anchor="middle">
            {shortName(plain(across.name), 40)}
            {across.log ? ', log scale' : ''}
          </text>
          <text class="axis-title" x={4} y={12}>
            {shortName(plain(up.name), 40)}
            {up.log ? ', log scale' : ''}
          </text>
        </g>
        <Marks trials={trials} place={place} classOf={classOf} />
        <FocusMarks trials={trials} place={place} classOf={classOf} />
      </svg>
      <Tip trials={trials} place={place} width={width}>
        {t => (
          <div class="muted">
            {`${plain(across.name)} ${plain(val(t.params[across.name]))}, ${plain(up.name)} ${plain(val(t.params[up.name]))}`}
          </div>
        )}
      </Tip>
    </div>
  );
}

const GROUND = Array.from({ length: LEVELS }, (_, i) => `lev-${i}`);

/** The ground as one path per level: the mean level of the trials, weighted by their nearness. */
function groundOf(trials: Trial[], place: Place, level: Map<number, number>, width: number): string[] {
  const [w, h] = [(width - PAD.left - PAD.right) / CELLS, (HEIGHT - PAD.top - PAD.bottom) / CELLS];
  const points = trials.flatMap(t => {
    const at = place(t);
    return at ? [{ u: (at[0] - PAD.left) / (w * CELLS), v: (at[1] - PAD.top) / (h * CELLS), n: t.n }] : [];
  });
  const paths = GROUND.map(() => '');
  for (let i = 0; i < CELLS; i++) {
    for (let j = 0; j < CELLS; j++) {
      let [sum, total, least] = [0, 0, Infinity];
      for (const { u, v, n } of points) {
        const d = ((i + 0.5) / CELLS - u) ** 2 + ((j + 0.5) / CELLS - v) ** 2;
        const weight = 1 / (d + 0.002) ** 2;
        sum += weight * (level.get(n) ?? 0);
        total += weight;
        least = Math.min(least, d);
      }
      if (least < REACH ** 2) {
        // whole pixels: between cells that end within one the page shows through
        const [left, right] = [i, i + 1].map(k => Math.round(PAD.left + k * w));
        const [top, bottom] = [j, j + 1].map(k => Math.round(PAD.top + k * h));
        paths[Math.round(sum / total)] += `M${left},${top}H${right}V${bottom}H${left}Z`;
      }
    }
  }
  return paths;
}
