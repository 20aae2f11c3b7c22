/** Compare: this run beside others of the kernel and the folder. */

import { scaleLinear } from 'd3-scale';
import { useEffect, useState } from 'preact/hooks';
import type { Curve } from '../bundle';
import { useBundle, useEnv, useWidth } from '../context';
import { duration, num, shortName, signed, val } from '../format';
import { displayMetric } from '../metric';
import { Empty, Grid, leftOf } from '../plot';
import { plain } from '../safe';

const HEIGHT = 280;
const PAD = { top: 28, right: 96, bottom: 42, left: 64 };
const FIRST = 3;
const MOST = 6;
const LINES = Array.from({ length: MOST }, (_, i) => i);

interface Line {
  curve: Curve;
  style: number;
}

export function Compare() {
  const { store } = useEnv();
  const bundle = useBundle();
  const [ref, width] = useWidth<HTMLDivElement>();
  const [over, setOver] = useState<'trials' | 'seconds'>('trials');
  const [chosen, setChosen] = useState<string[] | null>(null);
  const done = bundle.trials.filter(t => t.state !== 'RUNNING').length;
  // biome-ignore lint/correctness/useExhaustiveDependencies: the curves grow with the trials that are done
  useEffect(() => store.requestCurves(), [store, done]);
  const { curves } = store;
  const here = curves?.find(c => c.here);
  if (!curves || !here) {
    return (
      <div ref={ref}>
        <Empty>Reading the runs of this kernel and this folder.</Empty>
      </div>
    );
  }
  const compares = (c: Curve) => c.metric === here.metric && c.direction === here.direction;
  const otherCurves = curves.filter(c => !c.here);
  const ids =
    chosen ??
    otherCurves
      .filter(c => compares(c) && c.steps.length)
      .slice(0, FIRST - 1)
      .map(c => c.id);
  const lines: Line[] = [here, ...otherCurves.filter(c => ids.includes(c.id))]
    .slice(0, MOST)
    .map((curve, style) => ({ curve, style }));
  const toggle = (id: string) => setChosen(ids.includes(id) ? ids.filter(i => i !== id) : [...ids, id]);
  return (
    <div class="compare" ref={ref}>
      {otherCurves.length === 0 ? (
        <Empty>
          This is the only run of the kernel and the folder. Start another one, and it stands here too.
        </Empty>
      ) : (
        <>
          <div class="compare-runs" role="group" aria-label="Runs to compare with">
            {otherCurves.map(c => (
              <label key={c.id} class={compares(c) ? '' : 'muted'}>
                <input
                  type="checkbox"
                  checked={ids.includes(c.id)}
                  disabled={!compares(c) || (!ids.includes(c.id) && lines.length >= MOST)}
                  onChange={() => toggle(c.id)}
                />
                {plain(c.name)}
                {compares(c) ? '' : ` (${plain(displayMetric(c).label)})`}
              </label>
            ))}
          </div>
          <div class="chat-bar" role="radiogroup" aria-label="Best so far over">
            {(['trials', 'seconds'] as const).map(key => (
              <label key={key}>
                <input type="radio" checked={over === key} onChange={() => setOver(key)} /> over {key}
              </label>
            ))}
          </div>
          {width > 0 && <Chart lines={lines} over={over} width={width} />}
          <Table lines={lines} />
        </>
      )}
    </div>
  );
}

