/** The live widget: an anywidget module around the one view. */

import type { Incoming, Outgoing } from './view/bundle';
import { mount } from './view/mount';
import { lossOf } from './view/words';

interface Signal {
  connect: (slot: (sender: unknown, status: string) => void) => void;
  disconnect: (slot: (sender: unknown, status: string) => void) => void;
}

interface Kernel {
  statusChanged?: Signal;
}

interface WidgetModel {
  get: (name: string) => unknown;
  on: (event: string, callback: (...args: never[]) => void) => void;
  off: (event: string, callback?: (...args: never[]) => void) => void;
  send: (content: unknown) => void;
  widget_manager?: { kernel?: Kernel | null };
}

function render({ model, el }: { model: WidgetModel; el: HTMLElement }): () => void {
  const dispose = mount(el, {
    snapshot: model.get('snapshot'),
    send: (message: Outgoing) => {
      try {
        model.send(message);
      } catch {
        // the comm of a dead kernel is closed; the view already says so or will
      }
    },
    subscribe: listener => {
      const onMessage = (message: Incoming) => listener(message);
      const lost = () => listener({ connected: false });
      // the view is of a run that this kernel had: where it starts, another one is in its place
      const status = (_: unknown, now: string) => {
        const loss = lossOf(now);
        if (loss) {
          listener(loss);
        }
      };
      const signal = model.widget_manager?.kernel?.statusChanged;
      model.on('msg:custom', onMessage);
      model.on('comm:close', lost);
      signal?.connect(status);
      return () => {
        model.off('msg:custom', onMessage);
        model.off('comm:close', lost);
        signal?.disconnect(status);
      };
    }
  });
  return dispose;
}

export default { render };
