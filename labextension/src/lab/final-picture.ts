/** After a reload the page misses the kernel's last update of the output: write the run's picture into its cell. */

import type { CodeCell } from '@jupyterlab/cells';
import type { KernelRuns, Row } from './kernel-runs';
import { MIME } from '../mime';

const WIDGET = 'application/vnd.jupyter.widget-view+json';
const PATIENCE = 800;

/** Watch one notebook; each run that ends gets its picture if the kernel's own update did not arrive. */
export function writeFinalPictures(runs: KernelRuns): void {
  const seenRunning = new Set<string>();
  const done = new Set<string>();
  runs.listen(() => {
    for (const row of runs.rows) {
      if (!row.final) {
        seenRunning.add(row.id);
      } else if (!done.has(row.id)) {
        done.add(row.id);
        // the ordinary update may be under way: it is given time to arrive
        window.setTimeout(() => void write(runs, row, seenRunning.has(row.id)), PATIENCE);
      }
    }
  });
}

export function cellOf(runs: KernelRuns, row: Row): CodeCell | undefined {
  const cells = runs.panel.content.widgets;
  return cells.find(c => c.model.id === row.cell && c.model.type === 'code') as CodeCell | undefined;
}

async function write(runs: KernelRuns, row: Row, sawItRun: boolean): Promise<void> {
  const outputs = runs.panel.isDisposed ? undefined : cellOf(runs, row)?.model.outputs;
  if (!outputs) {
    return;
  }
  let live = -1;
  for (let i = 0; i < outputs.length; i++) {
    const { data } = outputs.get(i);
    if (data[MIME]) {
      return;
    }
    const view = data[WIDGET] as { model_id?: string } | undefined;
    if (view?.model_id === row.model) {
      live = i;
    }
  }
  // an empty cell is filled only if this page saw the run go on: else its owner may have cleared it
  if (live < 0 && !(sawItRun && outputs.length === 0)) {
    return;
  }
  const data = await runs.final(row.id);
  const output = { output_type: 'display_data', data, metadata: {} };
  if (live >= 0 && live < outputs.length) {
    outputs.set(live, output as never);
  } else {
    outputs.add(output as never);
  }
}
