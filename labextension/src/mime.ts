/** Shows `application/vnd.sllmbo.run+json`: the saved run with its live look, without kernel and without trust. */

import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import { Widget } from '@lumino/widgets';
import { liveModel, onLiveModel } from './live-models';
import type { Model } from './view/bundle';
import { mount } from './view/mount';

export const MIME = 'application/vnd.sllmbo.run+json';

class RunOutput extends Widget implements IRenderMime.IRenderer {
  private takeAway: (() => void) | undefined;
  private stopWaiting: (() => void) | undefined;

  constructor() {
    super();
    this.addClass('sllmbo-output');
  }

  renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    this.stopWaiting?.();
    const data = model.data[MIME];
    const { live } = (data ?? {}) as { live?: unknown };
    const id = typeof live === 'string' ? live : undefined;
    const show = (running: Model | undefined) => {
      this.takeAway?.();
      this.takeAway = mount(this.node, running ? { ...running, snapshot: data } : { snapshot: data });
    };
    show(id === undefined ? undefined : liveModel(id));
    this.stopWaiting = id === undefined ? undefined : onLiveModel(id, show);
    return Promise.resolve();
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
