/** What the panes show, computed from a bundle: pure functions, best first. */

import type { Bundle, Candidate, ChatItem, ParamSpec, Run, Trial, Value, Version } from './bundle';

export const LEVELS = 7;

const numbered = new WeakMap<Trial[], Map<number, Trial>>();

/** The trial of a number. A list of trials is never changed in place, so its index is made once. */
export function trialByNumber(trials: Trial[], n: number | null | undefined): Trial | undefined {
  let index = numbered.get(trials);
  if (!index) {
    index = new Map(trials.map(t => [t.n, t]));
    numbered.set(trials, index);
  }
  return n === null || n === undefined ? undefined : index.get(n);
}

export function sign(run: { direction?: string | undefined }): 1 | -1 {
  return run.direction === 'minimize' ? -1 : 1;
}

export function scored(trial: Trial): trial is Trial & { value: number } {
  return trial.state === 'COMPLETE' && typeof trial.value === 'number';
}

/** Best so far: one step per improvement, `[trial number, value]`. */
export function bestSoFar(bundle: Bundle): [number, number][] {
  const s = sign(bundle.run);
  const steps: [number, number][] = [];
  for (const trial of bundle.trials) {
    const last = steps[steps.length - 1];
    if (scored(trial) && (!last || s * trial.value > s * last[1])) {
      steps.push([trial.n, trial.value]);
    }
  }
  return steps;
}

/**
 * Level of each scored trial, 0 (worst) to LEVELS - 1 (best), by rank, so that one bad score hides nothing. Of several
 * objectives: the trials on the Pareto front have the best level, all others one of the low ones.
 */
export function levels(trials: Trial[], direction: string | undefined): Map<number, number> {
  const objectives = objectivesOf({ direction });
  if (objectives.length > 1) {
    const front = frontOf(trials, objectives);
    const complete = trials.filter(t => t.state === 'COMPLETE' && t.values?.length === objectives.length);
    return new Map(complete.map(t => [t.n, front.has(t.n) ? LEVELS - 1 : 1]));
  }
  const s = sign({ direction });
  const order = trials.filter(scored).sort((a, b) => s * (a.value - b.value));
  const last = Math.max(1, order.length - 1);
  return new Map(order.map((t, i) => [t.n, Math.round((i / last) * (LEVELS - 1))]));
}

/** A trial's fold spread: its score less and plus the standard deviation over the folds. */
export function spreadOf(trial: Trial & { value: number }): [number, number] {
  const std = trial.std ?? 0;
  return [trial.value - std, trial.value + std];
}

/**
 * The range of scores worth drawing: far outliers on the bad side are drawn at the edge, and the folds' spread
 * gets at most half as much room again as the scores, which it would press flat where folds differ much.
 */
export function scoreDomain(bundle: Bundle): [number, number] {
  const values = scoresOf(bundle);
  if (values.length === 0) {
    return [0, 1];
  }
  const s = sign(bundle.run);
  const order = values.map(v => s * v).sort((a, b) => a - b);
  const q = (p: number) => order[Math.round(p * (order.length - 1))]!;
  const fence = q(0.25) - 2.5 * Math.max(q(0.75) - q(0.25), 1e-9);
  const near = order.filter(v => v >= fence || order.length < 8);
  let [low, high] = [near[0]!, order[order.length - 1]!];
  const ends = bundle.trials
    .filter(scored)
    .flatMap(spreadOf)
    .map(v => s * v);
  high = Math.min(
    ends.reduce((a, b) => Math.max(a, b), high),
    high + (high - low) / 2
  );
  const pad = (high - low) * 0.06 || Math.abs(high) * 0.05 || 1;
  [low, high] = [low - pad, high + pad];
  return s === 1 ? [low, high] : [-high, -low];
}

/** The trials of a range of numbers, with what a reader needs to see them alone: the best score before them. */
export function zoomed(bundle: Bundle, [from, to]: [number, number]): Bundle {
  const before = bestSoFar(bundle)
    .filter(([n]) => n < from)
    .at(-1);
  const trials = bundle.trials.filter(t => t.n >= from && t.n <= to);
  return { ...bundle, trials, run: { ...bundle.run, default_value: before?.[1] ?? null } };
}