function Chart({ lines, over, width }: { lines: Line[]; over: 'trials' | 'seconds'; width: number }) {
  const metric = displayMetric(lines[0]!.curve);
  const bottom = HEIGHT - PAD.bottom;
  const at = over === 'trials' ? 0 : 1;
  const values = lines.flatMap(({ curve }) => curve.steps.map(s => metric.sign * s[2]!));
  if (values.length === 0) {
    return <Empty>No run has a score so far.</Empty>;
  }
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const pad = (high - low) * 0.08 || Math.abs(high) * 0.05 || 1;
  const end = Math.max(1e-6, ...lines.flatMap(({ curve }) => curve.steps.map(s => s[at]!)));
  const y = scaleLinear([low - pad, high + pad], [bottom, PAD.top]);
  const left = leftOf(y, PAD.left);
  const x = scaleLinear([0, end], [left, width - PAD.right]);
  const path = ({ curve }: Line) =>
    curve.steps
      .map((s, i) => {
        const [px, py] = [x(s[at]!).toFixed(1), y(metric.sign * s[2]!).toFixed(1)];
        return i ? `H${px}V${py}` : `M${px},${py}`;
      })
      .join('');
  const labels = lines
    .filter(({ curve }) => curve.steps.length)
    .map(({ curve, style }) => ({
      curve,
      style,
      y: y(metric.sign * curve.steps[curve.steps.length - 1]![2]!)
    }))
    .sort((a, b) => a.y - b.y);
  labels.forEach((label, i) => {
    label.y = i ? Math.max(label.y, labels[i - 1]!.y + 13) : label.y;
  });
  return (
    <div class="chart" style={{ height: `${HEIGHT}px` }}>
      <svg
        width={width}
        height={HEIGHT}
        role="img"
        aria-label={`Best score so far over ${over}, a line per run`}
      >
        <Grid y={y} left={left} right={width - PAD.right} />
        <g class="axis">
          {x.ticks(Math.max(2, Math.round(width / 120))).map(t => (
            <text key={t} x={x(t)} y={bottom + 16} text-anchor="middle">
              {t}
            </text>
          ))}
          <text class="axis-title" x={(left + width - PAD.right) / 2} y={HEIGHT - 6} text-anchor="middle">
            {over === 'trials' ? 'trial' : 'seconds in trials'}
          </text>
          <text class="axis-title" x={PAD.left - 52} y={12}>
            best {plain(metric.label)} so far, {metric.maximize ? 'higher is better ↑' : 'lower is better ↓'}
          </text>
        </g>
        {lines.map(line => (
          <path key={line.curve.id} class={`run-line run-${line.style}`} d={path(line)} />
        ))}
        {labels.map(label => (
          <text
            key={label.curve.id}
            class={`run-label run-${label.style}`}
            x={width - PAD.right + 6}
            y={label.y}
            dy="0.32em"
          >
            {shortName(plain(label.curve.name), 14)}
          </text>
        ))}
      </svg>
    </div>
  );
}

function Table({ lines }: { lines: Line[] }) {
  const metric = displayMetric(lines[0]!.curve);
  const score = (v: number | null | undefined) => num(typeof v === 'number' ? metric.sign * v : v);
  const gain = ({ default_value: a, best_value: b, direction }: Curve) =>
    typeof a === 'number' && typeof b === 'number'
      ? signed((direction === 'minimize' ? -1 : 1) * (b - a))
      : '–';
  const names = [...new Set(lines.flatMap(({ curve }) => Object.keys(curve.best_params)))];
  const rows: [string, (curve: Curve) => string][] = [
    [`Best ${plain(metric.label)}`, c => score(c.best_value)],
    ['Default', c => score(c.default_value)],
    ['Gain over default', gain],
    ['Best at trial', c => (c.best_number === null ? '–' : String(c.best_number))],
    ['Trials', c => String(c.n_trials)],
    ['Time in trials', c => duration(c.seconds)],
    ['Sampler', c => plain([c.sampler, c.llm].filter(Boolean).join(' with '))],
    ['Status', c => plain(c.status)],
    ...names.map((name): [string, (c: Curve) => string] => [
      plain(name),
      c => (name in c.best_params ? plain(val(c.best_params[name])) : '–')
    ])
  ];
  return (
    <div class="table-scroll" tabIndex={0} role="group" aria-label="The runs side by side">
      <table>
        <thead>
          <tr>
            <th scope="col">
              <span class="hidden">What</span>
            </th>
            {lines.map(({ curve, style }) => (
              <th scope="col" key={curve.id}>
                <svg width="18" height="8" aria-hidden="true">
                  <path class={`run-line run-${LINES[style]}`} d="M0,4H18" />
                </svg>
                {plain(curve.name)}
                {curve.here ? ' (this run)' : ''}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(([label, text]) => (
            <tr key={label}>
              <th scope="row">{label}</th>
              {lines.map(({ curve }) => (
                <td key={curve.id}>{text(curve)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
