/** The status line: what is tuned, how far it is, how good, and whether to believe it. */

import type { ComponentChildren } from 'preact';
import { Closing } from './closing';
import { useBundle, useEnv } from './context';
import { eta, finished, frontOf, gain, objectivesOf, outcomeOf, scored } from './derive';
import { count, duration, entry, money, num, sentence, signed } from './format';
import { CopyButton } from './inspector';
import { betterText } from './metric';
import { plain } from './safe';
import { activity, requestsText, usesLlm, verdictOf } from './words';

const WORDS: Record<string, string> = {
  'running-when-saved': 'running when this was saved',
  running: 'running',
  checking: 'checking the gain',
  paused: 'paused',
  finished: 'finished',
  stopped: 'stopped',
  interrupted: 'interrupted',
  failed: 'failed'
};

function Figure(props: {
  label: ComponentChildren;
  children: ComponentChildren;
  note?: ComponentChildren;
  title?: string;
}) {
  return (
    <div class="figure" title={props.title}>
      <dt>{props.label}</dt>
      <dd>
        <span class="big">{props.children}</span>
        <span class="note">{props.note || '\u00a0'}</span>
      </dd>
    </div>
  );
}

/** `12,000 rows × 21 columns, 5 folds, seed 7`. */
function dataText(run: ReturnType<typeof useBundle>['run']): string {
  const size = [
    run.n_rows ? `${run.n_rows.toLocaleString('en')} rows` : '',
    run.n_columns ? `${run.n_columns.toLocaleString('en')} columns` : ''
  ].filter(Boolean);
  return [
    size.join(' × '),
    run.n_folds && run.n_folds > 1 ? `${run.n_folds} folds` : '',
    run.seed === null || run.seed === undefined ? '' : `seed ${run.seed}`
  ]
    .filter(Boolean)
    .join(', ');
}

function median(values: number[]): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted.length ? sorted[Math.floor((sorted.length - 1) / 2)]! : null;
}

