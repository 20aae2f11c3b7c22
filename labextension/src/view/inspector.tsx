/** The trial that is looked at: pointed at, else pinned, else the best. Its place never changes size. */

import { Fragment } from 'preact';
import { useState } from 'preact/hooks';
import type { Trial } from './bundle';
import { useBundle, useEnv, useFocus } from './context';
import { python, sourceName, val } from './format';
import { outcome } from './plot';
import { plain } from './safe';

export function Inspector() {
  const { store, ui } = useEnv();
  const { run, trials } = useBundle();
  const { hover, pinned } = useFocus();
  const n = hover ?? pinned ?? run.best_number;
  const trial = trials.find(t => t.n === n);
  return (
    <section class="inspector" aria-label="Trial in focus">
      {trial && (
        <Fragment key={trial.n}>
          <div class="inspector-head">
            <strong>Trial {trial.n}</strong>
            <span class="muted">
              {hover === null && pinned === null ? 'best, ' : ''}
              {sourceName(trial.source)}
            </span>
            <span class="score">{outcome(trial)}</span>
            <span class="spacer" />
            {pinned !== null && (
              <button type="button" class="link" onClick={() => ui.set({ pinned: null, hover: null })}>
                Unpin
              </button>
            )}
            <TrialActions trial={trial} />
          </div>
          <div class="inspector-body" tabIndex={0} role="group" aria-label="Its parameters">
            <Chips params={trial.params} />
            {trial.reason && <p class="clamp2">{plain(trial.reason)}</p>}
          </div>
        </Fragment>
      )}
      {!trial && <p class="muted">{store.live ? 'No trial yet.' : 'No trial.'}</p>}
    </section>
  );
}

/** A configuration as `name value` pairs. */
export function Chips({ params }: { params: Trial['params'] }) {
  return (
    <ul class="chips">
      {Object.entries(params).map(([name, value]) => (
        <li key={name}>
          <span class="muted">{plain(name)}</span> {plain(val(value))}
        </li>
      ))}
    </ul>
  );
}

/** Whether the text could be copied; a page without https has only the old way. */
async function toClipboard(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement('textarea');
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    return done;
  }
}

/** Copy a trial's configuration, or have it run again. */
export function TrialActions({ trial, short = false }: { trial: Trial; short?: boolean }) {
  const { store } = useEnv();
  const [said, say] = useState('');
  const copy = async () => {
    say((await toClipboard(python(trial.params))) ? 'Copied' : 'Copying is not allowed here');
  };
  return (
    <span class="actions">
      <button type="button" class="link" aria-label={`${said || 'Copy'}: parameters of trial ${trial.n}`} onClick={copy}>
        {said || 'Copy'}
      </button>
      {store.live && (
        <button
          type="button"
          class="link"
          aria-label={`Enqueue again: trial ${trial.n}`}
          onClick={() => {
            store.wish('enqueue', trial.params);
            say('');
          }}
        >
          {short ? 'Enqueue' : 'Enqueue again'}
        </button>
      )}
    </span>
  );
}
