/** What the reader points at: kept apart from the run, so that hovering redraws only what shows it. */

/** Where the reader is led: to a version of the search space, in the chat or in its pane. */
export interface Jump {
  pane: 'chat' | 'space';
  version: number;
}

export interface Focus {
  /** Trial under the pointer or the keyboard. */
  hover: number | null;
  /** Trial chosen by a click or Enter; stays. */
  pinned: number | null;
  /** Trials inside the brushes of the parallel coordinates; null without a brush. */
  brushed: ReadonlySet<number> | null;
  jump: Jump | null;
}

export class Ui {
  focus: Focus = { hover: null, pinned: null, brushed: null, jump: null };
  private listeners = new Set<() => void>();

  listen = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  set(change: Partial<Focus>): void {
    const next = { ...this.focus, ...change };
    if (
      next.hover !== this.focus.hover ||
      next.pinned !== this.focus.pinned ||
      next.brushed !== this.focus.brushed ||
      next.jump !== this.focus.jump
    ) {
      this.focus = next;
      this.listeners.forEach(listener => listener());
    }
  }

  hover = (n: number | null): void => this.set({ hover: n });

  pin = (n: number | null): void => this.set({ pinned: n === this.focus.pinned ? null : n, hover: n });
}