/** Whether scores are far enough apart, and all on one side of 0, for a log scale to show more of them. */
export function spansDecade(bundle: Bundle): boolean {
  const sizes = scoresOf(bundle).map(v => Math.abs(v));
  return hasOneSign(bundle) && Math.max(...sizes) >= 10 * Math.min(...sizes);
}

function hasOneSign(bundle: Bundle): boolean {
  const values = scoresOf(bundle);
  return values.length > 1 && (values.every(v => v > 0) || values.every(v => v < 0));
}

/** The range of a log scale of all scores: none of them is too far out for it. */
export function logDomain(bundle: Bundle): [number, number] | null {
  const values = scoresOf(bundle);
  if (!hasOneSign(bundle)) {
    return null;
  }
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const pad = Math.max(1.05, (high / low) ** (high > 0 ? 0.06 : -0.06));
  return high > 0 ? [low / pad, high * pad] : [low * pad, high / pad];
}

function scoresOf({ run, trials }: Bundle): number[] {
  const values = trials.flatMap(t => (scored(t) ? [t.value] : []));
  return run.default_value === null ? values : [...values, run.default_value];
}

/** The gain of the best over the default, positive when better; null when unknown. */
export function gain(run: Run): number | null {
  if (run.best_value === null || run.default_value === null) {
    return null;
  }
  return sign(run) * (run.best_value - run.default_value);
}

/** How a trial ended: its state, or `CUT_OFF` where the user or a crash ended it, so that it runs again. */
export function outcomeOf(trial: Trial): string {
  return trial.state === 'FAIL' && trial.error === 'stopped' ? 'CUT_OFF' : trial.state;
}

/** How many trials count for the total. */
export function finished(bundle: Pick<Bundle, 'trials' | 'omitted'>): number {
  const counted = bundle.trials.filter(t => !['RUNNING', 'CUT_OFF'].includes(outcomeOf(t)));
  return counted.length + (bundle.omitted?.trials ?? 0);
}

/** Seconds until the run should end, by the mean time of a trial so far; null when nothing can be said. */
export function eta(bundle: Bundle): number | null {
  const done = finished(bundle);
  const { n_trials: total, status } = bundle.run;
  if (status !== 'running' || !total || done === 0 || done >= total || awaitsLlm(bundle)) {
    return null;
  }
  const seconds = bundle.run.seconds - secondsPaused(bundle.chat);
  return seconds > 0 ? (seconds / done) * (total - done) : null;
}

function secondsPaused(chat: ChatItem[]): number {
  let since: number | null = null;
  let seconds = 0;
  for (const { wish, state, time } of chat) {
    if (state === 'applied' && wish === 'pause') {
      since = time;
    } else if (state === 'applied' && wish === 'resume') {
      seconds += since === null ? 0 : time - since;
      since = null;
    }
  }
  return seconds;
}

/** Whether the run waits for an answer of the LLM: the last request is open, and no trial runs beside it. */
export function awaitsLlm({ chat, trials }: Pick<Bundle, 'chat' | 'trials'>): boolean {
  const last = chat.map(item => item.kind).lastIndexOf('prompt');
  const isClosed = ({ kind, request }: ChatItem) =>
    kind === 'fallback' || (kind === 'reply' && request === chat[last]?.request);
  return last >= 0 && !chat.slice(last).some(isClosed) && !trials.some(t => t.state === 'RUNNING');
}

export function latest(bundle: Bundle): Version | undefined {
  const { versions } = bundle.space;
  return versions[versions.length - 1];
}

