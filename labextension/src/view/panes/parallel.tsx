/** Parallel coordinates: each trial a line through its parameters to its score; brushes on the axes select. */

import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Bundle, ParamSpec, Trial } from '../bundle';
import { useBundle, useEnv, useFocus, useWidth } from '../context';
import {
  explained,
  LEVELS,
  levels,
  scoreDomain,
  scored,
  searched,
  trialByNumber,
  usedRange
} from '../derive';
import { shortName } from '../format';
import { Empty, Levels } from '../plot';
import { byImportance } from '../ranking';
import { plain } from '../safe';
import type { ParamScale } from '../scales';
import { paramScale } from '../scales';

/** Of the drawing, in pixels; long names make it higher only where the lines would have no room left. */
const HEIGHT = 350;
/** On a narrow page the words below need more lines. */
const NARROW = 560;
const LOW = 280;
const LEAST_PLOT = 200;
const PAD = { bottom: 16, left: 16 };
const STEP = 64;
const SLANT = 18;
/** Pixels of one character of a name, along the slanted line and at right angles to it. */
const [ALONG, UP] = [6.8 * Math.cos((SLANT * Math.PI) / 180), 6.8 * Math.sin((SLANT * Math.PI) / 180)];
const LONGEST_NAME = 40;
const LEVEL_INDEXES = Array.from({ length: LEVELS }, (_, i) => i);
const SCORE = '\u0000score';

interface Axis {
  key: string;
  name: string;
  /** The name as it fits; its end is kept. */
  label: string;
  x: number;
  scale: ParamScale;
  at: (trial: Trial) => number | null;
}

type Brush = [number, number];

interface Layout {
  axes: Axis[];
  /** Of the drawing: more than the pane's where more axes are chosen than fit; it scrolls then. */
  width: number;
  height: number;
  top: number;
}

/** Where the axes stand. `chosen`: the parameters that the reader wants; null takes those that fit. */
function layoutOf(bundle: Bundle, room: number, chosen: string[] | null): Layout {
  const specs = searched(bundle);
  const metric = bundle.run.metric ?? 'score';
  // the last name leans out over the right rim
  const right = Math.max(66, Math.min(room * 0.35, 12 + ALONG * Math.min(metric.length, LONGEST_NAME)));
  const most = Math.max(2, Math.floor((room - PAD.left - right) / STEP));
  const axisSpecs = chosen
    ? specs.filter(spec => chosen.includes(spec.name))
    : specs.length <= most
      ? specs
      : mostExplaining(specs, bundle, most);
  const width = Math.max(room, PAD.left + right + axisSpecs.length * STEP);
  const step = (width - PAD.left - right) / Math.max(1, axisSpecs.length);
  const longest = Math.max(...axisSpecs.map(s => s.name.length), metric.length);
  const top = 24 + Math.ceil(UP * Math.min(longest, LONGEST_NAME));
  const height = Math.max(room < NARROW ? LOW : HEIGHT, top + LEAST_PLOT + PAD.bottom);
  const range: [number, number] = [height - PAD.bottom - 8, top];
  const score: ParamSpec = { name: SCORE, type: 'float' };
  const axes = [...axisSpecs, score].map((spec, i) => {
    const isScore = spec === score;
    const x = PAD.left + i * step;
    const scale = paramScale(
      spec,
      isScore ? scoreDomain(bundle) : usedRange(spec, bundle),
      range,
      isScore ? 5 : 4
    );
    return {
      key: spec.name,
      name: isScore ? metric : spec.name,
      label: shortName(
        plain(isScore ? metric : spec.name),
        Math.min(LONGEST_NAME, Math.floor((width - x - 10) / ALONG))
      ),
      x,
      scale,
      at: (t: Trial) => {
        if (isScore) {
          const at = scored(t) ? scale.at(t.value) : null;
          return at === null ? null : Math.min(range[0], Math.max(range[1], at));
        }
        const at = scale.at(t.params[spec.name]);
        return at === null ? null : at + (scale.half ? (((t.n * 7) % 11) / 10 - 0.5) * scale.half * 0.8 : 0);
      }
    };
  });
  return { axes, width, height, top };
}

/** When there are more parameters than room: those that explain most, in the order of the space. */
function mostExplaining(all: ParamSpec[], bundle: Bundle, most: number): ParamSpec[] {
  const first = new Set(
    [...all].sort((a, b) => explained(b.name, bundle) - explained(a.name, bundle)).slice(0, most)
  );
  return all.filter(spec => first.has(spec));
}

