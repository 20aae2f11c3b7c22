/** What a run is doing, who proposes in it, and what its check says: in words. Pure. */

import type { Bundle, Run, Trial, Verification } from './bundle';
import { awaitsLlm, finished, objectivesOf, scored } from './derive';
import { entry, num, signed } from './format';
import { plain } from './safe';

/** Base samplers by the names that the run has for them. */
const BASE: Record<string, string> = { random: 'Random', gp: 'GP', cmaes: 'CMA-ES', hyperopt: 'Hyperopt' };

/** Whether an LLM is given, which the run may ask. */
function hasLlm({ llm }: Run): boolean {
  return llm !== undefined && llm !== '' && !['rulebook', 'offline'].includes(llm);
}

/** Whether an LLM is asked, and not the rulebook or the base sampler alone. */
export function usesLlm({ run, cost }: Pick<Bundle, 'run' | 'cost'>): boolean {
  return cost.requests > 0 || (hasLlm(run) && (run.sampler ?? 'llm-tpe').startsWith('llm'));
}

/** How many requests were sent, and whether the LLM answered none of them: `9 requests, none answered`. */
export function requestsText({ chat, cost, omitted }: Bundle): string {
  const sent = `${cost.requests} request${cost.requests === 1 ? '' : 's'}`;
  const failed = chat.some(item => item.kind === 'fallback');
  const answered = omitted.chat > 0 || chat.some(item => item.kind === 'reply');
  return cost.requests > 0 && failed && !answered ? `${sent}, none answered` : sent;
}

/** The three samplers that a run can be switched to, by their names in a command. */
export function samplerNames(
  bundle: Pick<Bundle, 'run' | 'cost'>
): Record<'llm' | 'llm-tpe' | 'tpe', string> {
  const { sampler } = bundle.run;
  const base = (sampler && !sampler.startsWith('llm') && entry(BASE, sampler)) || 'TPE';
  const proposer = hasLlm(bundle.run) || bundle.cost.requests > 0 ? 'LLM' : 'Rulebook';
  return { llm: proposer, 'llm-tpe': `${proposer}-${base}`, tpe: base };
}

/** What the run is doing now; empty when it has ended or waits. */
export function activity(bundle: Bundle): string {
  const { run, trials, omitted } = bundle;
  if (run.status === 'checking') {
    const [done, total] = run.checked ?? [];
    const count = total ? `, ${done} of ${total}` : '';
    return `checking the best configuration on fresh folds${count}`;
  }
  if (run.status !== 'running') {
    return '';
  }
  const running = trials.filter(t => t.state === 'RUNNING');
  if (running.length === 0 && run.n_trials && finished({ trials, omitted }) >= run.n_trials) {
    return 'all trials are done, summing up';
  }
  if (running.length > 1) {
    return `${running.length} trials at a time`;
  }
  if (awaitsLlm(bundle)) {
    return 'waiting for an answer of the LLM';
  }
  const [trial] = running;
  if (!trial) {
    return trials.length === 0 ? 'reading the task' : 'choosing the next configuration';
  }
  const folds = trial.folds?.length ?? run.n_folds ?? 0;
  const done = trial.folds?.filter(f => f !== null).length ?? 0;
  const activity =
    trial.source === 'default' ? 'fitting the default configuration' : `fitting trial ${trial.n}`;
  return folds > 1 ? `${activity}, fold ${Math.min(done + 1, folds)} of ${folds}` : activity;
}

/**
 * What the status of a kernel that has had a run means for it: nothing, or that the run is gone. A kernel that another
 * page or program restarts is only heard to start.
 */
export function lossOf(status: string): { connected: false; restarted: boolean } | null {
  const restarted = ['restarting', 'autorestarting', 'starting'].includes(status);
  return restarted || ['dead', 'terminating'].includes(status) ? { connected: false, restarted } : null;
}

export interface Verdict {
  /** `real`, `within noise`, `worse`, or `not checked`. */
  word: string;
  /** The gain that was tested, with its standard error; empty without a test. */
  gain: string;
  /** On what it was tested, or how it could be. */
  detail: string;
}

/**
 * What is known of the gain beyond the folds that the search itself used.
 *
 * @param trials all trials of the run, where they are at hand.
 */
export function verdictOf(run: Run, trials: Trial[] = []): Verdict | null {
  const check: Verification | null | undefined = run.summary?.verification;
  if (run.status === 'running' || run.status === 'paused' || run.status === 'checking' || !run.summary) {
    return null;
  }
  if (check && check.fresh !== false && check.gain !== null && check.gain !== undefined) {
    const noise = check.noise === null || check.noise === undefined ? '' : ` ± ${num(check.noise, 2)}`;
    const folds = check.n_folds ? `on ${check.n_folds} fresh folds` : 'on fresh folds';
    return { word: plain(check.verdict), gain: signed(check.gain) + noise, detail: folds };
  }
  if ((run.best_number === null && run.best_value === null) || objectivesOf(run).length > 1) {
    return null; // no trial has a score, or none is the best
  }
  if (run.best_value !== null && run.best_value === run.default_value) {
    const isAlone = trials.filter(scored).length === 1;
    return {
      word: 'no gain',
      gain: '',
      detail: isAlone ? 'no other configuration has a score' : 'the default was best'
    };
  }
  return { word: 'not checked', gain: '', detail: whyUnchecked(run, check) };
}

function whyUnchecked(run: Run, check: Verification | null | undefined): string {
  // the first sentence of a check that came to no verdict ends with its reason
  const reason =
    check?.verdict === 'unknown' && /, since (.+?)\.?(?:(?<=\.)\s|$)/.exec(plain(check.text))?.[1];
  if (reason) {
    return reason;
  }
  if (check?.fresh === false) {
    return 'this cv has no other folds: give a cv that shuffles, or X_test and y_test';
  }
  if (run.status === 'interrupted' || run.status === 'failed') {
    return run.status === 'failed' ? 'the run failed' : 'the run was interrupted';
  }
  return run.default_value === null ? 'the default has no score' : 'default and best were not scored again';
}