/** Every parameter of the run in the order of the space, with its outermost range. */
export function parameters(bundle: Bundle): ParamSpec[] {
  const specs = new Map<string, ParamSpec>();
  for (const spec of [...bundle.space.outer, ...bundle.space.versions.flatMap(v => v.params)]) {
    const before = specs.get(spec.name);
    specs.set(spec.name, before ? hull(before, spec) : spec);
  }
  const order = new Map((latest(bundle)?.params ?? []).map((p, i) => [p.name, i]));
  const extra = new Map<string, ParamSpec>();
  for (const trial of specs.size ? [] : bundle.trials) {
    for (const [name, value] of Object.entries(trial.params)) {
      extra.set(name, observed(name, value, extra.get(name)));
    }
  }
  return [...specs.values(), ...extra.values()].sort(
    (a, b) => (order.get(a.name) ?? 1e6) - (order.get(b.name) ?? 1e6)
  );
}

/** Whether a parameter never varies: fixed by the space, or the same in every trial so far. */
export function isConstant(spec: ParamSpec, bundle: Bundle): boolean {
  const fixed = latest(bundle)?.params.find(p => p.name === spec.name)?.fixed !== undefined;
  const only = spec.type === 'categorical' ? (spec.choices?.length ?? 0) < 2 : spec.low === spec.high;
  return (fixed || only) && new Set(bundle.trials.map(t => t.params[spec.name])).size < 2;
}

/** The parameters that are searched: those that vary. */
export function searched(bundle: Bundle): ParamSpec[] {
  return parameters(bundle).filter(spec => !isConstant(spec, bundle));
}

function hull(a: ParamSpec, b: ParamSpec): ParamSpec {
  if (a.type === 'categorical' || b.type === 'categorical') {
    return { ...a, choices: [...new Set([...(a.choices ?? []), ...(b.choices ?? [])])] };
  }
  const low = Math.min(a.low ?? Infinity, b.low ?? Infinity);
  const high = Math.max(a.high ?? -Infinity, b.high ?? -Infinity);
  return { ...a, low, high };
}

function observed(name: string, value: Value, before?: ParamSpec): ParamSpec {
  if (typeof value !== 'number') {
    return { name, type: 'categorical', choices: [...new Set([...(before?.choices ?? []), value])] };
  }
  const single: ParamSpec = { name, type: 'float', low: value, high: value };
  return before ? hull(before, single) : single;
}

/** The part of the outermost range that trials and versions use: what a chart's axis should span. */
export function usedRange(spec: ParamSpec, bundle: Bundle): [number, number] {
  let low = Infinity;
  let high = -Infinity;
  const extend = (x: unknown) => {
    if (typeof x === 'number' && Number.isFinite(x) && (!spec.log || x > 0)) {
      low = Math.min(low, x);
      high = Math.max(high, x);
    }
  };
  for (const trial of bundle.trials) {
    extend(trial.params[spec.name]);
  }
  for (const version of bundle.space.versions) {
    const p = version.params.find(entry => entry.name === spec.name);
    extend(p?.low);
    extend(p?.high);
  }
  if (!(low <= high)) {
    return [spec.low ?? 0, spec.high ?? 1];
  }
  if (low === high) {
    return spec.log ? [low / 2, high * 2] : [low - 0.5, high + 0.5];
  }
  return [low, high];
}

export interface Step {
  from: number;
  to: number;
  spec: ParamSpec;
  version: Version;
}

const AXIS_ENDS = [10, 20, 30, 50, 75, 100, 150, 200, 300, 500, 750, 1000];

/** One past the last trial number that a trial axis shows: it grows with the trials, in steps, up to the total. */
export function axisEnd({ run, trials, omitted }: Bundle): number {
  const last = (trials[trials.length - 1]?.n ?? 0) + 1;
  const total = Math.max(run.n_trials ?? 0, last, 2);
  const step = AXIS_ENDS.find(end => end >= last * 1.1) ?? Math.ceil(last / 500) * 500;
  const ended = run.status !== 'running' && run.status !== 'paused';
  return ended && omitted.trials === 0 ? Math.max(last, 2) : Math.min(total, Math.max(step, last));
}

