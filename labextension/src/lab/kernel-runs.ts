/** The runs of one notebook's kernel, over the comm that `sllmbo_magic/dashboard/runs.py` answers. */

import type { ISessionContext } from '@jupyterlab/apputils';
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { Kernel, KernelMessage } from '@jupyterlab/services';
import type { Incoming, Model, Outgoing, RunRow } from '../view/bundle';
import { lossOf } from '../view/words';
import { isOurs } from './magic-line';

export const TARGET = 'sllmbo:runs';

type Answer = Incoming & { of?: string; ack?: string; final?: Record<string, unknown> };

/** A kernel that acknowledged a stop by then heard it. */
const ANSWERS_WITHIN = 1500;

const SUBSHELL_WITHIN = 10_000;

/** JupyterLab 4.5 and later tell when the comm's subshell is there. */
type Comm = Kernel.IComm & { subshellStarted?: Promise<void> };

let commandCount = 0;

export const goesOn = (row: RunRow): boolean => ['running', 'paused', 'checking'].includes(row.status);

export class KernelRuns {
  rows: RunRow[] = [];
  /** Runs of an earlier kernel of this notebook, which went on when it was lost. */
  lost: RunRow[] = [];
  /** False after the kernel restarted or died: its runs are still shown, but cannot be steered. */
  alive = true;

