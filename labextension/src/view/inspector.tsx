/** The trial that is looked at: pointed at, else pinned, else the best. Its place never changes size. */

import { Fragment } from 'preact';
import { useState } from 'preact/hooks';
import type { Trial } from './bundle';
import { useBundle, useEnv, useFocus } from './context';
import { trialByNumber } from './derive';
import { python, sourceName, unmarked, val } from './format';
import { outcome } from './plot';
import { plain } from './safe';

export function Inspector() {
  const { store, ui } = useEnv();
  const { run, trials } = useBundle();
  const { hover, pinned } = useFocus();
  const n = hover ?? pinned ?? run.best_number;
  const trial = trialByNumber(trials, n);
  return (
    <section class="inspector" aria-label="Trial in focus">
      {trial && (
        <Fragment key={trial.n}>
          <div class="inspector-head">
            <Star trial={trial} />
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
            {!store.canMark && <NoteOf trial={trial} />}
            {!store.live && store.refusal('note') && (
              <p class="refusal" role="status">
                Not kept: {plain(store.refusal('note'))}
              </p>
            )}
            {trial.reason && <p class="clamp2">{unmarked(plain(trial.reason))}</p>}
          </div>
          {store.canMark && <NoteOf trial={trial} />}
        </Fragment>
      )}
      {!trial && (
        <p class="muted">
          {trials.length ? 'Point at a trial to see it here.' : store.live ? 'No trial yet.' : 'No trial.'}
        </p>
      )}
    </section>
  );
}

/** What the user's last word on a trial is: a mark that waits counts already. */
function useMark(trial: Trial): { star: boolean; text: string } {
  const { store } = useEnv();
  useBundle();
  const waiting = store
    .pending('note')
    .map(c => c.value as { trial?: number; star?: boolean; text?: string })
    .filter(v => store.canMark && v?.trial === trial.n) // what never was applied does not hold in a stored run
    .pop();
  return {
    star: waiting?.star ?? trial.star ?? false,
    text: plain(waiting?.text ?? trial.note ?? '')
  };
}

function Star({ trial }: { trial: Trial }) {
  const { store } = useEnv();
  const { star, text } = useMark(trial);
  if (!store.canMark) {
    return star ? (
      <span class="star" role="img" aria-label="Starred">
        ★
      </span>
    ) : null;
  }
  return (
    <button
      type="button"
      class="star"
      aria-pressed={star}
      aria-label={`Star trial ${trial.n}`}
      onClick={() => store.command('note', { trial: trial.n, star: !star, text })}
    >
      {star ? '★' : '☆'}
    </button>
  );
}

function NoteOf({ trial }: { trial: Trial }) {
  const { store } = useEnv();
  const { star, text } = useMark(trial);
  const [edited, setEdited] = useState<string | null>(null);
  if (!store.canMark) {
    return text ? <p class="trial-note">{text}</p> : null;
  }
  const save = () => {
    if (edited !== null && edited.trim() !== text) {
      store.command('note', { trial: trial.n, star, text: edited.trim() });
    }
    setEdited(null);
  };
  return (
    <input
      type="text"
      class="trial-note"
      maxLength={500}
      placeholder="A note on this trial"
      aria-label={`Note on trial ${trial.n}`}
      value={edited ?? text}
      onInput={event => setEdited(event.currentTarget.value)}
      onKeyDown={event => event.key === 'Enter' && save()}
      onBlur={save}
    />
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
    const copied = document.execCommand('copy');
    area.remove();
    return copied;
  }
}

/** Copy a text; `what` says to a screen reader what it is. */
export function CopyButton({ text, what, label = 'Copy' }: { text: string; what: string; label?: string }) {
  const [copyState, setCopyState] = useState('');
  const copy = async () => {
    setCopyState((await toClipboard(text)) ? 'Copied' : 'Copying is not allowed here');
  };
  return (
    <button type="button" class="link" aria-label={`${copyState || label}: ${what}`} onClick={copy}>
      {copyState || label}
    </button>
  );
}

/** Copy a trial's configuration as a Python dict. */
export function CopyParams({ trial, label }: { trial: Trial; label?: string }) {
  return (
    <CopyButton
      text={python(trial.params)}
      what={`parameters of trial ${trial.n}`}
      {...(label ? { label } : {})}
    />
  );
}

/** Copy a trial's configuration, or have it run again. */
export function TrialActions({ trial, short = false }: { trial: Trial; short?: boolean }) {
  const { store } = useEnv();
  return (
    <span class="actions">
      <CopyParams trial={trial} />
      {store.live && (
        <button
          type="button"
          class="link"
          aria-label={`Enqueue again: trial ${trial.n}`}
          onClick={() => store.command('enqueue', trial.params, { name: 'dequeue', value: trial.params })}
        >
          {short ? 'Enqueue' : 'Enqueue again'}
        </button>
      )}
    </span>
  );
}
