/** What the charts share: marks of trials, the reader's focus on them, axes, a tip, a legend. */

import type { ScaleContinuousNumeric } from 'd3-scale';
import type { ComponentChildren, SVGAttributes, TargetedMouseEvent } from 'preact';
import { useMemo } from 'preact/hooks';
import type { Bundle, Trial } from './bundle';
import { useBundle, useEnv, useFocus } from './context';
import { objectivesOf, outcomeOf, scored, trialByNumber } from './derive';
import { num, sourceName } from './format';
import { hueOf, outMark, point, shapeOf } from './marks';
import { plain } from './safe';
import { roomFor, valueTicks } from './scales';

export type Place = (trial: Trial) => [number, number] | null;

/** All trials as few paths: one per class, so that 1,000 points cost a handful of elements. */
export function Marks(props: {
  trials: Trial[];
  place: Place;
  classOf: (trial: Trial) => string;
  r?: number;
}) {
  const { trials, place, classOf, r = 3.6 } = props;
  const paths = useMemo(() => {
    const byClass = new Map<string, string>();
    for (const trial of trials) {
      const at = place(trial);
      if (at) {
        const key = classOf(trial);
        const d = point(shapeOf(trial.source), at[0], at[1], r);
        byClass.set(key, (byClass.get(key) ?? '') + d);
      }
    }
    return [...byClass].sort(([a], [b]) => (a < b ? -1 : 1));
  }, [trials, place, classOf, r]);
  const { brushed } = useFocus();
  return (
    <g class={brushed ? 'marks dim' : 'marks'}>
      {paths.map(([key, d]) => (
        <path key={key} class={key} d={d} />
      ))}
    </g>
  );
}

/** The focus on top of marks: brushed trials at full strength, the pinned and the hovered one ringed. */
export function FocusMarks(props: {
  trials: Trial[];
  place: Place;
  classOf: (trial: Trial) => string;
  r?: number;
}) {
  const { trials, place, classOf, r = 3.6 } = props;
  const { hover, pinned, brushed } = useFocus();
  const ringed = [...new Set([pinned, hover])].filter(n => n !== null);
  return (
    <g class="focus-marks" aria-hidden="true">
      {brushed && (
        <Plain trials={trials.filter(t => brushed.has(t.n))} place={place} classOf={classOf} r={r} />
      )}
      {ringed.map(n => {
        const trial = trialByNumber(trials, n);
        const at = trial && place(trial);
        return trial && at ? (
          <g key={n} class={n === pinned ? 'ringed pinned' : 'ringed'}>
            <circle cx={at[0]} cy={at[1]} r={r + 4} />
            <path class={classOf(trial)} d={point(shapeOf(trial.source), at[0], at[1], r + 1)} />
          </g>
        ) : null;
      })}
    </g>
  );
}

function Plain(props: { trials: Trial[]; place: Place; classOf: (t: Trial) => string; r: number }) {
  return (
    <>
      {props.trials.map(t => {
        const at = props.place(t);
        return (
          at && (
            <path key={t.n} class={props.classOf(t)} d={point(shapeOf(t.source), at[0], at[1], props.r)} />
          )
        );
      })}
    </>
  );
}

/** The trial nearest to a point of the chart, at most `reach` pixels away. */
export function nearest(trials: Trial[], place: Place, x: number, y: number, reach: number): number | null {
  let best = reach * reach;
  let n: number | null = null;
  for (const trial of trials) {
    const at = place(trial);
    if (at) {
      const d = (at[0] - x) ** 2 + (at[1] - y) ** 2;
      if (d < best) {
        [best, n] = [d, trial.n];
      }
    }
  }
  return n;
}

/** Pointer and keyboard of a chart: point or arrow keys choose a trial, click or Enter pins it. */
export function usePick(
  trials: Trial[],
  pick: (x: number, y: number) => number | null
): SVGAttributes<SVGSVGElement> {
  const { ui } = useEnv();
  const local = (event: TargetedMouseEvent<SVGSVGElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    return pick(event.clientX - box.left, event.clientY - box.top);
  };
  const step = (by: number) => {
    const at = trials.findIndex(t => t.n === (ui.focus.hover ?? ui.focus.pinned));
    const to = at < 0 ? (by > 0 ? 0 : trials.length - 1) : Math.min(trials.length - 1, Math.max(0, at + by));
    ui.hover(trials[to]?.n ?? null);
  };
  return {
    tabindex: 0,
    onMouseMove: event => ui.hover(local(event)),
    onMouseLeave: () => ui.hover(null),
    onClick: event => {
      const n = local(event);
      if (n !== null) {
        ui.pin(n);
      }
    },
    onBlur: () => ui.hover(null),
    onKeyDown: event => {
      const moves: Record<string, () => void> = {
        ArrowRight: () => step(1),
        ArrowLeft: () => step(-1),
        Home: () => ui.hover(trials[0]?.n ?? null),
        End: () => ui.hover(trials[trials.length - 1]?.n ?? null),
        Enter: () => ui.focus.hover !== null && ui.pin(ui.focus.hover),
        Escape: () => ui.set({ hover: null, pinned: null, brushed: null })
      };
      const move = moves[event.key];
      if (move) {
        event.preventDefault();
        move();
      }
    }
  };
}

