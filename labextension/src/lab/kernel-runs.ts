/** The runs of one notebook's kernel, over the comm that `sllmbo_magic/dashboard/runs.py` answers. */

import type { ISessionContext } from '@jupyterlab/apputils';
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { Kernel, KernelMessage } from '@jupyterlab/services';
import type { Incoming, Model, Outgoing } from '../view/bundle';

export const TARGET = 'sllmbo:runs';

/** One line of the list. */
export interface Row {
  id: string;
  model: string | null;
  cell: string | null;
  final: boolean;
  name: string | null;
  status: string;
  done: number;
  n_trials: number | null;
  best_value: number | null;
  metric: string | null;
}

type Said = Incoming & { of?: string; final?: Record<string, unknown> };

let wishes = 0;

export class KernelRuns {
  rows: Row[] = [];
  /** False after the kernel restarted or died: its runs are still shown, but cannot be steered. */
  alive = true;

  private comm: Kernel.IComm | null = null;
  private listeners = new Set<() => void>();
  private views = new Map<string, Set<(message: Incoming) => void>>();
  private waiting = new Map<string, (final: Record<string, unknown>) => void>();
  private context: ISessionContext;
  private disposed = false;

  constructor(readonly panel: NotebookPanel) {
    this.context = panel.sessionContext;
    this.context.kernelChanged.connect(this.onKernel);
    this.context.statusChanged.connect(this.onStatus);
    this.context.iopubMessage.connect(this.onMessage);
    void Promise.all([panel.context.ready, this.context.ready]).then(() => {
      // a kernel that never heard of us is not asked: a page that was reloaded, or a notebook that uses the magic, is
      if (this.mentioned()) {
        this.connect();
      }
    });
    panel.disposed.connect(() => this.dispose());
  }

  listen(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** What a view of one run is mounted on. */
  modelOf(id: string): Model {
    return {
      snapshot: null,
      send: message => this.say(id, message),
      subscribe: listener => {
        const all = this.views.get(id) ?? new Set();
        this.views.set(id, all.add(listener));
        this.say(id, { get: 'deltas' });
        return () => all.delete(listener);
      }
    };
  }

  stop(id: string): void {
    this.say(id, { wish: 'stop', value: null, id: `panel-${++wishes}` });
  }

  /** The final output of a run, as a MIME bundle. */
  final(id: string): Promise<Record<string, unknown>> {
    return new Promise(resolve => {
      this.waiting.set(id, resolve);
      this.say(id, { get: 'final' });
    });
  }

  dispose(): void {
    if (this.disposed) {
      return;
    }
    this.disposed = true;
    this.context.kernelChanged.disconnect(this.onKernel);
    this.context.statusChanged.disconnect(this.onStatus);
    this.context.iopubMessage.disconnect(this.onMessage);
    this.listeners.clear();
    this.comm?.dispose();
    this.comm = null;
  }

  private mentioned(): boolean {
    const cells = this.panel.content.model?.cells;
    return Array.from(cells ?? []).some(cell => cell.sharedModel.getSource().includes('%%sllmbo'));
  }

  private connect(): void {
    const kernel = this.context.session?.kernel;
    if (this.comm || this.disposed || !kernel || !kernel.handleComms) {
      return;
    }
    const comm = kernel.createComm(TARGET);
    comm.onMsg = message => {
      if (this.comm === comm) {
        this.hear(message.content.data as unknown);
      }
    };
    comm.onClose = () => {
      if (this.comm === comm) {
        this.comm = null;
      }
    };
    this.comm = comm;
    void comm.open().done.catch(() => {
      this.comm = null;
    });
  }

  private lost(): void {
    this.comm = null;
    this.alive = false;
    this.views.forEach(all => all.forEach(listener => listener({ connected: false })));
    this.changed();
  }

  private onKernel = (): void => {
    this.comm = null;
    this.rows = [];
    this.changed();
    if (this.context.session?.kernel && this.mentioned()) {
      this.connect();
    }
  };

  private onStatus = (_: unknown, status: Kernel.Status): void => {
    if (['restarting', 'autorestarting', 'dead', 'terminating'].includes(status) && (this.comm || this.rows.length)) {
      this.lost();
    }
  };

  /** A dashboard that opens says that the kernel has runs to tell of. */
  private onMessage = (_: unknown, message: KernelMessage.IMessage): void => {
    if (this.comm || message.header.msg_type !== 'comm_open') {
      return;
    }
    const { data } = message.content as KernelMessage.ICommOpenMsg['content'];
    const state = (data as { state?: { _anywidget_id?: string } }).state;
    if (state?._anywidget_id?.startsWith('sllmbo_magic.dashboard')) {
      this.connect();
    }
  };

  private say(of: string, message: Outgoing | { get: 'deltas' | 'final' }): void {
    this.comm?.send({ ...message, of } as never);
  }

  private hear(data: unknown): void {
    const said = data as { runs?: Row[]; run?: Row } & Partial<Said>;
    if (said.runs) {
      this.rows = said.runs;
      this.alive = true;
      this.views.forEach((_, id) => this.say(id, { get: 'deltas' }));
      this.changed();
    } else if (said.run) {
      const { run } = said;
      this.rows = this.rows.some(r => r.id === run.id)
        ? this.rows.map(r => (r.id === run.id ? run : r))
        : [...this.rows, run];
      this.changed();
    } else if (said.of && said.final) {
      this.waiting.get(said.of)?.(said.final);
      this.waiting.delete(said.of);
    } else if (said.of) {
      this.views.get(said.of)?.forEach(listener => listener(said as Incoming));
    }
  }

  private changed(): void {
    this.listeners.forEach(listener => listener());
  }
}
