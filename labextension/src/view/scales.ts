/** A parameter's own scale, vertical or horizontal: linear, log, or one lane per choice. */

import type { ScaleContinuousNumeric } from 'd3-scale';
import { scaleLinear, scaleLog } from 'd3-scale';
import type { ParamSpec, Value } from './bundle';
import { MINUS, val } from './format';

export interface ParamScale {
  /** Position of a value; null when the scale has no place for it. */
  at: (value: Value | undefined) => number | null;
  /** The value at a position: rounded for integers; a choice for lanes. */
  value: (position: number) => Value;
  ticks: { at: number; label: string }[];
  lanes: Value[] | null;
  /** Half the height of a lane; 0 on a continuous scale. */
  half: number;
}

/** @param domain what the axis spans (ignored for lanes); @param range positions of its low and high end. */
export function paramScale(
  spec: ParamSpec,
  domain: [number, number],
  range: [number, number],
  nTicks = 3
): ParamScale {
  if (spec.type === 'categorical') {
    return laneScale(spec.choices ?? [], range);
  }
  const log = Boolean(spec.log) && domain[0] > 0;
  const scale = log ? scaleLog(domain, range) : scaleLinear(domain, range);
  const isInteger = spec.type === 'int';
  return {
    at: value =>
      typeof value === 'number' && Number.isFinite(value) && (!log || value > 0) ? scale(value) : null,
    value: position => {
      const x = Number(scale.invert(position).toPrecision(3));
      return isInteger ? Math.round(x) : x;
    },
    ticks: labelled(ticksOf(scale, log, isInteger, domain, nTicks)).map(t => ({ ...t, at: scale(t.at) })),
    lanes: null,
    half: 0
  };
}

/** The lines of an axis of scores, linear or log, with their numbers. */
export function valueTicks(
  scale: ScaleContinuousNumeric<number, number>,
  n = 5
): { at: number; label: string }[] {
  const isLog = 'base' in scale;
  const [low, high] = scale.domain() as [number, number];
  if (isLog) {
    return labelled(ticksOf(scale, true, false, [low, high], n)).map(t => ({ ...t, at: scale(t.at) }));
  }
  const ticks = scale.ticks(n);
  const labels = tickLabels(ticks);
  return ticks.map((t, i) => ({ at: scale(t), label: labels[i]! }));
}

/** A label that is longer is written with an exponent where that is shorter. */
const LONGEST = 8;

/**
 * Ticks with the digits that tell them apart, all in one form: decimal, or with exponents where that would be long.
 */
function tickLabels(ticks: number[]): string[] {
  const power = (x: number) => (x ? Number(x.toExponential(2).split('e')[1]) : 0);
  const steps = ticks.slice(1).map((t, i) => Math.abs(t - ticks[i]!));
  const smallest = power(Math.min(...(steps.length ? steps : ticks.map(Math.abs))));
  const decimals = Math.min(20, Math.max(0, -smallest));
  const decimal = ticks.map(t =>
    t
      .toLocaleString('en', { minimumFractionDigits: decimals, maximumFractionDigits: decimals })
      .replace('-', MINUS)
  );
  const exponential = ticks.map(t =>
    t === 0
      ? '0'
      : t
          .toExponential(Math.min(20, Math.max(0, power(t) - smallest)))
          .replace('e+', 'e')
          .replace(/-/g, MINUS)
  );
  const longest = (labels: string[]) => Math.max(...labels.map(label => label.length));
  return longest(decimal) > Math.max(LONGEST, longest(exponential)) ? exponential : decimal;
}

/** Pixels that the longest of some labels of an axis takes, with the gap to the axis; at least `least`. */
export function roomFor(labels: string[], least: number, size = 1): number {
  const width = (label: string) => [...label].reduce((sum, c) => sum + ('.,'.includes(c) ? 3.5 : 7), 12);
  return Math.ceil(Math.max(least, ...labels.map(label => size * width(label))));
}

function ticksOf(
  scale: { ticks: (n?: number) => number[] },
  log: boolean,
  isInteger: boolean,
  [low, high]: [number, number],
  n: number
): number[] {
  let ticks = scale.ticks(n);
  if (log) {
    const leading = (t: number) => Number(Math.abs(t).toExponential(3).split('e')[0]);
    const decades = ticks.filter(t => leading(t) === 1);
    const nice = decades.length >= 3 ? decades : ticks.filter(t => [1, 2, 5].includes(leading(t)));
    const step = Math.ceil(nice.length / (n + 1));
    ticks =
      nice.length >= 2
        ? nice.filter((_, i) => i % step === 0)
        : [low, high].map(t => Number(t.toPrecision(2)));
  }
  return isInteger ? ticks.filter(Number.isInteger) : ticks;
}

/** Short labels; where those are the same for different ticks, ones that tell them apart. */
function labelled(ticks: number[]): { at: number; label: string }[] {
  const short = ticks.map(t => val(t));
  const labels = new Set(short).size === short.length ? short : tickLabels(ticks);
  return ticks.map((t, i) => ({ at: t, label: labels[i]! }));
}

function laneScale(choices: Value[], [start, end]: [number, number]): ParamScale {
  const n = Math.max(1, choices.length);
  const width = (end - start) / n;
  const at = (i: number) => start + width * (i + 0.5);
  return {
    at: value => {
      const i = choices.indexOf(value as Value);
      return i < 0 ? null : at(i);
    },
    value: position => choices[Math.min(n - 1, Math.max(0, Math.floor((position - start) / width)))] ?? null,
    ticks: choices.map((c, i) => ({ at: at(i), label: val(c) })),
    lanes: choices,
    half: Math.abs(width) / 2
  };
}
