/** Pareto: two of several objectives against each other; the trials that no other beats in all of them. */

import { scaleLinear } from 'd3-scale';
import { useCallback, useMemo, useState } from 'preact/hooks';
import type { Trial } from '../bundle';
import { useBundle, useEnv, useWidth } from '../context';
import { frontOf, objectivesOf } from '../derive';
import { num } from '../format';
import { hueOf } from '../marks';
import type { Place } from '../plot';
import { Empty, FocusMarks, Grid, Legend, leftOf, Marks, nearest, Tip, usePick } from '../plot';
import { valueTicks } from '../scales';

const HEIGHT = 340;
const PAD = { top: 28, right: 24, bottom: 42, left: 64 };
const classOf = (t: Trial) => `src-${hueOf(t.source)}`;
const titleOf = (i: number, direction: string) =>
  `objective ${i + 1}, ${direction === 'minimize' ? 'lower is better' : 'higher is better'}`;

export function Pareto() {
  const { id } = useEnv();
  const bundle = useBundle();
  const [ref, width] = useWidth<HTMLDivElement>();
  const directions = useMemo(() => objectivesOf(bundle.run), [bundle.run]);
  const [chosen, setChosen] = useState<[number, number]>([0, 1]);
  const trials = useMemo(
    () => bundle.trials.filter(t => t.state === 'COMPLETE' && (t.values?.length ?? 0) > 1),
    [bundle.trials]
  );
  const front = useMemo(() => frontOf(trials, directions), [trials, directions]);
  const choose = (label: string, at: 0 | 1) => (
    <label>
      {label}{' '}
      <select
        id={`${id}-objective-${at}`}
        value={chosen[at]}
        onChange={event => {
          const to = Number(event.currentTarget.value);
          const other = chosen[1 - at] === to ? chosen[at] : chosen[1 - at]!;
          setChosen(at === 0 ? [to, other] : [other, to]);
        }}
      >
        {directions.map((direction, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: objectives never change places
          <option key={i} value={i}>
            {titleOf(i, direction)}
          </option>
        ))}
      </select>
    </label>
  );
  return (
    <div class="pareto" ref={ref}>
      {trials.length === 0 ? (
        <Empty>Each trial with a score in every objective is drawn here.</Empty>
      ) : (
        <>
          {directions.length > 2 && (
            <div class="chat-bar">
              {choose('Across', 0)}
              {choose('Up', 1)}
            </div>
          )}
          {width > 0 && (
            <Chart
              trials={trials}
              front={front}
              directions={directions}
              across={chosen[0]}
              up={chosen[1]}
              width={width}
            />
          )}
          <div class="legend-row">
            <Legend bundle={bundle} />
            <span class="muted">
              Line and rings: the {front.size} trial{front.size === 1 ? '' : 's'} that no other beats in every
              objective.
            </span>
          </div>
        </>
      )}
    </div>
  );
}

function Chart(props: {
  trials: Trial[];
  front: Set<number>;
  directions: string[];
  across: number;
  up: number;
  width: number;
}) {
  const { trials, front, directions, across, up, width } = props;
  const bottom = HEIGHT - PAD.bottom;
  const { x, y, left } = useMemo(() => {
    const domain = (i: number): [number, number] => {
      const values = trials.map(t => t.values![i] ?? 0);
      const [low, high] = [Math.min(...values), Math.max(...values)];
      const pad = (high - low) * 0.06 || Math.abs(high) * 0.05 || 1;
      return [low - pad, high + pad];
    };
    const y = scaleLinear(domain(up), [bottom, PAD.top]);
    const left = leftOf(y, PAD.left);
    return { x: scaleLinear(domain(across), [left, width - PAD.right]), y, left };
  }, [trials, across, up, width, bottom]);
  const place: Place = useCallback(
    (t: Trial) => {
      const [a, b] = [t.values?.[across], t.values?.[up]];
      return typeof a === 'number' && typeof b === 'number' ? [x(a), y(b)] : null;
    },
    [x, y, across, up]
  );
  const pick = usePick(trials, (px, py) => nearest(trials, place, px, py, 24));
  const points = trials
    .filter(t => front.has(t.n))
    .flatMap(t => {
      const at = place(t);
      return at ? [{ n: t.n, at }] : [];
    })
    .sort((a, b) => a.at[0] - b.at[0]);
  return (
    <div class="chart" style={{ height: `${HEIGHT}px` }}>
      <svg
        width={width}
        height={HEIGHT}
        role="group"
        aria-label="Objectives against each other. Arrow keys move, Enter pins."
        {...pick}
      >
        <Grid y={y} left={left} right={width - PAD.right} />
        <g class="axis">
          {valueTicks(x, Math.max(2, Math.round(width / 120))).map(t => (
            <text key={t.label} x={t.at} y={bottom + 16} text-anchor="middle">
              {t.label}
            </text>
          ))}
          <text class="axis-title" x={(left + width - PAD.right) / 2} y={HEIGHT - 6} text-anchor="middle">
            {titleOf(across, directions[across]!)}
          </text>
          <text class="axis-title" x={PAD.left - 52} y={12}>
            {titleOf(up, directions[up]!)}
          </text>
        </g>
        <path class="best-line" d={points.map(({ at }, i) => `${i ? 'L' : 'M'}${at[0]},${at[1]}`).join('')} />
        <Marks trials={trials} place={place} classOf={classOf} />
        {points.map(({ n, at }) => (
          <circle key={n} class="incumbent" cx={at[0]} cy={at[1]} r={7} />
        ))}
        <FocusMarks trials={trials} place={place} classOf={classOf} />
      </svg>
      <Tip trials={trials} place={place} width={width}>
        {t => (
          <div class="muted">
            {t.values!.map((v, i) => `objective ${i + 1}: ${num(v)}`).join(', ')}
            {front.has(t.n) ? ', on the front' : ''}
          </div>
        )}
      </Tip>
    </div>
  );
}
