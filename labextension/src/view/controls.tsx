/** Controls of a run. Each sends a command, shows it at once, and later from which trial on it holds. */

import { useState } from 'preact/hooks';
import type { Bundle } from './bundle';
import { commandText, progressOf } from './commands';
import { useBundle, useEnv } from './context';
import type { Command } from './store';
import { samplerNames, usesLlm } from './words';

function describe({ name, value }: Command, bundle: Bundle): string {
  return name === 'enqueue'
    ? 'Configuration enqueued'
    : name === 'dequeue'
      ? 'Configuration taken back'
      : commandText(name, value, bundle);
}

function CommandLog() {
  const { store } = useEnv();
  const bundle = useBundle();
  return (
    <div role="log" aria-label="Commands" aria-live="polite">
      <ul class="commands">
        {store
          .recentCommands()
          .slice(-3)
          .map(c => (
            <li key={c.id} class={`command is-${c.state}`}>
              <span class="command-text">{describe(c, bundle)}</span> <em>{progressOf(c, store.over)}</em>
              {store.live && c.undo && c.state !== 'refused' && (
                <button
                  type="button"
                  class="link"
                  aria-label={`Undo: ${describe(c, bundle)}`}
                  onClick={() => store.undo(c)}
                >
                  Undo
                </button>
              )}
            </li>
          ))}
      </ul>
    </div>
  );
}

export function Controls() {
  const { store, id } = useEnv();
  const bundle = useBundle();
  const { run } = bundle;
  const [hint, setHint] = useState('');
  const [more, setMore] = useState(10);
  const [ratio, setRatio] = useState<number | null>(null);
  const over = !store.canStop;
  const off = over || !store.live; // of a check, only its stop has an effect
  const pendingOf = (name: string) => store.pending(name).pop();
  const mode = run.sampler?.startsWith('llm') ? run.sampler : 'tpe';
  const llm = usesLlm(bundle);
  // until the run has started, its sampler is not known: nothing is shown as chosen that may not be; and a study of
  // several objectives has its own sampler, which is not switched
  const switched = run.sampler !== undefined && !run.direction?.includes(',');
  const choices = Object.entries(samplerNames(bundle));
  const pendingMode = pendingOf('sampler')?.value;
  const paused = run.status === 'paused';
  const pausing = pendingOf('pause');
  const stopping = pendingOf('stop');
  const share = ratio ?? (pendingOf('ratio')?.value as number | undefined) ?? run.llm_ratio ?? 0.5;

  return (
    <form class="controls" aria-label="Steer the run" onSubmit={event => event.preventDefault()}>
      <fieldset disabled={over}>
        <legend class="hidden">Steer the run</legend>
        <div class="group">
          <button
            type="button"
            class="button"
            disabled={off}
            onClick={() => store.command(paused || pausing ? 'resume' : 'pause')}
          >
            {paused || pausing ? 'Resume' : 'Pause'}
          </button>
          <button
            type="button"
            class="button"
            disabled={over || Boolean(stopping)}
            onClick={() => store.command('stop')}
          >
            {stopping && !over ? 'Stopping' : 'Stop'}
          </button>
        </div>
        <fieldset class="trials" disabled={off}>
          {switched && (
            <div class="group segmented" role="radiogroup" aria-label="Sampler">
              {choices.map(([value, label]) => (
                <label key={value} class={pendingMode === value ? 'pending' : ''}>
                  <input
                    type="radio"
                    name={`${id}-sampler`}
                    checked={(pendingMode ?? mode) === value}
                    onChange={() => store.command('sampler', value)}
                  />
                  <span>{label}</span>
                </label>
              ))}
            </div>
          )}
          {switched && (
            <label class="group ratio">
              <span>{llm ? 'LLM share' : 'Rulebook share'}</span>
              <input
                type="range"
                min={0}
                max={1}
                step={0.05}
                value={share}
                disabled={off || mode !== 'llm-tpe'}
                onInput={event => setRatio(Number(event.currentTarget.value))}
                onChange={event => {
                  store.command('ratio', Number(event.currentTarget.value));
                  setRatio(null);
                }}
              />
              <output>{share.toFixed(2)}</output>
            </label>
          )}
          {llm && (
            <div class="group hint">
              <input
                type="text"
                maxLength={500}
                placeholder="A hint for the LLM, in words"
                aria-label="Hint for the LLM"
                value={hint}
                onInput={event => setHint(event.currentTarget.value)}
                onKeyDown={event => event.key === 'Enter' && send()}
              />
              <button type="button" class="button" disabled={off || !hint.trim()} onClick={send}>
                Send hint
              </button>
            </div>
          )}
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
            <button type="button" class="button" onClick={() => store.command('extend', more)}>
              Add trials
            </button>
          </div>
        </fieldset>
      </fieldset>
      <CommandLog />
    </form>
  );

  function send(): void {
    if (hint.trim()) {
      store.command('hint', hint.trim());
      setHint('');
    }
  }
}
