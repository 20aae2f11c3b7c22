/** Scores: each trial with its fold spread, the best so far, the default as reference. */

import { scaleLinear } from 'd3-scale';
import type { SVGAttributes, TargetedPointerEvent } from 'preact';
import { useCallback, useMemo, useRef, useState } from 'preact/hooks';
import type { Bundle, Trial } from '../bundle';
import { useBundle, useEnv, useFocus, useWidth } from '../context';
import {
  axisEnd,
  bestSoFar,
  outcomeOf,
  scored,
  spansDecade,
  spreadOf,
  trialByNumber,
  zoomed
} from '../derive';
import { num, sentence, unmarked } from '../format';
import { hueOf, outMark } from '../marks';
import { betterText } from '../metric';
import type { Place } from '../plot';
import { Empty, FocusMarks, Grid, Legend, leftOf, Marks, outcome, Tip, usePick } from '../plot';
import { Rim, useScoreScale } from '../rim';
import { plain } from '../safe';
import { roomFor } from '../scales';
import { activity } from '../words';
import type { Zoom } from '../zoom';
import { asZoom, ZoomBar } from '../zoom';

const HEIGHT = 388;
const PAD = { top: 30, right: 74, bottom: 46, left: 58 };
const floor = HEIGHT - PAD.bottom;
/** Fewest trials that are worth a closer look at some of them. */
const ZOOM_FROM = 12;
/** How much wider than on an axis the number of the best score is. */
const BOLD = 1.25;
/** Pixels that a pointer may move in a click. */
const CLICK = 5;
const classOf = (t: Trial) =>
  scored(t) ? `src-${hueOf(t.source)}` : t.state === 'RUNNING' ? 'is-running' : 'is-out';

