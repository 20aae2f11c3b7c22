/** Scores: each trial with its fold spread, the best so far, the default as reference. */

import { scaleLinear } from 'd3-scale';
import { useCallback, useMemo } from 'preact/hooks';
import type { Bundle, Trial } from '../bundle';
import { useBundle, useFocus, useWidth } from '../context';
import { bestSoFar, scored, scoreDomain, spreadOf } from '../derive';
import { num } from '../format';
import { hueOf, outMark } from '../marks';
import { Empty, FocusMarks, Legend, Marks, outcome, Tip, usePick } from '../plot';
import type { Place } from '../plot';
import { plain } from '../safe';

const HEIGHT = 388;
const PAD = { top: 14, right: 74, bottom: 46, left: 58 };
const classOf = (t: Trial) => (scored(t) ? `src-${hueOf(t.source)}` : t.state === 'RUNNING' ? 'is-running' : 'is-out');

export function Scores() {
  const bundle = useBundle();
  const [ref, width] = useWidth<HTMLDivElement>();
  return (
    <div class="scores" ref={ref}>
      {bundle.trials.length === 0 ? (
        <Empty>The first trial is the library’s default configuration; its score will stand here.</Empty>
      ) : (
        width > 0 && <Chart bundle={bundle} width={width} />
      )}
      <Legend bundle={bundle} outcomes />
    </div>
  );
}

/** The spread of the trial that is pointed at, brought forward. */
function FocusedSpread(props: { trials: Trial[]; x: (n: number) => number; at: (value: number) => number }) {
  const { hover, pinned } = useFocus();
  const trial = props.trials.find(t => t.n === (hover ?? pinned));
  if (!trial || !scored(trial)) {
    return null;
  }
  const [a, b] = spreadOf(trial);
  return <path class="spread focused" d={`M${props.x(trial.n)},${props.at(a)}V${props.at(b)}`} />;
}

