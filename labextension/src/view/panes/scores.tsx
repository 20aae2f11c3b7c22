/** Scores: each trial with its fold spread, the best so far, the default as reference. */

import { scaleLinear } from 'd3-scale';
import { useCallback, useMemo } from 'preact/hooks';
import type { Bundle, Trial } from '../bundle';
import { useBundle, useEnv, useFocus, useWidth } from '../context';
import { axisEnd, bestSoFar, scoreDomain, scored, spreadOf, trialByNumber } from '../derive';
import { num, sentence } from '../format';
import { hueOf, outMark } from '../marks';
import { betterText } from '../metric';
import type { Place } from '../plot';
import { Empty, FocusMarks, Grid, Legend, Marks, outcome, Tip, usePick } from '../plot';
import { plain } from '../safe';
import { activity } from '../words';

const HEIGHT = 388;
const PAD = { top: 30, right: 74, bottom: 46, left: 58 };
/** Values of trials beyond the rim that are written out. */
const MOST_RIM_VALUES = 6;
const floor = HEIGHT - PAD.bottom;
const classOf = (t: Trial) =>
  scored(t) ? `src-${hueOf(t.source)}` : t.state === 'RUNNING' ? 'is-running' : 'is-out';

export function Scores() {
  const { store } = useEnv();
  const bundle = useBundle();
  const [ref, width] = useWidth<HTMLDivElement>();
  return (
    <div class="scores" ref={ref}>
      {!bundle.trials.some(scored) ? (
        <Empty>
          {sentence(
            activity(bundle) || (store.live ? 'the first score will stand here' : 'no trial has a score')
          )}
        </Empty>
      ) : (
        width > 0 && <Chart bundle={bundle} width={width} />
      )}
      <Legend bundle={bundle} outcomes />
      {bundle.trials.some(t => scored(t) && t.std) && (
        <p class="muted key">
          Bar and band: standard deviation over the folds, of the best trial and of the one in focus.
        </p>
      )}
    </div>
  );
}

/** The spread of the trial that is pointed at, brought forward. */
function FocusedSpread(props: { trials: Trial[]; x: (n: number) => number; at: (value: number) => number }) {
  const { hover, pinned } = useFocus();
  const trial = trialByNumber(props.trials, hover ?? pinned);
  if (!trial || !scored(trial)) {
    return null;
  }
  const [a, b] = spreadOf(trial);
  return <path class="spread focused" d={`M${props.x(trial.n)},${props.at(a)}V${props.at(b)}`} />;
}

/** An arrow at the rim, outwards. */
function rimMark(x: number, y: number): string {
  return y > floor ? `M${x - 4},${floor + 2}l4,5l4,-5` : `M${x - 4},${PAD.top - 8}l4,-5l4,5`;
}

