/** The wheel: each control only sends a wish, says so at once, and later from which trial on it counts. */

import { useState } from 'preact/hooks';
import { useBundle, useEnv } from './context';
import { entry } from './format';
import { plain } from './safe';
import type { Wish } from './store';
import { wishWords } from './wishes';

const THIRD: Record<string, string> = { random: 'Random', gp: 'GP', cmaes: 'CMA-ES', hyperopt: 'Hyperopt' };

function say(wish: Wish): string {
  return wish.wish === 'enqueue' ? 'Configuration enqueued' : wishWords(wish.wish, wish.value);
}

const STATES: Record<Wish['state'], (w: Wish) => string> = {
  sent: () => 'sending',
  accepted: w => (w.wish === 'stop' ? 'after the fold in flight' : 'pending, from the next trial on'),
  refused: w => `refused: ${plain(w.error ?? '')}`,
  applied: w => `applied at trial ${w.trial ?? '?'}`
};

function WishLine() {
  const { store } = useEnv();
  useBundle();
  return (
    <div role="log" aria-label="Wishes" aria-live="polite">
      <ul class="wishes">
        {store.recentWishes().slice(-3).map(w => (
          <li key={w.id} class={`wish is-${w.state}`}>
            <span class="said">{say(w)}</span> <em>{STATES[w.state](w)}</em>
          </li>
        ))}
      </ul>
    </div>
  );
}

export function Controls() {
  const { store, id } = useEnv();
  const { run } = useBundle();
  const [hint, setHint] = useState('');
  const [more, setMore] = useState(10);
  const [ratio, setRatio] = useState<number | null>(null);
  const off = !store.live || !store.connected;
  const pendingOf = (name: string) => store.pending(name).pop();
  const base = run.sampler && !run.sampler.startsWith('llm') ? run.sampler : 'tpe';
  const third = entry(THIRD, base) ?? 'TPE';
  const mode = run.sampler?.startsWith('llm') ? run.sampler : 'tpe';
  const choices = [
    ['llm', 'LLM'],
    ['llm-tpe', `LLM-${third}`],
    ['tpe', third]
  ] as const;
  const asked = pendingOf('sampler')?.value;
  const paused = run.status === 'paused';
  const pausing = pendingOf('pause');
  const stopping = pendingOf('stop');
  const share = ratio ?? (pendingOf('ratio')?.value as number | undefined) ?? run.llm_ratio ?? 0.5;

  return (
    <form class="controls" aria-label="Steer the run" onSubmit={event => event.preventDefault()}>
      <fieldset disabled={off}>
        <legend class="hidden">Steer the run</legend>
        <div class="group">
          <button
            type="button"
            class="button"
            onClick={() => store.wish(paused || pausing ? 'resume' : 'pause')}
          >
            {paused || pausing ? 'Resume' : 'Pause'}
          </button>
          <button type="button" class="button" disabled={off || Boolean(stopping)} onClick={() => store.wish('stop')}>
            {stopping && !off ? 'Stopping' : 'Stop'}
          </button>
        </div>
        <div class="group segmented" role="radiogroup" aria-label="Sampler">
          {choices.map(([value, label]) => (
            <label key={value} class={asked === value ? 'asked' : ''}>
              <input
                type="radio"
                name={`${id}-sampler`}
                checked={(asked ?? mode) === value}
                onChange={() => store.wish('sampler', value)}
              />
              <span>{label}</span>
            </label>
          ))}
        </div>
        <label class="group ratio">
          <span>LLM share</span>
          <input
            type="range"
            min={0}
            max={1}
            step={0.05}
            value={share}
            disabled={off || mode !== 'llm-tpe'}
            onInput={event => setRatio(Number(event.currentTarget.value))}
            onChange={event => {
              store.wish('ratio', Number(event.currentTarget.value));
              setRatio(null);
            }}
          />
          <output>{share.toFixed(2)}</output>
        </label>
        <div class="group hint">
          <input
            type="text"
            maxLength={500}
            placeholder="A hint for the model, in words"
            aria-label="Hint for the model"
            value={hint}
            onInput={event => setHint(event.currentTarget.value)}
            onKeyDown={event => event.key === 'Enter' && send()}
          />
          <button type="button" class="button" disabled={off || !hint.trim()} onClick={send}>
            Send hint
          </button>
        </div>
        <div class="group">
          <input
            type="number"
            class="few"
            min={1}
            max={10000}
            aria-label="Further trials"
            value={more}
            onInput={event => setMore(Math.max(1, Math.round(Number(event.currentTarget.value) || 1)))}
          />
          <button type="button" class="button" onClick={() => store.wish('extend', more)}>
            Add trials
          </button>
        </div>
      </fieldset>
      <WishLine />
    </form>
  );

  function send(): void {
    if (hint.trim()) {
      store.wish('hint', hint.trim());
      setHint('');
    }
  }
}