export function Status() {
  const { store } = useEnv();
  const bundle = useBundle();
  const { run, cost, trials } = bundle;
  const done = finished(bundle);
  const total = run.n_trials ?? done;
  const better = gain(run);
  const goesOn = ['running', 'paused', 'checking'].includes(run.status);
  const isLost = store.canSend && !store.connected && goesOn;
  const remaining = isLost ? null : eta(bundle);
  const state = isLost ? 'disconnected' : store.isSnapshot ? 'running-when-saved' : run.status;
  const verdict = verdictOf(run, bundle.omitted.trials ? [] : trials);
  const checking = run.status === 'checking';
  const [checked, checks] = checking ? (run.checked ?? [0, 0]) : [0, 0];
  const share = checking && checks ? checked! / checks : total ? done / total : 0;
  const doing = isLost || store.isSnapshot ? '' : activity(bundle);
  // before the run has started, nobody knows what is better
  const metric = run.direction ? [plain(run.metric), betterText(run)].filter(Boolean).join(', ') : '';
  const adviser = usesLlm(bundle) || !run.sampler || run.sampler.startsWith('llm') ? run.llm : '';
  const proposer = [run.sampler, adviser].filter(Boolean).map(plain).join(' with ');
  const failed = trials.filter(t => outcomeOf(t) === 'FAIL').length;
  const spread = median(trials.flatMap(t => (scored(t) && t.std ? [t.std] : [])));
  const seconds = median(trials.flatMap(t => (t.seconds ? [t.seconds] : [])));
  // An objective of the user's has neither a default nor folds: no gain, no check, no spread.
  const compares = !!run.n_rows || (run.n_folds ?? 0) > 1 || run.default_value !== null || spread !== null;
  const objectives = objectivesOf(run);
  const show = `%sllmbo show ${plain(run.name ?? '')}`.trim();
  const front = objectives.length > 1 ? frontOf(trials, objectives).size : 0;
  const model = plain(run.model ?? run.estimator);
  return (
    <header class="status">
      <div class="title">
        <h2>{plain(run.name ?? 'run')}</h2>
        <span class={`state is-${plain(state)}`} role="status">
          {entry(WORDS, state) ?? plain(state)}
        </span>
        <p class="what" title={plain(run.taken)}>
          {[model === plain(run.metric) ? '' : model, metric, dataText(run), proposer]
            .filter(Boolean)
            .join(' · ')}
        </p>
      </div>
      <div
        class={checking ? 'progress is-checking' : 'progress'}
        role="progressbar"
        aria-label={checking ? 'Fits of the check done' : 'Trials done'}
        aria-valuemin={0}
        aria-valuemax={Math.max(checking ? checks! : total, 1)}
        aria-valuenow={checking ? checked : Math.min(done, Math.max(total, 1))}
      >
        <div style={{ width: `${Math.min(100, 100 * share)}%` }} />
      </div>
      <p class="doing muted">{doing ? sentence(doing) : '\u00a0'}</p>
      <dl class="figures" hidden={store.isSnapshot && trials.length === 0}>
        <Figure
          label="Trials"
          note={remaining !== null ? `${duration(remaining)} left` : run.seconds ? duration(run.seconds) : ''}
        >
          {done}
          {total > 0 && <small> of {total}</small>}
        </Figure>
        {objectives.length > 1 ? (
          <Figure label="On the Pareto front" note="no trial beats these in all objectives">
            {front}
            <small> trial{front === 1 ? '' : 's'}</small>
          </Figure>
        ) : (
          <Figure
            label={`Best ${plain(run.metric ?? '')}`}
            note={run.best_number === null ? '' : `trial ${run.best_number}`}
          >
            {num(run.best_value)}
          </Figure>
        )}
        {compares && objectives.length === 1 && (
          <>
            <Figure
              title="On the folds of the search, which chose the best"
              label={
                <>
                  Gain<span class="long"> over default</span>
                </>
              }
              note={run.default_value === null ? '' : `from ${num(run.default_value)}`}
            >
              {better === null ? '–' : signed(better)}
            </Figure>
            <Figure
              label="Gain, checked"
              note={
                verdict ? (
                  <Chip word={verdict.word} detail={verdict.detail} />
                ) : goesOn ? (
                  'after the last trial'
                ) : (
                  ''
                )
              }
              title="On folds that the search did not use; ± is the standard error"
            >
              {verdict?.gain.split(' ± ')[0] || '–'}
              {verdict?.gain.includes(' ± ') && <small> ± {verdict.gain.split(' ± ')[1]}</small>}
            </Figure>
          </>
        )}
        {usesLlm(bundle) ? (
          <>
            <Figure label="Tokens" note={requestsText(bundle)}>
              {count(cost.input_tokens + cost.output_tokens)}
            </Figure>
            <Figure label="Money" note={cost.money === null && cost.requests ? 'no price known' : ''}>
              {money(cost.requests ? cost.money : 0)}
            </Figure>
          </>
        ) : (
          <>
            {compares && (
              <Figure label="Fold spread" note="standard deviation" title="Median over the trials">
                {spread === null ? '–' : `± ${num(spread, 2)}`}
              </Figure>
            )}
            <Figure label="Time per trial" note={failed ? `${failed} failed` : done ? 'none failed' : ''}>
              {seconds === null ? '–' : duration(seconds)}
            </Figure>
          </>
        )}
      </dl>
      {isLost && (
        <p class="banner" role="alert">
          {store.restarted
            ? 'The kernel was restarted, which ended this run. What it finished is on disk: load the extension again '
            : 'The kernel is gone. What it finished is on disk: load the extension in a new one '}
          (<code>%load_ext sllmbo_magic</code>) and run the cell with <code>--resume</code>{' '}
          <CopyButton text=" --resume" what="the option for the cell's first line" />.
        </p>
      )}
      {store.isSnapshot && (
        <p class="banner">
          This was saved while the run went on. What the run has finished is on disk: <code>{show}</code>{' '}
          shows it <CopyButton text={show} what="the command that shows the run" />, and its cell with{' '}
          <code>--resume</code> goes on.
        </p>
      )}
      <Closing />
    </header>
  );
}

function Chip({ word, detail }: { word: string; detail: string }) {
  return (
    <span class={`verdict is-${word.replace(/\W/g, '-')}`} title={detail}>
      <b>{word}</b> <span class="long">{detail}</span>
    </span>
  );
}