/** Points at a trial while it has the keyboard's focus, pins it by a click. */
export function TrialLink({ n, bare }: { n: number; bare?: boolean }) {
  const { ui } = useEnv();
  return (
    <button
      type="button"
      class="link"
      aria-label={`Trial ${n}`}
      onClick={() => ui.pin(n)}
      onFocus={() => ui.hover(n)}
      onBlur={() => ui.hover(null)}
    >
      {bare ? n : `Trial ${n}`}
    </button>
  );
}

/** A small card beside the hovered trial's mark. */
export function Tip(props: {
  trials: Trial[];
  place: Place;
  width: number;
  children: (trial: Trial) => ComponentChildren;
}) {
  const { hover } = useFocus();
  const trial = trialByNumber(props.trials, hover);
  const at = trial && props.place(trial);
  if (!trial || !at) {
    return null;
  }
  const isRight = at[0] > props.width / 2;
  const side = isRight ? { right: `${props.width - at[0] + 12}px` } : { left: `${at[0] + 12}px` };
  return (
    <div class="tip" style={{ ...side, top: `${Math.max(0, at[1] - 18)}px` }}>
      <strong>Trial {trial.n}</strong> <span class="muted">{sourceName(trial.source)}</span>
      <div>{outcome(trial)}</div>
      {props.children(trial)}
    </div>
  );
}

/** A trial's result in a few words. */
export function outcome(trial: Trial): string {
  if (scored(trial)) {
    return num(trial.value) + (trial.std ? ` ± ${num(trial.std, 2)}` : '');
  }
  const scores = (trial.values ?? [trial.value]).map(v => num(v)).join(', ');
  if (trial.values && trial.state === 'COMPLETE') {
    return scores;
  }
  if (trial.state === 'INFEASIBLE') {
    return `infeasible, ${scores}`;
  }
  if (trial.state === 'RUNNING') {
    const done = trial.folds?.filter(f => f !== null).length ?? 0;
    return trial.folds?.length ? `running, ${done} of ${trial.folds.length} folds` : 'running';
  }
  if (outcomeOf(trial) === 'CUT_OFF') {
    return plain(trial.cause) || 'cut off';
  }
  return trial.state === 'PRUNED'
    ? `pruned ${plain(trial.pruned ?? '')}`.trim()
    : plain(trial.cause ?? trial.error ?? 'failed');
}

/** Each source's shape, colour and number of trials; the trials without a score where a chart marks them. */
export function Legend(props: { bundle: Bundle; colored?: boolean; outcomes?: boolean }) {
  const { bundle, colored = true, outcomes = false } = props;
  const counts = new Map<string, number>();
  for (const t of bundle.trials) {
    // a trial that has not asked for its parameters yet is nobody's so far; one that was cut off runs again
    if (t.source && outcomeOf(t) !== 'CUT_OFF') {
      counts.set(t.source, (counts.get(t.source) ?? 0) + 1);
    }
  }
  const without = (end: string) => bundle.trials.filter(t => outcomeOf(t) === end).length;
  return (
    <ul class="legend" aria-label="Sources of the trials">
      {[...counts].map(([source, n]) => (
        <li key={source}>
          <svg width="14" height="14" aria-hidden="true">
            <path
              class={colored ? `src-${hueOf(source)}` : 'src-plain'}
              d={point(shapeOf(source), 7, 7, 4.2)}
            />
          </svg>
          {sourceName(source)} <span class="muted">{n}</span>
        </li>
      ))}
      {outcomes &&
        OUT.filter(([state]) => without(state) > 0).map(([state, name]) => (
          <li key={state}>
            <svg width="14" height="14" aria-hidden="true">
              <path class="out-marks" d={outMark(state, 7, 7)} />
            </svg>
            {name} <span class="muted">{without(state)}</span>
          </li>
        ))}
    </ul>
  );
}

const OUT = [
  ['FAIL', 'failed'],
  ['PRUNED', 'pruned'],
  ['INFEASIBLE', 'infeasible'],
  ['CUT_OFF', 'cut off']
] as const;

export function Levels() {
  const { run } = useBundle();
  if (objectivesOf(run).length > 1) {
    return (
      <span class="levels" role="img" aria-label="Colour: whether a trial is on the Pareto front">
        <i class="swatch lev-1" />
        <span class="muted">other trials</span>
        <i class="swatch lev-6" />
        <span class="muted">on the Pareto front</span>
      </span>
    );
  }
  return (
    <span class="levels" role="img" aria-label="Colour: from worst to best score by rank">
      <span class="muted">worse</span>
      {[0, 1, 2, 3, 4, 5, 6].map(i => (
        <i key={i} class={`swatch lev-${i}`} />
      ))}
      <span class="muted">better</span>
    </span>
  );
}

/** Where a chart begins, so that the numbers of its vertical axis have room beside it. */
export function leftOf(y: ScaleContinuousNumeric<number, number>, least: number): number {
  return roomFor(
    valueTicks(y).map(t => t.label),
    least
  );
}

/** The lines of a vertical axis with their numbers, from `left` to `right` in pixels. */
export function Grid(props: { y: ScaleContinuousNumeric<number, number>; left: number; right: number }) {
  const { y, left, right } = props;
  return (
    <>
      {valueTicks(y).map(t => (
        <g key={t.label} class="grid">
          <line x1={left} x2={right} y1={t.at} y2={t.at} />
          <text x={left - 8} y={t.at} dy="0.32em" text-anchor="end">
            {t.label}
          </text>
        </g>
      ))}
    </>
  );
}

export function Empty({ children }: { children: ComponentChildren }) {
  return <p class="empty">{children}</p>;
}
