/** The scale of scores, and the strip beside it for trials that are too far out on the worse side to be drawn to scale. */

import type { ScaleContinuousNumeric } from 'd3-scale';
import { scaleLinear, scaleLog } from 'd3-scale';
import { useCallback, useMemo } from 'preact/hooks';
import type { Bundle, Trial } from './bundle';
import { logDomain, scoreDomain, scored } from './derive';
import { num } from './format';

/** Values that are written out; more would be a list, which the table of trials is. */
const MOST_VALUES = 6;
/** Height of the strip: a mark and two rows of values, clear of every line. */
const STRIP = 40;
const CHARACTER = 6.4;

export interface ScoreScale {
  y: ScaleContinuousNumeric<number, number>;
  /** Where a score stands: on the scale, or at the rim. */
  yOf: (value: number) => number;
  /** The scale's own ends, without the strip. */
  top: number;
  bottom: number;
  /** The trials in the strip, and on which side it is. */
  beyond: (Trial & { value: number })[];
  atTop: boolean;
  rim: number;
}

/**
 * @param top, bottom what scale and strip have together.
 * @param log whether the scale is logarithmic, which all scores fit on.
 */
export function useScoreScale(
  bundle: Bundle,
  trials: Trial[],
  top: number,
  bottom: number,
  log = false
): ScoreScale {
  const atTop = bundle.run.direction === 'minimize';
  const logged = useMemo(() => (log ? logDomain(bundle) : null), [bundle, log]);
  const [low, high] = useMemo(() => logged ?? scoreDomain(bundle), [bundle, logged]);
  const isOut = useCallback((v: number) => (atTop ? v > high : v < low), [atTop, low, high]);
  const beyond = useMemo(() => trials.filter(scored).filter(t => isOut(t.value)), [trials, isOut]);
  const strip = beyond.length ? STRIP : 0;
  const rim = atTop ? top : bottom;
  const [first, last] = [top + (atTop ? strip : 0), bottom - (atTop ? 0 : strip)];
  const isLog = logged !== null;
  const y = useMemo(
    () => (isLog ? scaleLog : scaleLinear)([low, high], [last, first]),
    [isLog, low, high, last, first]
  );
  const yOf = useCallback((v: number) => (isOut(v) ? rim : y(v)), [isOut, rim, y]);
  return { y, yOf, top: first, bottom: last, beyond, atTop, rim };
}

/** In which of two rows each text stands, so that none covers another; -1 where neither has room for it. */
function rowsOf(texts: { x: number; text: string }[]): number[] {
  const ends = [-Infinity, -Infinity];
  return texts.map(({ x, text }) => {
    const half = (text.length * CHARACTER) / 2;
    const row = ends.findIndex(end => x - half > end + 4);
    if (row >= 0) {
      ends[row] = x + half;
    }
    return row;
  });
}

/** For each trial in the strip an arrow outwards, and, of a few, its value. */
export function Rim({ scale, x }: { scale: ScoreScale; x: (trial: Trial) => number | null }) {
  const { beyond, atTop, rim } = scale;
  const places = beyond
    .flatMap(t => {
      const at = x(t);
      return at === null ? [] : [{ n: t.n, x: at, text: num(t.value, 3) }];
    })
    .sort((a, b) => a.x - b.x);
  const rows = rowsOf(places);
  const arrow = (at: number) => (atTop ? `M${at - 4},${rim - 8}l4,-5l4,5` : `M${at - 4},${rim + 8}l4,5l4,-5`);
  return (
    <>
      <path class="rim-arrows" d={places.map(p => arrow(p.x)).join('')} />
      {places.length <= MOST_VALUES &&
        places.map((p, i) =>
          rows[i]! < 0 ? null : (
            <text
              key={p.n}
              class="rim-value"
              x={p.x}
              y={atTop ? rim + 17 + 12 * rows[i]! : rim - 9 - 12 * rows[i]!}
              text-anchor="middle"
            >
              {p.text}
            </text>
          )
        )}
    </>
  );
}