export function Scores() {
  const { store } = useEnv();
  const bundle = useBundle();
  const [ref, width] = useWidth<HTMLDivElement>();
  const [log, setLog] = useState(false);
  const offersLog = useMemo(() => spansDecade(bundle), [bundle]);
  return (
    <div class="scores" ref={ref}>
      {!bundle.trials.some(scored) ? (
        <Empty>
          {sentence(
            (store.canStop && activity(bundle)) ||
              (store.live ? 'the first score will stand here' : 'no trial has a score')
          )}
        </Empty>
      ) : (
        width > 0 && <Chart bundle={bundle} width={width} log={log && offersLog} />
      )}
      <div class="legend-line">
        <Legend bundle={bundle} outcomes />
        {offersLog && (
          <label class="log-scale">
            <input type="checkbox" checked={log} onChange={event => setLog(event.currentTarget.checked)} />
            Log scale
          </label>
        )}
      </div>
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

/** A part of the chart, chosen by dragging across it between `left` and `right`. */
function useDrag(left: number, right: number, done: (from: number, to: number) => void) {
  const start = useRef<number | null>(null);
  const moved = useRef(false);
  const [part, setPart] = useState<[number, number] | null>(null);
  const local = (event: TargetedPointerEvent<SVGSVGElement>) =>
    Math.min(right, Math.max(left, event.clientX - event.currentTarget.getBoundingClientRect().left));
  const stop = () => {
    start.current = null;
    setPart(null);
  };
  const handlers: SVGAttributes<SVGSVGElement> = {
    onPointerDown: event => {
      moved.current = false;
      start.current = event.button === 0 ? local(event) : null;
    },
    onPointerMove: event => {
      const at = local(event);
      const from = start.current;
      if (from !== null && (moved.current || Math.abs(at - from) > CLICK)) {
        moved.current = true;
        event.currentTarget.setPointerCapture(event.pointerId);
        setPart([Math.min(at, from), Math.max(at, from)]);
      }
    },
    onPointerUp: () => {
      if (part && moved.current) {
        done(...part);
      }
      stop();
    },
    onPointerCancel: stop
  };
  return { part, handlers, wasClick: () => !moved.current };
}

function Chart({ bundle, width, log }: { bundle: Bundle; width: number; log: boolean }) {
  const { run } = bundle;
  const [zoom, setZoom] = useState<Zoom | null>(null);
  const last = Math.max(axisEnd(bundle) - 1, 1);
  const [from, to] = [zoom?.from ?? 0, zoom?.to ?? last];
  const view = useMemo(() => (zoom ? zoomed(bundle, [from, to]) : bundle), [bundle, zoom, from, to]);
  const { trials } = view;
  // the worse side has a strip of its own for what is too far out to be drawn to scale
  const scale = useScoreScale(view, trials, PAD.top, floor - 6, log);
  const { y, yOf, top, bottom } = scale;
  const steps = bestSoFar(bundle).filter(([n]) => n <= to);
  const best = steps[steps.length - 1];
  const edge = leftOf(y, PAD.left);
  const [left, right] = [edge + 8, width - roomFor(best ? [num(best[1])] : [], PAD.right, BOLD)];
  const x = useMemo(() => scaleLinear([from, to], [left, right]), [from, to, left, right]);
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
  const cut = (v: number) => {
    const at = y(v); // not a number where a log scale has no place for it, beyond 0
    return Number.isNaN(at) ? (v > 0 ? top - 6 : bottom + 6) : Math.min(bottom + 6, Math.max(top - 6, at));
  };
  const drawn = steps.filter(([n], i) => n >= from || (steps[i + 1]?.[0] ?? Infinity) > from);
  const line = drawn.map(([n, v], i) => `${i ? `H${x(n)}V` : `M${x(Math.max(n, from))},`}${yOf(v)}`).join('');
  const end = Math.min(to, bundle.trials[bundle.trials.length - 1]?.n ?? 0);
  const incumbent = best && trialByNumber(bundle.trials, best[0]);
  const noise = incumbent && scored(incumbent) && incumbent.std ? spreadOf(incumbent) : null;
  const base = run.default_value;
  const showBase = base !== null && base >= y.domain()[0]! && base <= y.domain()[1]!;
  const closeLabels = best !== undefined && showBase && Math.abs(y(best[1]) - y(base)) < 28;
  const pick = usePick(trials, (px, py) => {
    if (px < edge - 4 || px > right + 8 || py > floor + 24) {
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
  const canZoom = last >= ZOOM_FROM - 1;
  const drag = useDrag(left, right, (a, b) => canZoom && setZoom(asZoom(x.invert(a), x.invert(b), last)));

  return (
    <div class="chart" style={{ height: `${HEIGHT}px` }}>
      <svg
        width={width}
        height={HEIGHT}
        role="group"
        aria-label={`Score of each trial, ${run.metric ?? ''}. Arrow keys move, Enter pins.`}
        {...pick}
        {...drag.handlers}
        onClick={event => drag.wasClick() && pick.onClick?.(event)}
      >
        <Grid y={y} left={edge} right={right + 8} />
        <g class="axis">
          {x
            .ticks(Math.min(8, Math.max(2, to - from), Math.round(width / 70)))
            .filter(Number.isInteger)
            .map(t => (
              <text key={t} x={x(t)} y={floor + 18} text-anchor="middle">
                {t}
              </text>
            ))}
          <text class="axis-title" x={right + 14} y={floor + 18}>
            trial
          </text>
        </g>
        {showBase && (
          <g class="reference">
            <line x1={edge} x2={right + 8} y1={y(base)} y2={y(base)} />
            <text
              x={right + 14}
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
            x={edge}
            width={right + 8 - edge}
            y={Math.min(cut(noise[0]), cut(noise[1]))}
            height={Math.abs(cut(noise[0]) - cut(noise[1]))}
          />
        )}
        {noise && best && best[0] >= from && (
          <path class="spread" d={`M${x(best[0])},${cut(noise[0])}V${cut(noise[1])}`} />
        )}
        <FocusedSpread trials={trials} at={cut} x={x} />
        <text class="axis-title" x={edge - 46} y={12}>
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
              return outMark(outcomeOf(t), cx, cy);
            })
            .join('')}
        />
        <Rim scale={scale} x={t => x(t.n)} />
        <Marks trials={trials} place={place} classOf={classOf} />
        {best && (
          <g class="best-label">
            {best[0] >= from && <circle cx={x(best[0])} cy={yOf(best[1])} r={8} />}
            <text x={right + 14} y={yOf(best[1])} dy="0.32em">
              {num(best[1])}
            </text>
          </g>
        )}
        <FocusMarks trials={trials} place={place} classOf={classOf} />
        {canZoom && drag.part && (
          <rect
            class="brush"
            x={drag.part[0]}
            width={drag.part[1] - drag.part[0]}
            y={PAD.top - 6}
            height={floor - PAD.top + 6}
          />
        )}
      </svg>
      {canZoom && <ZoomBar zoom={zoom} last={last} left={left} right={right} set={setZoom} />}
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
            {t.reason && <div class="clamp">{unmarked(plain(t.reason))}</div>}
          </>
        )}
      </Tip>
      <p class="hidden">
        {bundle.trials.filter(scored).length} scored trials{zoom ? `, ${from} to ${to} are shown` : ''}; best{' '}
        {num(run.best_value)} at trial {run.best_number ?? '–'}; default {num(base)}.{' '}
        {bundle.trials.length > 0 ? `Last: ${outcome(bundle.trials[bundle.trials.length - 1]!)}.` : ''}
      </p>
    </div>
  );
}
