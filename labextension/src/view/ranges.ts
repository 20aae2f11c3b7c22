/** Changing the ends of a range: what a drag, an arrow key or typed text makes of them. Pure. */

import type { ParamSpec, Value } from './bundle';
import type { ParamScale } from './scales';

export interface Ends {
  low: number;
  high: number;
}

export const endsOf = (spec: ParamSpec): Ends => ({ low: spec.low ?? 0, high: spec.high ?? 1 });

/** The ends with one of them moved; unchanged where they would meet. */
export function withEnd(ends: Ends, end: keyof Ends, to: number): Ends {
  const next = { ...ends, [end]: to };
  return next.low < next.high ? next : ends;
}

/** One end moved by so many pixels up the scale; a whole number moves by one at least. */
export function nudged(
  ends: Ends,
  end: keyof Ends,
  pixels: number,
  scale: ParamScale,
  type: ParamSpec['type']
): Ends {
  const at = scale.at(ends[end]);
  if (at === null) {
    return ends;
  }
  const to = Number(scale.value(at - pixels));
  return withEnd(ends, end, type === 'int' && to === ends[end] ? to + Math.sign(pixels) : to);
}

/** Typed text as ends of the parameter, or what is wrong with it. */
export function parseEnds(low: string, high: string, spec: ParamSpec): Ends | string {
  const ends = { low: Number(low), high: Number(high) };
  if (low.trim() === '' || high.trim() === '' || !Number.isFinite(ends.high - ends.low)) {
    return 'Both ends must be numbers.';
  }
  if (spec.type === 'int' && !(Number.isInteger(ends.low) && Number.isInteger(ends.high))) {
    return 'Both ends must be whole numbers.';
  }
  if (ends.low >= ends.high) {
    return 'The lower end must be below the upper end.';
  }
  if (spec.log && ends.low <= 0) {
    return 'On a log scale the lower end must be above 0.';
  }
  return ends;
}

/** A typed choice: a number, True, False or None where no other choice is a text; quotes make it a text. */
export function parseChoice(typed: string, choices: Value[]): Value {
  const text = typed.trim();
  const quoted = /^(["'])(.*)\1$/.exec(text);
  if (quoted) {
    return quoted[2]!;
  }
  const words: Record<string, Value> = { True: true, False: false, None: null };
  if (Object.hasOwn(words, text)) {
    return words[text]!;
  }
  const isNumber = text !== '' && Number.isFinite(Number(text));
  return isNumber && !choices.some(c => typeof c === 'string') ? Number(text) : text;
}

export const same = (a: Ends, b: Ends): boolean => a.low === b.low && a.high === b.high;
