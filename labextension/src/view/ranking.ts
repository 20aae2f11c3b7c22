/** Parameters in the order of how much they matter, in places that hold still while a run goes on. */

import { useRef } from 'preact/hooks';
import type { Bundle, ParamSpec } from './bundle';
import { explained, scored, searched } from './derive';
import { entry } from './format';

export interface Ranking {
  /** Share of the score's variation by name: as measured at the end, else as the trials so far suggest. */
  shares: Map<string, number>;
  /** Names, those that matter most first. */
  order: string[];
  measured: boolean;
}

export function sharesOf(bundle: Bundle, specs: ParamSpec[]): Map<string, number> {
  const measured = Object.keys(bundle.importances).length > 0;
  return new Map(
    specs.map(s => [s.name, measured ? (entry(bundle.importances, s.name) ?? 0) : explained(s.name, bundle)])
  );
}

export function byShare(shares: Map<string, number>): string[] {
  return [...shares].sort((a, b) => b[1] - a[1]).map(([name]) => name);
}

/** The parameters that were searched, those that matter most first. */
export function byImportance(bundle: Bundle): ParamSpec[] {
  const specs = searched(bundle);
  const names = byShare(sharesOf(bundle, specs));
  return names.flatMap(name => specs.find(s => s.name === name) ?? []);
}

/** The ranking; its order changes when the scored trials have doubled, and not while `held`. */
export function useRanking(bundle: Bundle, specs: ParamSpec[], frozen = false): Ranking {
  const measured = Object.keys(bundle.importances).length > 0;
  const count = bundle.trials.filter(scored).length;
  const doubled = Math.floor(Math.log2(Math.max(1, count / 8)));
  const stored = useRef({ key: '', order: [] as string[] });
  const cached = useRef<{ bundle: Bundle; shares: Map<string, number> } | null>(null);
  if (cached.current?.bundle !== bundle) {
    cached.current = { bundle, shares: sharesOf(bundle, specs) };
  }
  const { shares } = cached.current;
  const key = `${doubled} ${measured} ${specs.length}`;
  if (stored.current.key !== key && !(frozen && stored.current.order.length)) {
    stored.current = { key, order: byShare(shares) };
  }
  return { shares, order: stored.current.order, measured };
}