function lineOf(trial: Trial, axes: Axis[]): string {
  let d = '';
  let pen = false;
  for (const axis of axes) {
    const y = axis.at(trial);
    d += y === null ? '' : `${pen ? 'L' : 'M'}${axis.x.toFixed(1)},${y.toFixed(1)}`;
    pen = y !== null;
  }
  return d;
}

export function Parallel() {
  const { ui } = useEnv();
  const bundle = useBundle();
  const [ref, width] = useWidth<HTMLDivElement>();
  const [brushes, setBrushes] = useState<Record<string, Brush>>({});
  const [chosen, setChosen] = useState<string[] | null>(null);
  const layout = useMemo(() => layoutOf(bundle, width, chosen), [bundle, width, chosen]);
  const { axes } = layout;
  const trials = useMemo(() => bundle.trials.filter(scored), [bundle.trials]);
  const { direction } = bundle.run;
  const byLevel = useMemo(() => levels(bundle.trials, direction), [bundle.trials, direction]);
  const { brushed } = useFocus();
  const nHidden = searched(bundle).length - (axes.length - 1);
  const empty = trials.length === 0 || axes.length < 2;

  useEffect(() => {
    const active = axes.filter(a => brushes[a.key]);
    const inside = (t: Trial) =>
      active.every(a => {
        const y = a.at(t);
        const [from, to] = brushes[a.key]!;
        return y !== null && y >= from && y <= to;
      });
    ui.set({ brushed: active.length ? new Set(trials.filter(inside).map(t => t.n)) : null });
  }, [brushes, axes, trials, ui]);
  const cleared = brushed === null;
  useEffect(() => {
    if (cleared) {
      setBrushes(b => (Object.keys(b).length ? {} : b));
    }
  }, [cleared]);

  const set = (key: string, brush: Brush | null) =>
    setBrushes(brushes => {
      const { [key]: _, ...remaining } = brushes;
      return brush ? { ...remaining, [key]: brush } : remaining;
    });

  return (
    <div class="parallel" ref={ref}>
      <AxisChoice shown={axes.map(a => a.key)} chosen={chosen} choose={setChosen} />
      {empty || width === 0 ? (
        <Empty>Each scored trial becomes a line here.</Empty>
      ) : (
        <div
          class={layout.width > width ? 'chart is-wide' : 'chart'}
          key="chart"
          style={{ height: `${layout.height + (layout.width > width ? 14 : 0)}px` }}
        >
          <svg
            width={layout.width}
            height={layout.height}
            role="group"
            aria-label="Parallel coordinates of the trials"
          >
            <Lines trials={trials} axes={axes} byLevel={byLevel} />
            {axes.map(axis => (
              <AxisMark
                key={axis.key}
                axis={axis}
                layout={layout}
                brush={brushes[axis.key] ?? null}
                set={b => set(axis.key, b)}
              />
            ))}
          </svg>
        </div>
      )}
      <div class="legend-row" key="legend">
        <span class={brushed ? 'muted' : 'muted howto'} role="status">
          {brushed
            ? `${brushed.size} of ${trials.length} trials inside the brush`
            : `Drag on an axis to brush, or use the arrow keys on it; Escape clears.${nHidden > 0 && !chosen ? ` ${nHidden} more parameter${nHidden > 1 ? 's, which explain' : ', which explains'} little, had no room.` : ''}`}
        </span>
        {brushed && (
          <button type="button" class="link" onClick={() => ui.set({ brushed: null })}>
            Clear the brush
          </button>
        )}
        <Levels />
      </div>
    </div>
  );
}

/** Boxes for the axes, the parameter that explains most first. */
function AxisChoice({
  shown,
  chosen,
  choose
}: {
  shown: string[];
  chosen: string[] | null;
  choose: (names: string[] | null) => void;
}) {
  const bundle = useBundle();
  const specs = byImportance(bundle);
  if (specs.length < 2) {
    return null;
  }
  const names = shown.filter(key => key !== SCORE);
  return (
    <details class="axis-choice" key="choice">
      <summary>
        Axes: {names.length} of {specs.length} parameters
      </summary>
      <ul>
        {specs.map(({ name }) => (
          <li key={name}>
            <label>
              <input
                type="checkbox"
                checked={names.includes(name)}
                disabled={names.length === 1 && names.includes(name)}
                onChange={event =>
                  choose(event.currentTarget.checked ? [...names, name] : names.filter(n => n !== name))
                }
              />{' '}
              {plain(name)}
            </label>
          </li>
        ))}
      </ul>
      {chosen && (
        <button type="button" class="link" onClick={() => choose(null)}>
          Those that fit
        </button>
      )}
    </details>
  );
}