function Chart({ bundle, width }: { bundle: Bundle; width: number }) {
  const { run, trials } = bundle;
  const last = axisEnd(bundle) - 1;
  const [low, high] = useMemo(() => scoreDomain(bundle), [bundle]);
  const x = useMemo(
    () => scaleLinear([0, Math.max(last, 1)], [PAD.left + 8, width - PAD.right]),
    [last, width]
  );
  const y = useMemo(() => scaleLinear([low, high], [floor - 6, PAD.top]), [low, high]);
  const place: Place = useCallback(
    (t: Trial) => {
      const folds = (t.folds ?? []).filter((f): f is number => f !== null);
      const value = scored(t)
        ? t.value
        : t.state === 'RUNNING' && folds.length
          ? folds.reduce((a, b) => a + b, 0) / folds.length
          : null;
      // failed, pruned and far worse trials stand on the floor of the chart
      if (value === null && t.state === 'RUNNING') {
        return null;
      }
      return [x(t.n), value === null ? floor - 6 : Math.min(floor - 6, Math.max(PAD.top, y(value)))];
    },
    [x, y]
  );
  const cut = (v: number) => Math.min(floor, Math.max(PAD.top - 6, y(v)));
  const steps = bestSoFar(bundle);
  const line = steps.map(([n, v], i) => `${i ? `H${x(n)}V` : `M${x(n)},`}${Math.min(floor, y(v))}`).join('');
  const end = trials[trials.length - 1]?.n ?? 0;
  const best = steps[steps.length - 1];
  const incumbent = best && trialByNumber(trials, best[0]);
  const noise = incumbent && scored(incumbent) && incumbent.std ? spreadOf(incumbent) : null;
  const isWorse = (v: number) => (run.direction === 'minimize' ? v > high : v < low);
  const beyond = trials.filter(scored).filter(t => isWorse(t.value));
  // values of neighbours stand in two rows
  const down = run.direction === 'minimize' ? 11 : -11;
  const rows = beyond.map(() => 0);
  beyond.forEach((t, i) => {
    const before = beyond[i - 1];
    rows[i] = before && x(t.n) - x(before.n) < 40 ? 1 - rows[i - 1]! : 0;
  });
  const rowOf = (i: number) => down * rows[i]!;
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
        <Grid y={y} left={PAD.left} right={width - PAD.right + 8} />
        <g class="axis">
          {x
            .ticks(Math.min(8, Math.max(2, last), Math.round(width / 70)))
            .filter(Number.isInteger)
            .map(t => (
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
            <text
              x={width - PAD.right + 14}
              y={y(base)}
              dy={closeLabels ? (y(best[1]) < y(base) ? '1.3em' : '-0.6em') : '0.32em'}
            >
              default
            </text>
          </g>
        )}
        {noise && (
          <rect
            class="noise"
            x={PAD.left}
            width={width - PAD.right + 8 - PAD.left}
            y={Math.min(cut(noise[0]), cut(noise[1]))}
            height={Math.abs(cut(noise[0]) - cut(noise[1]))}
          />
        )}
        {noise && best && <path class="spread" d={`M${x(best[0])},${cut(noise[0])}V${cut(noise[1])}`} />}
        <FocusedSpread trials={trials} at={cut} x={x} />
        <text class="axis-title" x={PAD.left - 46} y={12}>
          {[plain(run.metric ?? 'score'), betterText(run)].filter(Boolean).join(', ')}
          {run.direction === 'minimize' ? ' ↓' : ' ↑'}
        </text>
        {best && <path class="best-line" d={`${line}H${x(end)}`} />}
        <path
          class="out-marks"
          d={trials
            .map(t => {
              const [cx, cy] = [x(t.n), floor - 6];
              if (scored(t)) {
                // too far out to be drawn to scale
                return isWorse(t.value) ? rimMark(cx, y(t.value)) : '';
              }
              if (t.state === 'RUNNING') {
                return '';
              }
              return outMark(t.state, cx, cy);
            })
            .join('')}
        />
        {beyond.length <= MOST_RIM_VALUES &&
          beyond.map((t, i) => (
            <text
              key={t.n}
              class="rim-value"
              x={x(t.n)}
              y={(run.direction === 'minimize' ? PAD.top + 18 : floor - 14) + rowOf(i)}
              text-anchor="middle"
            >
              {num(t.value, 3)}
            </text>
          ))}
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
              <div class="muted">
                folds{' '}
                {t.splits
                  .slice(0, 6)
                  .map(s => num(s, 3))
                  .join('  ')}
                {t.splits.length > 6 ? ' …' : ''}
              </div>
            )}
            {t.reason && <div class="clamp">{plain(t.reason)}</div>}
          </>
        )}
      </Tip>
      <p class="hidden">
        {trials.filter(scored).length} scored trials; best {num(run.best_value)} at trial{' '}
        {run.best_number ?? '–'}; default {num(base)}.{' '}
        {trials.length > 0 ? `Last: ${outcome(trials[trials.length - 1]!)}.` : ''}
      </p>
    </div>
  );
}
