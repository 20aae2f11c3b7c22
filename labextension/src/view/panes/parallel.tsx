/** Parallel coordinates: each trial a line through its parameters to its score; brushes on the axes select. */

import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Bundle, ParamSpec, Trial } from '../bundle';
import { useBundle, useEnv, useFocus, useWidth } from '../context';
import { explained, levels, LEVELS, searched, scored, scoreDomain, usedRange } from '../derive';
import { Empty, Levels } from '../plot';
import { plain } from '../safe';
import { paramScale } from '../scales';
import type { ParamScale } from '../scales';

const HEIGHT = 376;
const PAD = { top: 56, bottom: 16, left: 16, right: 66 };
const SCORE = '\u0000score';

interface Axis {
  key: string;
  label: string;
  x: number;
  scale: ParamScale;
  at: (trial: Trial) => number | null;
}

type Brush = [number, number];

function axesOf(bundle: Bundle, width: number): Axis[] {
  const range: [number, number] = [HEIGHT - PAD.bottom - 8, PAD.top];
  const most = Math.max(2, Math.floor((width - PAD.left - PAD.right) / 64));
  const all = searched(bundle);
  const kept =
    all.length <= most
      ? all
      : mostExplaining(all, bundle, most);
  const score: ParamSpec = { name: SCORE, type: 'float' };
  const step = (width - PAD.left - PAD.right) / Math.max(1, kept.length);
  return [...kept, score].map((spec, i) => {
    const isScore = spec === score;
    const scale = paramScale(spec, isScore ? scoreDomain(bundle) : usedRange(spec, bundle), range, isScore ? 5 : 4);
    return {
      key: spec.name,
      label: isScore ? (bundle.run.metric ?? 'score') : spec.name,
      x: PAD.left + i * step,
      scale,
      at: t => {
        if (isScore) {
          const at = scored(t) ? scale.at(t.value) : null;
          return at === null ? null : Math.min(range[0], Math.max(range[1], at));
        }
        const at = scale.at(t.params[spec.name]);
        return at === null ? null : at + (scale.half ? (((t.n * 7) % 11) / 10 - 0.5) * scale.half * 0.8 : 0);
      }
    };
  });
}

/** When there are more parameters than room: those that explain most, in the order of the space. */
function mostExplaining(all: ParamSpec[], bundle: Bundle, most: number): ParamSpec[] {
  const first = new Set([...all].sort((a, b) => explained(b.name, bundle) - explained(a.name, bundle)).slice(0, most));
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
  const axes = useMemo(() => axesOf(bundle, width), [bundle, width]);
  const trials = useMemo(() => bundle.trials.filter(scored), [bundle.trials]);
  const byLevel = useMemo(() => levels(bundle), [bundle.trials]);
  const { brushed } = useFocus();
  const left = searched(bundle).length - (axes.length - 1);
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
    setBrushes(all => {
      const { [key]: _, ...rest } = all;
      return brush ? { ...rest, [key]: brush } : rest;
    });

  return (
    <div class="parallel" ref={ref}>
      {empty || width === 0 ? (
        <Empty>Each scored trial becomes a line here.</Empty>
      ) : (
        <div class="chart" key="chart" style={{ height: `${HEIGHT}px` }}>
          <svg width={width} height={HEIGHT} role="group" aria-label="Parallel coordinates of the trials">
            <Lines trials={trials} axes={axes} byLevel={byLevel} />
            {axes.map(axis => (
              <AxisMark key={axis.key} axis={axis} brush={brushes[axis.key] ?? null} set={b => set(axis.key, b)} />
            ))}
          </svg>
        </div>
      )}
      <div class="legend-row" key="legend">
        <span class={brushed ? 'muted' : 'muted howto'} role="status">
          {brushed
            ? `${brushed.size} of ${trials.length} trials inside the brush`
            : `Drag on an axis to brush, or use the arrow keys on it; Escape clears.${left > 0 ? ` ${left} more parameter${left > 1 ? 's, which explain' : ', which explains'} little, had no room.` : ''}`}
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
  const focused = [...new Set([pinned, hover])].flatMap(n => trials.find(t => t.n === n) ?? []);
  return (
    <g class={trials.length > 200 ? 'lines many' : 'lines'}>
      <path class="line-out" d={paths.outside} />
      {paths.inside.map((d, i) => (
        <path key={i} class={`line lev-${i}`} d={d} />
      ))}
      {focused.map(t => (
        <path key={t.n} class="line-focus" d={lineOf(t, axes)} />
      ))}
    </g>
  );
}

function AxisMark({ axis, brush, set }: { axis: Axis; brush: Brush | null; set: (brush: Brush | null) => void }) {
  const from = useRef<number | null>(null);
  const [top, bottom] = [PAD.top - 6, HEIGHT - PAD.bottom - 2];
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
      <text class="axis-name" transform={`translate(${axis.x},${top - 10}) rotate(-18)`}>
        {plain(axis.label).slice(0, 22)}
      </text>
      {axis.scale.ticks.map(t => (
        <text key={t.label} class="tick" x={axis.x + 5} y={t.at} dy="0.32em">
          {plain(t.label).slice(0, 9)}
        </text>
      ))}
      {brush && <rect class="brush" x={axis.x - 7} width={14} y={brush[0]} height={Math.max(2, brush[1] - brush[0])} />}
      <rect
        class="reach"
        x={axis.x - 12}
        width={24}
        y={top}
        height={bottom - top}
        tabindex={0}
        role="slider"
        aria-orientation="vertical"
        aria-label={`Brush on ${plain(axis.label)}`}
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
