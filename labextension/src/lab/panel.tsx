/** The side panel: the runs of the open notebook's kernel. */

import { Widget } from '@lumino/widgets';
import { render } from 'preact';
import type { RunRow } from '../view/bundle';
import { num } from '../view/format';
import { displayMetric } from '../view/metric';
import { plain } from '../view/safe';
import type { KernelRuns } from './kernel-runs';
import { goesOn } from './kernel-runs';

export interface PanelActions {
  reveal: (runs: KernelRuns, row: RunRow) => void;
  open: (runs: KernelRuns, row: RunRow) => void;
}

export class RunsPanel extends Widget {
  private runs: KernelRuns | null = null;
  private stopListening: (() => void) | undefined;

  constructor(private actions: PanelActions) {
    super();
    this.id = 'sllmbo-runs';
    this.addClass('sllmbo-panel');
    this.title.caption = 'Runs of %%sllmbo';
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', 'Runs of %%sllmbo');
    this.draw();
  }

  /** Show the runs of another notebook. */
  show_(runs: KernelRuns | null): void {
    if (runs !== this.runs) {
      this.stopListening?.();
      this.runs = runs;
      this.stopListening = runs?.listen(() => this.draw());
      this.draw();
    }
  }

  override dispose(): void {
    this.stopListening?.();
    render(null, this.node);
    super.dispose();
  }

  private draw(): void {
    const { runs, actions } = this;
    const rows = [...(runs?.lost ?? []), ...(runs?.rows ?? [])].reverse();
    render(
      <>
        <h2 class="sllmbo-panel-title">Runs</h2>
        {rows.length === 0 ? (
          <p class="sllmbo-panel-empty">
            {runs
              ? 'No run in this notebook yet. Begin a cell with %%sllmbo.'
              : 'Open a notebook to see its runs.'}
          </p>
        ) : (
          <ul class="sllmbo-panel-list">
            {rows.map(row => (
              <Item key={row.id} row={row} runs={runs!} actions={actions} />
            ))}
          </ul>
        )}
      </>,
      this.node
    );
  }
}

function Item({ row, runs, actions }: { row: RunRow; runs: KernelRuns; actions: PanelActions }) {
  const lost = goesOn(row) && (!runs.alive || runs.lost.includes(row));
  const state = lost ? 'disconnected' : row.status === 'checking' ? 'checking the gain' : plain(row.status);
  const name = plain(row.name ?? 'run');
  const metric = displayMetric(row);
  const total = row.n_trials ?? row.done;
  return (
    <li class="sllmbo-panel-run">
      <button
        type="button"
        class="sllmbo-panel-name"
        title="Show the cell"
        onClick={() => actions.reveal(runs, row)}
      >
        {name}
      </button>
      <span class={`sllmbo-panel-state is-${state}`}>{state}</span>
      <progress max={Math.max(total, 1)} value={row.done} aria-label={`Trials of ${name}`} />
      <span class="sllmbo-panel-facts">
        {row.done} of {total}
      </span>
      {row.best_value !== null && (
        <span class="sllmbo-panel-best" title={plain(metric.label)}>
          best {num(metric.sign * row.best_value)}
        </span>
      )}
      <span class="sllmbo-panel-actions">
        <button
          type="button"
          disabled={!runs.alive || lost}
          onClick={() => actions.open(runs, row)}
          aria-label={`Open ${name} in a tab`}
        >
          Open
        </button>
        {goesOn(row) && !lost && (
          <button type="button" onClick={() => runs.stop(row.id)} aria-label={`Stop ${name}`}>
            Stop
          </button>
        )}
      </span>
    </li>
  );
}
