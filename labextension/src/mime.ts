/** Shows `application/vnd.sllmbo.run+json`: the saved run with its live look, without kernel and without trust. */

import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import { Widget } from '@lumino/widgets';
import { liveModel, onLiveModel } from './live-models';
import type { Bundle, Incoming, Model } from './view/bundle';
import { mount } from './view/mount';

export const MIME = 'application/vnd.sllmbo.run+json';

class RunOutput extends Widget implements IRenderMime.IRenderer {
  private takeAway: (() => void) | undefined;
  private stopWaiting: (() => void) | undefined;
  private model: IRenderMime.IMimeModel | undefined;
  /** The run that is shown by way of its kernel. */
  private followed: string | undefined;

  constructor() {
    super();
    this.addClass('sllmbo-output');
  }

  renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    this.model = model;
    const data = model.data[MIME];
    const { live } = (data ?? {}) as { live?: unknown };
    const id = typeof live === 'string' ? live : undefined;
    if (id !== undefined && id === this.followed) {
      return Promise.resolve(); // it shows this run already, and more of it than the output holds
    }
    this.stopWaiting?.();
    const show = (running: Model | undefined) => {
      this.takeAway?.();
      this.followed = running && id;
      this.takeAway = mount(this.node, running ? this.modelFor(running, data) : { snapshot: data });
    };
    show(id === undefined ? undefined : liveModel(id));
    this.stopWaiting = id === undefined ? undefined : onLiveModel(id, show);
    return Promise.resolve();
  }

  /** The way to a run whose marks are written into the output too, so that the saved notebook has them. */
  private modelFor(running: Model, data: unknown): Model {
    return {
      ...running,
      snapshot: data,
      subscribe: listener =>
        running.subscribe?.(message => {
          this.write(message);
          listener(message);
        }) ?? (() => {})
    };
  }

  private write(message: Incoming): void {
    const patch = 'delta' in message ? message.delta.trial : undefined;
    const data = this.model?.data[MIME] as unknown as Partial<Bundle> | undefined;
    const marks = {
      ...(patch?.star === undefined ? {} : { star: patch.star }),
      ...(patch?.note === undefined ? {} : { note: patch.note })
    };
    if (!patch || Object.keys(marks).length === 0 || !data?.trials || !data.run?.summary) {
      return;
    }
    const trials = data.trials.map(t => (t.n === patch.n ? { ...t, ...marks } : t));
    this.model?.setData({ data: { ...this.model.data, [MIME]: { ...data, trials } as never } });
  }

  override dispose(): void {
    this.stopWaiting?.();
    this.takeAway?.();
    super.dispose();
  }
}

const extension: IRenderMime.IExtension = {
  id: 'sllmbo-magic:mime',
  description: 'Shows a saved run of %%sllmbo.',
  rendererFactory: {
    // the view sanitises every text itself, so an untrusted notebook may show it
    safe: true,
    mimeTypes: [MIME],
    createRenderer: () => new RunOutput()
  },
  rank: 0,
  dataType: 'json'
};

export default extension;