function Chart({ bundle, width }: { bundle: Bundle; width: number }) {
  const { run, trials } = bundle;
  const last = Math.max(run.n_trials ?? 0, (trials[trials.length - 1]?.n ?? 0) + 1) - 1;
  const [low, high] = useMemo(() => scoreDomain(bundle), [bundle]);
  const floor = HEIGHT - PAD.bottom;
  const x = useMemo(
    () => scaleLinear([0, Math.max(last, 1)], [PAD.left + 8, width - PAD.right]),
    [last, width]
  );
  const y = useMemo(() => scaleLinear([low, high], [floor - 6, PAD.top]), [low, high]);
  const place: Place = useCallback(
    (t: Trial) => {
      const known = (t.folds ?? []).filter((f): f is number => f !== null);
      const value = scored(t)
        ? t.value
        : t.state === 'RUNNING' && known.length
          ? known.reduce((a, b) => a + b, 0) / known.length
          : null;
      // failed, pruned and far worse trials stand on the floor of the chart
      if (value === null && t.state === 'RUNNING') {
        return null;
      }
      return [x(t.n), value === null ? floor - 6 : Math.min(floor - 6, Math.max(PAD.top, y(value)))];
    },
    [x, y]
  );
  const tick = y.tickFormat(5);
  const spreads = useMemo(
    () =>
      trials
        .filter(scored)
        .map(t => {
          const [a, b] = spreadOf(t);
          const cut = (v: number) => Math.min(floor, Math.max(PAD.top - 6, y(v)));
          return `M${x(t.n).toFixed(1)},${cut(a).toFixed(1)}V${cut(b).toFixed(1)}`;
        })
        .join(''),
    [trials, x, y]
  );
  const steps = bestSoFar(bundle);
  const line = steps
    .map(([n, v], i) => `${i ? `H${x(n)}V` : `M${x(n)},`}${Math.min(floor, y(v))}`)
    .join('');
  const end = trials[trials.length - 1]?.n ?? 0;
  const best = steps[steps.length - 1];
  const base = run.default_value;
  const showBase = base !== null && base >= low && base <= high;
  const closeLabels = best !== undefined && showBase && Math.abs(y(best[1]) - y(base)) < 28;
  const pick = usePick(trials, (px, py) => {
    if (px < PAD.left - 4 || px > width - PAD.right + 8 || py > HEIGHT) {
      return null;
    }
    const n = Math.round(x.invert(px));
    let near: Trial | undefined;
    for (const t of trials) {
      if (!near || Math.abs(t.n - n) < Math.abs(near.n - n)) {
        near = t;
      }
    }
    return near?.n ?? null;
  });

  return (
    <div class="chart" style={{ height: `${HEIGHT}px` }}>
      <svg
        width={width}
        height={HEIGHT}
        role="group"
        aria-label={`Score of each trial, ${run.metric ?? ''}. Arrow keys move, Enter pins.`}
        {...pick}
      >
        {y.ticks(5).map(t => (
          <g key={t} class="grid">
            <line x1={PAD.left} x2={width - PAD.right + 8} y1={y(t)} y2={y(t)} />
            <text x={PAD.left - 8} y={y(t)} dy="0.32em" text-anchor="end">
              {tick(t)}
            </text>
          </g>
        ))}
        <g class="axis">
          {x.ticks(Math.min(8, Math.max(2, last), Math.round(width / 70))).filter(Number.isInteger).map(t => (
            <text key={t} x={x(t)} y={floor + 18} text-anchor="middle">
              {t}
            </text>
          ))}
          <text class="axis-title" x={(PAD.left + width - PAD.right) / 2} y={HEIGHT - 6} text-anchor="middle">
            trial
          </text>
        </g>
        {showBase && (
          <g class="reference">
            <line x1={PAD.left} x2={width - PAD.right + 8} y1={y(base)} y2={y(base)} />
            <text x={width - PAD.right + 14} y={y(base)} dy={closeLabels ? (y(best[1]) < y(base) ? '1.3em' : '-0.6em') : '0.32em'}>
              default
            </text>
          </g>
        )}
        <path class="spread" d={spreads} />
        <FocusedSpread trials={trials} at={v => Math.min(floor, Math.max(PAD.top - 6, y(v)))} x={x} />
        {best && <path class="best-line" d={`${line}H${x(end)}`} />}
        <path
          class="out-marks"
          d={trials
            .map(t => {
              const [cx, cy] = [x(t.n), floor - 6];
              if (scored(t)) {
                // too far below to be drawn to scale
                return y(t.value) > floor - 6 ? `M${cx - 4},${cy + 8}l4,5l4,-5` : '';
              }
              if (t.state === 'RUNNING') {
                return '';
              }
              return outMark(t.state, cx, cy);
            })
            .join('')}
        />
        <Marks trials={trials} place={place} classOf={classOf} />
        {best && (
          <g class="best-label">
            <circle cx={x(best[0])} cy={Math.min(floor, y(best[1]))} r={8} />
            <text x={width - PAD.right + 14} y={Math.min(floor, y(best[1]))} dy="0.32em">
              {num(best[1])}
            </text>
          </g>
        )}
        <FocusMarks trials={trials} place={place} classOf={classOf} />
      </svg>
      <Tip trials={trials} place={place} width={width}>
        {t => (
          <>
            {t.splits && t.splits.length > 1 && (
              <div class="muted">folds {t.splits.slice(0, 6).map(s => num(s, 3)).join('  ')}{t.splits.length > 6 ? ' …' : ''}</div>
            )}
            {t.reason && <div class="clamp">{plain(t.reason)}</div>}
          </>
        )}
      </Tip>
      <p class="hidden">
        {trials.filter(scored).length} scored trials; best {num(run.best_value)} at trial {run.best_number ?? '–'};
        default {num(base)}. {trials.length > 0 ? `Last: ${outcome(trials[trials.length - 1]!)}.` : ''}
      </p>
    </div>
  );
}
