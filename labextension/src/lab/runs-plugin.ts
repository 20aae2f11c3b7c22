/** Side panel, dashboard in a tab, and the final picture after a reload. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ILayoutRestorer } from '@jupyterlab/application';
import { ICommandPalette, MainAreaWidget } from '@jupyterlab/apputils';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { INotebookTracker } from '@jupyterlab/notebook';
import { Widget } from '@lumino/widgets';
import type { RunRow } from '../view/bundle';
import { mount } from '../view/mount';
import { plain } from '../view/safe';
import { runIcon } from './icon';
import { goesOn, KernelRuns } from './kernel-runs';
import { cellOf, keepOutputs } from './outputs';
import { RunsPanel } from './panel';

const CATEGORY = 'SLLMBO';

function reveal(app: JupyterFrontEnd, runs: KernelRuns, row: RunRow): void {
  const cell = cellOf(runs, row);
  app.shell.activateById(runs.panel.id);
  if (cell) {
    const notebook = runs.panel.content;
    notebook.activeCellIndex = notebook.widgets.indexOf(cell);
    void notebook.scrollToCell(cell, 'start');
  }
}

function openTab(app: JupyterFrontEnd, runs: KernelRuns, row: RunRow): void {
  const id = `sllmbo-tab-${row.id}`;
  const open = Array.from(app.shell.widgets('main')).find(w => w.id === id);
  if (open) {
    app.shell.activateById(id);
    return;
  }
  const content = new Widget();
  content.addClass('sllmbo-tab');
  const takeAway = mount(content.node, runs.modelOf(row.id));
  content.disposed.connect(takeAway);
  const tab = new MainAreaWidget({ content });
  tab.id = id;
  tab.title.label = plain(row.name ?? 'run');
  tab.title.icon = runIcon;
  tab.title.closable = true;
  app.shell.add(tab, 'main', { mode: 'split-right', ref: runs.panel.id });
  if (!tab.isAttached) {
    // Notebook 7 has one document to a page: there the dashboard stands in the sidebar
    app.shell.add(tab, 'right');
    app.shell.activateById(id);
  }
}

export const runsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'sllmbo-magic:runs',
  description: 'The runs of %%sllmbo in the open notebook: watch, stop, open beside it.',
  autoStart: true,
  requires: [INotebookTracker],
  optional: [ICommandPalette, ILayoutRestorer],
  activate: (
    app: JupyterFrontEnd,
    tracker: INotebookTracker,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null
  ) => {
    const byNotebook = new Map<NotebookPanel, KernelRuns>();
    const panel = new RunsPanel({
      reveal: (runs, row) => reveal(app, runs, row),
      open: (runs, row) => openTab(app, runs, row)
    });
    panel.title.icon = runIcon;
    app.shell.add(panel, 'left', { rank: 850 });
    restorer?.add(panel, panel.id);

    const adopt = (notebook: NotebookPanel): KernelRuns => {
      let runs = byNotebook.get(notebook);
      if (!runs) {
        runs = new KernelRuns(notebook);
        byNotebook.set(notebook, runs);
        keepOutputs(runs);
        notebook.disposed.connect(() => byNotebook.delete(notebook));
      }
      return runs;
    };
    const current = () => (tracker.currentWidget ? adopt(tracker.currentWidget) : null);
    tracker.widgetAdded.connect((_, notebook) => void adopt(notebook));
    tracker.forEach(adopt);
    tracker.currentChanged.connect(() => panel.show_(current()));
    panel.show_(current());

    const latest = (): [KernelRuns, RunRow] | null => {
      const runs = current();
      const row = runs?.rows[runs.rows.length - 1];
      return runs && row ? [runs, row] : null;
    };
    const commands: [string, string, (runs: KernelRuns, row: RunRow) => void, (row: RunRow) => boolean][] = [
      [
        'sllmbo:open-dashboard',
        'Open the Dashboard of the Latest Run',
        (runs, row) => openTab(app, runs, row),
        () => true
      ],
      [
        'sllmbo:reveal-cell',
        'Show the Cell of the Latest Run',
        (runs, row) => reveal(app, runs, row),
        () => true
      ],
      ['sllmbo:stop', 'Stop the Latest Run', (runs, row) => runs.stop(row.id), goesOn]
    ];
    for (const [id, label, act, fits] of commands) {
      app.commands.addCommand(id, {
        label,
        isEnabled: () => {
          const run = latest();
          return run !== null && fits(run[1]);
        },
        execute: () => {
          const run = latest();
          if (run) {
            act(...run);
          }
        },
        describedBy: { args: { type: 'object', properties: {} } }
      });
      palette?.addItem({ command: id, category: CATEGORY });
    }
    app.commands.addCommand('sllmbo:show-runs', {
      label: 'Show the Runs of the Notebook',
      execute: () => app.shell.activateById(panel.id),
      describedBy: { args: { type: 'object', properties: {} } }
    });
    palette?.addItem({ command: 'sllmbo:show-runs', category: CATEGORY });
  }
};
