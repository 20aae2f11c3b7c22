/** The status line: what runs, how far, how good, at what price. */

import type { ComponentChildren } from 'preact';
import { useBundle, useEnv } from './context';
import { eta, finished, gain } from './derive';
import { count, duration, entry, money, num, sentence } from './format';
import { plain } from './safe';

const WORDS: Record<string, string> = {
  running: 'running',
  paused: 'paused',
  finished: 'finished',
  stopped: 'stopped',
  interrupted: 'interrupted',
  failed: 'failed'
};

function Figure(props: { label: ComponentChildren; children: ComponentChildren; note?: ComponentChildren }) {
  return (
    <div class="figure">
      <dt>{props.label}</dt>
      <dd>
        <span class="big">{props.children}</span>
        <span class="note">{props.note || '\u00a0'}</span>
      </dd>
    </div>
  );
}

export function Status() {
  const { store } = useEnv();
  const bundle = useBundle();
  const { run, cost } = bundle;
  const done = finished(bundle);
  const total = run.n_trials ?? done;
  const better = gain(run);
  const left = eta(bundle);
  const dead = store.canSend && !store.connected;
  const state = dead ? 'disconnected' : (entry(WORDS, run.status) ?? plain(run.status));
  const asked = cost.requests > 0;
  const check = run.summary?.verification;
  const outcome = run.summary?.text || run.reason; // the paragraph of report/summary.py; a failed run has none
  return (
    <header class="status">
      <div class="title">
        <h2>{plain(run.name ?? 'run')}</h2>
        <span class={`state is-${state}`} role="status">
          {state}
        </span>
        <p class="what">
          {[run.estimator, run.metric && `${run.metric}, ${run.direction ?? 'maximize'}`, run.sampler, run.llm]
            .filter(Boolean)
            .map(plain)
            .join(' · ')}
        </p>
      </div>
      <div
        class="progress"
        role="progressbar"
        aria-label="Trials done"
        aria-valuemin={0}
        aria-valuemax={Math.max(total, 1)}
        aria-valuenow={Math.min(done, Math.max(total, 1))}
      >
        <div style={{ width: `${total ? Math.min(100, (100 * done) / total) : 0}%` }} />
      </div>
      <dl class="figures">
        <Figure label="Trials" note={run.status === 'running' ? `${duration(left)} left` : duration(run.seconds)}>
          {done}
          <small> of {total}</small>
        </Figure>
        <Figure label="Best" note={run.best_number === null ? '' : `trial ${run.best_number}`}>
          {num(run.best_value)}
        </Figure>
        <Figure
          label={<>Gain<span class="long"> over default</span></>}
          note={check?.verdict ? plain(check.verdict) : run.default_value === null ? '' : `from ${num(run.default_value)}`}
        >
          {better === null ? '–' : `${better > 0 ? '+' : ''}${num(better, 3)}`}
        </Figure>
        <Figure label="Tokens" note={`${cost.requests} request${cost.requests === 1 ? '' : 's'}`}>
          {asked ? count(cost.input_tokens + cost.output_tokens) : '0'}
        </Figure>
        <Figure label="Money" note={!asked ? 'no request' : cost.money === null ? 'no price known' : ''}>
          {asked ? money(cost.money) : '$0'}
        </Figure>
      </dl>
      {dead && (
        <p class="banner" role="alert">
          The kernel is gone. What it finished is on disk: run the cell again with <code>--resume</code>.
        </p>
      )}
      {run.status !== 'running' && outcome && <p class={outcome.length > 300 ? 'reason long-text' : 'reason'}>{sentence(plain(outcome))}</p>}
    </header>
  );
}