function Lines({ trials, axes, byLevel }: { trials: Trial[]; axes: Axis[]; byLevel: Map<number, number> }) {
  const { hover, pinned, brushed } = useFocus();
  const paths = useMemo(() => {
    const inside: string[] = Array.from({ length: LEVELS }, () => '');
    let outside = '';
    for (const t of trials) {
      const d = lineOf(t, axes);
      if (brushed && !brushed.has(t.n)) {
        outside += d;
      } else {
        inside[byLevel.get(t.n) ?? 0] += d;
      }
    }
    return { inside, outside };
  }, [trials, axes, byLevel, brushed]);
  const focused = [...new Set([pinned, hover])].flatMap(n => trialByNumber(trials, n) ?? []);
  return (
    <g class={trials.length > 200 ? 'lines many' : 'lines'}>
      <path class="line-out" d={paths.outside} />
      {LEVEL_INDEXES.map(level => (
        <path key={level} class={`line lev-${level}`} d={paths.inside[level]} />
      ))}
      {focused.map(t => (
        <path key={t.n} class="line-focus" d={lineOf(t, axes)} />
      ))}
    </g>
  );
}

function AxisMark({
  axis,
  layout,
  brush,
  set
}: {
  axis: Axis;
  layout: Layout;
  brush: Brush | null;
  set: (brush: Brush | null) => void;
}) {
  const from = useRef<number | null>(null);
  const [top, bottom] = [layout.top - 6, layout.height - PAD.bottom - 2];
  const clamp = (y: number) => Math.min(bottom, Math.max(top, y));
  const local = (event: PointerEvent & { currentTarget: SVGRectElement }) =>
    clamp(event.clientY - event.currentTarget.ownerSVGElement!.getBoundingClientRect().top);
  const onKey = (event: KeyboardEvent) => {
    const size = (bottom - top) / 4;
    const [a, b] = brush ?? [bottom, bottom + size];
    const by = { ArrowUp: -size / 2, ArrowDown: size / 2 }[event.key];
    if (by !== undefined) {
      event.preventDefault();
      const start = brush ? Math.min(bottom - size, Math.max(top, a + by)) : by < 0 ? bottom - size : top;
      set([start, start + (b - a)]);
    } else if (event.key === 'Escape') {
      set(null);
    }
  };
  return (
    <g class="parallel-axis">
      <line x1={axis.x} x2={axis.x} y1={top} y2={bottom} />
      <text class="axis-name" transform={`translate(${axis.x},${top - 6}) rotate(${-SLANT})`}>
        {axis.label}
        {axis.label !== axis.name && <title>{plain(axis.name)}</title>}
      </text>
      {axis.scale.ticks.map(t => (
        <text key={t.label} class="tick" x={axis.x + 5} y={t.at} dy="0.32em">
          {shortName(plain(t.label), 9)}
        </text>
      ))}
      {brush && (
        <rect
          class="brush"
          x={axis.x - 7}
          width={14}
          y={brush[0]}
          height={Math.max(2, brush[1] - brush[0])}
        />
      )}
      <rect
        class="reach"
        x={axis.x - 12}
        width={24}
        y={top}
        height={bottom - top}
        tabindex={0}
        role="slider"
        aria-orientation="vertical"
        aria-label={`Brush on ${plain(axis.name)}`}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={brush ? Math.round((100 * (bottom - (brush[0] + brush[1]) / 2)) / (bottom - top)) : 50}
        aria-valuetext={brush ? 'brushed' : 'no brush'}
        onKeyDown={onKey}
        onPointerDown={event => {
          event.currentTarget.setPointerCapture(event.pointerId);
          from.current = local(event);
        }}
        onPointerMove={event => {
          if (from.current !== null) {
            const to = local(event);
            set([Math.min(from.current, to), Math.max(from.current, to)]);
          }
        }}
        onPointerUp={event => {
          if (from.current !== null && Math.abs(local(event) - from.current) < 3) {
            set(null);
          }
          from.current = null;
        }}
      />
    </g>
  );
}
