/**
 * After a reload a page misses what the kernel says to outputs of before: it is given the live view of a run that
 * goes on, where the notebook was not saved with it, and the picture of a run that ends.
 */

import type { CodeCell } from '@jupyterlab/cells';
import { setLiveModel } from '../live-models';
import { MIME } from '../mime';
import type { RunRow } from '../view/bundle';
import { plain } from '../view/safe';
import type { KernelRuns } from './kernel-runs';
import { goesOn } from './kernel-runs';

const WIDGET = 'application/vnd.jupyter.widget-view+json';
const PATIENCE = 800;

/** Watch one notebook. */
export function keepOutputs(runs: KernelRuns): void {
  const runningBefore = new Set<string>();
  const finishedRuns = new Set<string>();
  const modelled = new Set<string>();
  runs.whenFound(row => showAgain(runs, row));
  runs.whenKnown(models => showLost(runs, models));
  runs.listen(() => {
    for (const row of runs.rows) {
      if (!modelled.has(row.id)) {
        modelled.add(row.id);
        setLiveModel(row.id, runs.modelOf(row.id));
      }
      if (goesOn(row)) {
        runningBefore.add(row.id);
      } else if (row.final && !finishedRuns.has(row.id)) {
        finishedRuns.add(row.id);
        // the ordinary update may be under way: it is given time to arrive
        window.setTimeout(() => void write(runs, row, runningBefore.has(row.id)), PATIENCE);
      }
    }
  });
}

/** The cell that started a run. An old notebook keeps no ids of cells: there its output tells. */
export function cellOf(runs: KernelRuns, row: RunRow): CodeCell | undefined {
  if (runs.panel.isDisposed) {
    return undefined;
  }
  const cells = runs.panel.content.widgets.filter(c => c.model.type === 'code') as CodeCell[];
  return cells.find(c => c.model.id === row.cell) ?? cells.find(c => liveOutput(c, row) >= 0);
}

type Test = (output: ReturnType<CodeCell['model']['outputs']['get']>) => boolean;

function findOutput({ model: { outputs } }: CodeCell, fits: Test): number {
  for (let i = 0; i < outputs.length; i++) {
    if (fits(outputs.get(i))) {
      return i;
    }
  }
  return -1;
}

/** Where in a cell's outputs the live view of a run is: a widget, or text; -1 without one. */
function liveOutput(cell: CodeCell, row: RunRow): number {
  return findOutput(cell, ({ data, metadata }) => {
    const widget = data[WIDGET] as { model_id?: string } | undefined;
    const text = metadata.sllmbo as { run?: string } | undefined;
    const live = data[MIME] as { live?: string } | undefined;
    return (
      (row.model !== null && widget?.model_id === row.model) || text?.run === row.id || live?.live === row.id
    );
  });
}

const picture: Test = output => output.data[MIME] !== undefined;

/** Put an output at an index, or at the end. */
function put(cell: CodeCell, at: number, data: Record<string, unknown>): void {
  const { outputs } = cell.model;
  const output = { output_type: 'display_data', data, metadata: {} };
  if (at >= 0 && at < outputs.length) {
    outputs.set(at, output as never);
  } else {
    outputs.add(output as never);
  }
}

/**
 * Show a run that goes on in its cell. A cell that is not trusted shows no widget, only its words, so that it gets an
 * output that our renderer of saved runs draws live.
 */
function showAgain(runs: KernelRuns, row: RunRow): void {
  const cell = cellOf(runs, row);
  if (!cell || !row.model) {
    return;
  }
  const at = liveOutput(cell, row);
  if (cell.model.trusted) {
    if (at < 0) {
      put(cell, findOutput(cell, picture), {
        [WIDGET]: { model_id: row.model, version_major: 2, version_minor: 0 },
        'text/plain': wordsOf(row)
      });
    }
    return;
  }
  const { name, status, n_trials, best_value, default_value, direction, metric, negated } = row;
  const run = { name, status, n_trials, best_value, default_value, direction, metric, negated };
  put(cell, at >= 0 ? at : findOutput(cell, picture), {
    [MIME]: { schema: 1, live: row.id, run },
    'text/plain': wordsOf(row)
  });
}

/** What a notebook keeps of a live view beside its widget. */
const LIVE_VIEW = /^<Dashboard of (.+): \w+, \d+ of (\d+|None) trials, best .*>$/;

/**
 * A notebook that was saved while a run went on holds a widget that is gone with its kernel, for which Lab only says
 * that it has no model: show what is known of the run, and how to go on.
 */
function showLost(runs: KernelRuns, models: Set<string>): void {
  if (runs.panel.isDisposed) {
    return;
  }
  for (const cell of runs.panel.content.widgets) {
    const outputs = cell.model.type === 'code' ? (cell as CodeCell).model.outputs : null;
    for (let at = 0; outputs && at < outputs.length; at++) {
      const { data } = outputs.get(at);
      const id = (data[WIDGET] as { model_id?: string } | undefined)?.model_id;
      const [, name, total] = LIVE_VIEW.exec(String(data['text/plain'] ?? '')) ?? [];
      if (id !== undefined && name !== undefined && !models.has(id)) {
        const run = { name, status: 'running', ...(total === 'None' ? {} : { n_trials: Number(total) }) };
        put(cell as CodeCell, at, {
          [MIME]: { schema: 1, run },
          'text/plain': `${name}: running when this was saved`
        });
      }
    }
  }
}

const wordsOf = (row: RunRow): string =>
  `${plain(row.name ?? 'run')}: ${row.done} of ${row.n_trials ?? '?'} trials, ${plain(row.status)}`;

async function write(runs: KernelRuns, row: RunRow, sawItRun: boolean): Promise<void> {
  const cell = cellOf(runs, row);
  const arrived: Test = output => {
    const run = (output.data[MIME] as { run?: { started_at?: number; seconds?: number } } | undefined)?.run;
    return run !== undefined && run.started_at === row.final?.[0] && run.seconds === row.final?.[1];
  };
  if (!cell || findOutput(cell, arrived) >= 0) {
    return;
  }
  let at = liveOutput(cell, row);
  if (at < 0) {
    at = findOutput(cell, picture);
    // without its live view a cell is filled only if this page saw the run go on, else its owner may have cleared it
    if (!sawItRun || (at < 0 && cell.model.outputs.length > 0)) {
      return;
    }
  }
  put(cell, at, await runs.final(row.id));
}