  private comm: Kernel.IComm | null = null;
  /** Whether the kernel has answered: one that starts after that is another one. */
  private answered = false;
  private listeners = new Set<() => void>();
  private views = new Map<string, Set<(message: Incoming) => void>>();
  private finalRequests = new Map<string, (final: Record<string, unknown>) => void>();
  private acknowledged = new Set<string>();
  private loading: string | undefined;
  private reopened = false;
  private finders = new Set<(row: RunRow) => void>();
  private missers = new Set<(models: Set<string>) => void>();
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
        this.reopened = true;
        this.connect();
        if (!this.context.session?.kernel) {
          this.opened([]);
        }
      }
    });
    panel.disposed.connect(() => this.dispose());
  }

  listen(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Hear of each run that went on already when this page was opened: its cell may miss its output. */
  whenFound(finder: (row: RunRow) => void): void {
    this.finders.add(finder);
  }

  /** Hear once, after this page was opened, which widgets its kernel has: views of others have lost their run. */
  whenKnown(misser: (models: Set<string>) => void): void {
    this.missers.add(misser);
  }

  /** What a view of one run is mounted on. */
  modelOf(id: string): Model {
    return {
      snapshot: null,
      send: message => this.send(id, message),
      subscribe: listener => {
        const listeners = this.views.get(id) ?? new Set();
        this.views.set(id, listeners.add(listener));
        this.send(id, { get: 'deltas' });
        return () => listeners.delete(listener);
      }
    };
  }

  /** End a run after the fold in flight. A kernel that its cell keeps from hearing this is interrupted. */
  stop(id: string): void {
    const commandId = `panel-${++commandCount}`;
    this.send(id, { wish: 'stop', value: null, id: commandId });
    window.setTimeout(() => {
      const row = this.rows.find(r => r.id === id);
      if (row?.blocks && goesOn(row) && !this.acknowledged.delete(commandId)) {
        void this.context.session?.kernel?.interrupt();
      }
    }, ANSWERS_WITHIN);
  }

  /** The final output of a run, as a MIME bundle. */
  final(id: string): Promise<Record<string, unknown>> {
    return new Promise(resolve => {
      this.finalRequests.set(id, resolve);
      this.send(id, { get: 'final' });
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
    this.finders.clear();
    this.missers.clear();
    this.comm?.dispose();
    this.comm = null;
  }

  private mentioned(): boolean {
    const cells = this.panel.content.model?.cells;
    return Array.from(cells ?? []).some(cell => cell.sharedModel.getSource().includes('sllmbo'));
  }

  private connect(): void {
    const kernel = this.context.session?.kernel;
    if (this.comm || this.disposed || !kernel || !kernel.handleComms) {
      return;
    }
    const comm: Comm = kernel.createComm(TARGET);
    comm.onMsg = message => {
      if (this.comm === comm) {
        this.receive(message.content.data as unknown);
      }
    };
    comm.onClose = () => {
      if (this.comm === comm) {
        this.comm = null;
        this.opened([]); // a kernel that never loaded the extension knows no such comm
      }
    };
    this.comm = comm;
    this.answered = false;
    const open = async () => {
      // on its own subshell the kernel hears us while a cell blocks
      if (kernel.supportsSubshells && (kernel.commsOverSubshells as string | undefined) !== 'disabled') {
        await Promise.race([
          comm.subshellStarted,
          new Promise(resolve => setTimeout(resolve, SUBSHELL_WITHIN))
        ]);
      }
      if (this.comm === comm) {
        await comm.open().done;
      }
    };
    open().catch(() => {
      if (this.comm === comm) {
        this.comm = null;
      }
    });
  }

  private onLost(loss: Incoming): void {
    this.comm = null;
    this.alive = false;
    this.views.forEach(listeners => listeners.forEach(listener => listener(loss)));
    this.changed();
  }

  /** A new kernel has other runs: those that were cut off are still shown, as what they are. */
  private keepLost(next: RunRow[]): void {
    const names = new Set(next.map(row => row.name));
    const cutOff = this.rows.filter(row => goesOn(row) && !next.some(r => r.id === row.id));
    this.lost = [...this.lost, ...cutOff].filter(row => !names.has(row.name));
  }

  private onKernel = (): void => {
    this.comm = null;
    this.keepLost([]);
    this.rows = [];
    this.changed();
    if (this.context.session?.kernel && this.mentioned()) {
      this.connect();
    }
  };

  private onStatus = (_: unknown, status: Kernel.Status): void => {
    const loss = lossOf(status);
    if (loss && (status === 'starting' ? this.answered : this.comm || this.rows.length)) {
      this.onLost(loss);
    }
  };

  /** A cell of the magic, or one that loaded it, says that the kernel has runs to tell of. */
  private onMessage = (_: unknown, message: KernelMessage.IMessage): void => {
    const kind = message.header.msg_type;
    const cell = (message.parent_header as { msg_id?: string }).msg_id;
    if (kind === 'execute_input') {
      const { code } = message.content as KernelMessage.IExecuteInputMsg['content'];
      if (isOurs(code)) {
        this.connect();
      } else if (code.includes('sllmbo')) {
        this.loading = cell;
      }
    } else if (kind === 'status' && this.loading !== undefined && cell === this.loading) {
      const { execution_state } = message.content as KernelMessage.IStatusMsg['content'];
      if (execution_state === 'idle') {
        this.loading = undefined;
        this.connect();
      }
    }
  };

  private send(of: string, message: Outgoing | { get: 'deltas' | 'final' }): void {
    this.comm?.send({ ...message, of } as never);
  }

  private receive(data: unknown): void {
    this.answered = true;
    const answer = data as { runs?: RunRow[]; run?: RunRow } & Partial<Answer>;
    if (answer.runs) {
      this.keepLost(answer.runs);
      this.rows = answer.runs;
      this.alive = true;
      this.views.forEach((_, id) => this.send(id, { get: 'deltas' }));
      this.changed();
      this.opened(this.rows);
    } else if (answer.run) {
      const { run } = answer;
      this.lost = this.lost.filter(row => row.name !== run.name);
      this.rows = this.rows.some(r => r.id === run.id)
        ? this.rows.map(r => (r.id === run.id ? run : r))
        : [...this.rows, run];
      this.changed();
    } else if (answer.of && answer.final) {
      this.finalRequests.get(answer.of)?.(answer.final);
      this.finalRequests.delete(answer.of);
    } else if (answer.of) {
      if (typeof answer.ack === 'string') {
        this.acknowledged.add(answer.ack);
      }
      this.views.get(answer.of)?.forEach(listener => listener(answer as Incoming));
    }
  }

  /** The page was opened, and these are its kernel's runs. */
  private opened(rows: RunRow[]): void {
    if (this.reopened) {
      this.reopened = false;
      rows.filter(goesOn).forEach(row => this.finders.forEach(finder => finder(row)));
      const models = new Set(rows.flatMap(row => row.model ?? []));
      this.missers.forEach(misser => misser(models));
    }
  }

  private changed(): void {
    this.listeners.forEach(listener => listener());
  }
}
