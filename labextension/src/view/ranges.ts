/** Changing the ends of a range: what a drag, an arrow key or typed text makes of them. Pure. */

import type { ParamSpec } from './bundle';
import type { ParamScale } from './scales';

export interface Ends {
  low: number;
  high: number;
}

export const endsOf = (spec: ParamSpec): Ends => ({ low: spec.low ?? 0, high: spec.high ?? 1 });

/** The ends with one of them moved; unchanged where they would meet. */
export function moved(ends: Ends, end: keyof Ends, to: number): Ends {
  const next = { ...ends, [end]: to };
  return next.low < next.high ? next : ends;
}

/** One end moved by so many pixels up the scale; a whole number moves by one at least. */
export function nudged(ends: Ends, end: keyof Ends, pixels: number, scale: ParamScale, type: ParamSpec['type']): Ends {
  const at = scale.at(ends[end]);
  if (at === null) {
    return ends;
  }
  const to = Number(scale.value(at - pixels));
  return moved(ends, end, type === 'int' && to === ends[end] ? to + Math.sign(pixels) : to);
}

/** What was typed as ends of the parameter; null when it is no range of its kind. */
export function typed(low: string, high: string, spec: ParamSpec): Ends | null {
  const ends = { low: Number(low), high: Number(high) };
  const numbers = low.trim() !== '' && high.trim() !== '' && ends.low < ends.high && Number.isFinite(ends.high - ends.low);
  const whole = spec.type !== 'int' || (Number.isInteger(ends.low) && Number.isInteger(ends.high));
  return numbers && whole && !(spec.log && ends.low <= 0) ? ends : null;
}

export const same = (a: Ends, b: Ends): boolean => a.low === b.low && a.high === b.high;
