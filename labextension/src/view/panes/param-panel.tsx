/** One parameter over the trials; while the run lives its range can be dragged or typed, and locked. */

import { scaleLinear } from 'd3-scale';
import { useCallback, useMemo } from 'preact/hooks';
import type { Bundle, ParamSpec, Trial } from '../bundle';
import { useEnv, useJump } from '../context';
import type { Step } from '../derive';
import { axisEnd, bands, latest, trialByNumber, usedRange } from '../derive';
import { rangeText, sentence, shortName, unmarked, val } from '../format';
import { CHANGE } from '../marks';
import type { Place } from '../plot';
import { FocusMarks, Marks, nearest, Tip, usePick } from '../plot';
import { plain } from '../safe';
import { paramScale } from '../scales';
import { DragHandles, Lock, RangeEditor } from './range-editor';

const HEIGHT = 132;
/** Width of a character of a name, with a share of what stands beside it. */
const NAME_CHARACTER = 11;
const PAD = { top: 8, right: 18, bottom: 20, left: 46 };

export function ParamPanel(props: {
  spec: ParamSpec;
  bundle: Bundle;
  width: number;
  levels: Map<number, number>;
}) {
  const { spec, bundle, width, levels } = props;
  const { store, ui } = useEnv();
  const jump = useJump();
  const { run, trials } = bundle;
  const { name } = spec;
  const current = latest(bundle)?.params.find(p => p.name === name);
  const locked = run.locked?.includes(name) ?? false;
  const last = axisEnd(bundle);
  const x = useMemo(() => scaleLinear([0, last - 1], [PAD.left + 6, width - PAD.right]), [last, width]);
  const [low, high] = usedRange(spec, bundle);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the spec is a new object with every update; the scale reads these
  const y = useMemo(
    () => paramScale(spec, [low, high], [HEIGHT - PAD.bottom - 6, PAD.top + 6]),
    [spec.type, spec.log, JSON.stringify(spec.choices), low, high]
  );
  const place: Place = useCallback(
    (t: Trial) => {
      const at = y.at(t.params[name]);
      // lanes: trials of one choice are spread a little, by their number, so that they do not hide each other
      return at === null ? null : [x(t.n), at + (y.half ? (((t.n * 7) % 11) / 10 - 0.5) * y.half : 0)];
    },
    [x, y, name]
  );
  const classOf = useCallback(
    (t: Trial) =>
      levels.has(t.n) ? `lev-${levels.get(t.n)}` : t.state === 'RUNNING' ? 'is-running' : 'is-out',
    [levels]
  );
  const steps = bands(name, bundle, last);
  const half = Math.min(5, (x(1) - x(0)) / 2);
  const changed = steps
    .filter((step, i) => i > 0 && rangeText(step.spec) !== rangeText(steps[i - 1]!.spec))
    .map(step => ({
      step,
      text: `Trial ${step.from}: ${rangeText(step.spec)}. ${sentence(unmarked(plain(step.version.reason)))}`
    }));
  const newest = changed[changed.length - 1];
  const show = (version: number) => ui.set({ jump: { pane: 'chat', version } });
  const best = trialByNumber(trials, run.best_number);
  const bestAt = best && place(best);
  const pick = usePick(trials, (px, py) => nearest(trials, place, px, py, 24));
  return (
    <figure class={`param${locked ? ' is-locked' : ''}`} aria-label={plain(name)}>
      <figcaption>
        <span class="param-name" title={plain(name)}>
          {shortName(plain(name), Math.max(16, Math.floor(width / NAME_CHARACTER)))}
        </span>
        {spec.log && <span class="tag">log</span>}
        {locked && <span class="tag">locked</span>}
        {store.live && current && <Lock spec={current} locked={locked} />}
        {!(store.live && current) && (
          <span class="muted param-range">
            {current || spec.fixed !== undefined ? rangeText(current ?? spec) : ''}
          </span>
        )}
      </figcaption>
      <div class="chart" style={{ height: `${HEIGHT}px` }}>
        <svg
          width={width}
          height={HEIGHT}
          role="group"
          aria-label={`${plain(name)} of each trial. Arrow keys move, Enter pins.`}
          {...pick}
        >
          {y.lanes
            ? y.ticks.map(t => (
                <rect
                  key={t.label}
                  class="lane"
                  x={PAD.left}
                  width={width - PAD.left - PAD.right + 6}
                  y={t.at - y.half + 1}
                  height={Math.max(1, 2 * y.half - 2)}
                />
              ))
            : null}
          {merged(steps).map(({ from, to, spec: s, version }) => {
            // where the next range begins, or just beyond the last trial: trials may stand far apart
            const [left, right] = [x(from) - half, to < last ? x(to) - half : x(to - 1) + half];
            const box = (top: number, bottom: number, key: string) => (
              <rect
                key={key}
                class="band"
                x={left}
                width={Math.max(0, right - left)}
                y={top}
                height={Math.max(1, bottom - top)}
              >
                <title>{`version ${version.version}: ${plain(version.reason)}`}</title>
              </rect>
            );
            if (y.lanes) {
              return (s.choices ?? []).map(c => {
                const at = y.at(c);
                return at === null
                  ? null
                  : box(at - y.half + 1, at + y.half - 1, `${version.version}-${JSON.stringify(c)}`);
              });
            }
            const [bottom, top] = [y.at(s.low ?? null), y.at(s.high ?? null)];
            return bottom === null || top === null ? null : box(top, bottom, `${version.version}`);
          })}
          <g class="grid">
            {y.ticks.map(t => (
              <text key={t.label} x={PAD.left - 8} y={t.at} dy="0.32em" text-anchor="end">
                {shortName(plain(t.label), 8)}
              </text>
            ))}
          </g>
          <g class="axis">
            {[0, last - 1].map(t => (
              <text key={t} x={x(t)} y={HEIGHT - 4} text-anchor={t ? 'end' : 'start'}>
                {t}
              </text>
            ))}
          </g>
          {changed.map(({ step, text }) => (
            <g
              key={step.version.version}
              class={`change${jump?.version === step.version.version ? ' is-focused' : ''}`}
              role="button"
              tabindex={0}
              aria-label={`${text} Show it in the chat`}
              onClick={event => {
                event.stopPropagation();
                show(step.version.version);
              }}
              onKeyDown={event => {
                if (event.key === 'Enter' || event.key === ' ') {
                  event.preventDefault();
                  event.stopPropagation();
                  show(step.version.version);
                }
              }}
            >
              <title>{text}</title>
              <line x1={x(step.from) - half} x2={x(step.from) - half} y1={PAD.top} y2={HEIGHT - PAD.bottom} />
              <path class="change-mark" d={CHANGE(x(step.from) - half, 0)} />
              <rect class="reach" x={x(step.from) - half - 8} y={-4} width={16} height={16} />
            </g>
          ))}
          <Marks trials={trials} place={place} classOf={classOf} r={3.1} />
          {bestAt && <circle class="incumbent" cx={bestAt[0]} cy={bestAt[1]} r={7} />}
          <FocusMarks trials={trials} place={place} classOf={classOf} r={3.1} />
          {store.live && current && !y.lanes && (
            <DragHandles spec={current} scale={y} x={width - PAD.right + 6} />
          )}
        </svg>
        <Tip trials={trials} place={place} width={width}>
          {t => (
            <>
              <div>
                {plain(name)} {plain(val(t.params[name]))}
              </div>
              <div class="muted clamp">{unmarked(plain(reasonAt(bundle, t)))}</div>
            </>
          )}
        </Tip>
      </div>
      <p class="newest-change">
        {newest && (
          <button
            type="button"
            class="link"
            title={newest.text}
            onClick={() => show(newest.step.version.version)}
          >
            {newest.text}
          </button>
        )}
      </p>
      {store.live && !current && <div class="range-editor" />}
      {store.live && current && (
        <RangeEditor spec={current} outer={bundle.space.outer.find(p => p.name === name) ?? spec} />
      )}
    </figure>
  );
}

/** Why the range in force at a trial is as it is. */
function reasonAt(bundle: Bundle, trial: Trial): string {
  const version = bundle.space.versions.filter(v => v.trial <= trial.n).pop();
  return version ? version.reason : '';
}

/** Steps of one range one after the other as one step: an edge means that the range changed. */
function merged(steps: Step[]): Step[] {
  const out: Step[] = [];
  for (const step of steps) {
    const last = out[out.length - 1];
    if (last && last.to === step.from && rangeText(last.spec) === rangeText(step.spec)) {
      out[out.length - 1] = { ...last, to: step.to };
    } else {
      out.push(step);
    }
  }
  return out;
}
