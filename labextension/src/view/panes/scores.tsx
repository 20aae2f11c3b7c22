/** Scores: each trial with its fold spread, the best so far, the default as reference. */

import { scaleLinear } from 'd3-scale';
import { useCallback, useMemo } from 'preact/hooks';
import type { Bundle, Trial } from '../bundle';
import { useBundle, useEnv, useFocus, useWidth } from '../context';
import { axisEnd, bestSoFar, scored, spreadOf, trialByNumber } from '../derive';
import { num, sentence } from '../format';
import { hueOf, outMark } from '../marks';
import { betterText } from '../metric';
import type { Place } from '../plot';
import { Empty, FocusMarks, Grid, Legend, Marks, outcome, Tip, usePick } from '../plot';
import { Rim, useScoreScale } from '../rim';
import { plain } from '../safe';
import { activity } from '../words';

const HEIGHT = 388;
const PAD = { top: 30, right: 74, bottom: 46, left: 58 };
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

function Chart({ bundle, width }: { bundle: Bundle; width: number }) {
  const { run, trials } = bundle;
  const last = axisEnd(bundle) - 1;
  const x = useMemo(
    () => scaleLinear([0, Math.max(last, 1)], [PAD.left + 8, width - PAD.right]),
    [last, width]
  );
  // the worse side has a strip of its own for what is too far out to be drawn to scale
  const scale = useScoreScale(bundle, trials, PAD.top, floor - 6);
  const { y, yOf, top, bottom } = scale;
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
      return [x(t.n), value === null ? floor - 6 : yOf(value)];
    },
    [x, yOf]
  );
  const cut = (v: number) => Math.min(bottom + 6, Math.max(top - 6, y(v)));
  const steps = bestSoFar(bundle);
  const line = steps.map(([n, v], i) => `${i ? `H${x(n)}V` : `M${x(n)},`}${yOf(v)}`).join('');
  const end = trials[trials.length - 1]?.n ?? 0;
  const best = steps[steps.length - 1];
  const incumbent = best && trialByNumber(trials, best[0]);
  const noise = incumbent && scored(incumbent) && incumbent.std ? spreadOf(incumbent) : null;
  const base = run.default_value;
  const showBase = base !== null && base >= y.domain()[0]! && base <= y.domain()[1]!;
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
              if (scored(t) || t.state === 'RUNNING') {
                return '';
              }
              return outMark(t.state, cx, cy);
            })
            .join('')}
        />
        <Rim scale={scale} x={t => x(t.n)} />
        <Marks trials={trials} place={place} classOf={classOf} />
        {best && (
          <g class="best-label">
            <circle cx={x(best[0])} cy={yOf(best[1])} r={8} />
            <text x={width - PAD.right + 14} y={yOf(best[1])} dy="0.32em">
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