/** The ranges of one parameter over the trials, one step per version that has it. */
export function bands(name: string, bundle: Bundle, end: number): Step[] {
  const { versions } = bundle.space;
  return versions.flatMap((version, i) => {
    const spec = version.params.find(p => p.name === name);
    const to = versions[i + 1]?.trial ?? end;
    return spec && to > version.trial ? [{ from: version.trial, to, spec, version }] : [];
  });
}

/** What a version changed against the one before, as `[name, before, after]`. */
export function changes(
  before: Version | undefined,
  after: Version
): [string, ParamSpec | undefined, ParamSpec | undefined][] {
  const old = new Map((before?.params ?? []).map(p => [p.name, p]));
  const now = new Map(after.params.map(p => [p.name, p]));
  return [...new Set([...old.keys(), ...now.keys()])].flatMap(name => {
    const [a, b] = [old.get(name), now.get(name)];
    return JSON.stringify(a) === JSON.stringify(b)
      ? []
      : [[name, a, b] as [string, ParamSpec | undefined, ParamSpec | undefined]];
  });
}

/** The trial that ran a candidate of a request; undefined when none did. */
export function trialOf(candidate: Candidate, request: number, trials: Trial[]): Trial | undefined {
  return trials.find(
    t =>
      t.request === request &&
      Object.entries(candidate.params ?? {}).every(([k, v]) => {
        const w = t.params[k];
        return typeof v === 'number' && typeof w === 'number'
          ? Math.abs(v - w) <= 1e-6 * Math.max(Math.abs(v), Math.abs(w), 1e-12)
          : w === v || w === undefined;
      })
  );
}

/**
 * How much of the variation of the scores' ranks one parameter explains alone: the correlation ratio over at
 * most five groups of equal size, less what chance would give (Kelley's epsilon squared), 0 to 1.
 */
export function explained(name: string, bundle: Bundle): number {
  const rows = bundle.trials.filter(scored).filter(t => t.params[name] !== undefined);
  const ranked = [...rows].sort((a, b) => a.value - b.value).map((t, rank) => ({ t, rank }));
  const numeric = rows.every(t => typeof t.params[name] === 'number');
  const groups = new Map<string, number[]>();
  const order = numeric
    ? [...ranked].sort((a, b) => (a.t.params[name] as number) - (b.t.params[name] as number))
    : ranked;
  const perGroup = order.length / Math.min(5, Math.max(2, Math.floor(order.length / 6)));
  order.forEach(({ t, rank }, i) => {
    const key = numeric ? String(Math.floor(i / perGroup)) : String(t.params[name]);
    groups.set(key, [...(groups.get(key) ?? []), rank]);
  });
  const [n, k] = [order.length, groups.size];
  if (n <= k + 2 || k < 2) {
    return 0;
  }
  const mean = (n - 1) / 2;
  const total = order.reduce((sum, { rank }) => sum + (rank - mean) ** 2, 0);
  let within = 0;
  for (const ranks of groups.values()) {
    const m = ranks.reduce((a, b) => a + b, 0) / ranks.length;
    within += ranks.reduce((a, b) => a + (b - m) ** 2, 0);
  }
  return Math.max(0, 1 - within / (n - k) / (total / (n - 1)));
}

/** The direction of each objective. */
export function objectivesOf(run: { direction?: string | undefined }): string[] {
  return (run.direction ?? 'maximize').split(',').map(d => d.trim());
}

/** Numbers of the complete trials that no other one beats: as good in every objective, and better in one. */
export function frontOf(trials: Trial[], directions: string[]): Set<number> {
  const gains = trials.flatMap(t => {
    const values = t.values ?? [];
    const isWhole = values.length === directions.length && values.every(v => typeof v === 'number');
    return isWhole && t.state === 'COMPLETE'
      ? [{ n: t.n, v: values.map((v, i) => (directions[i] === 'minimize' ? -v! : v!)) }]
      : [];
  });
  const beats = (a: number[], b: number[]) => a.every((x, i) => x >= b[i]!) && a.some((x, i) => x > b[i]!);
  return new Set(gains.filter(t => !gains.some(o => beats(o.v, t.v))).map(t => t.n));
}
