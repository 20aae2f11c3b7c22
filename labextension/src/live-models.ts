/**
 * The runs of the open notebooks' kernels, by their ids: an output that shows one is drawn live, by way of the side
 * panel's comm, while it goes on, where no widget may be shown, and after its end, so that its trials can be marked.
 */

import type { Model } from './view/bundle';

const models = new Map<string, Model>();
const waiting = new Map<string, Set<(model: Model) => void>>();

export const liveModel = (id: string): Model | undefined => models.get(id);

export function setLiveModel(id: string, model: Model): void {
  models.set(id, model);
  waiting.get(id)?.forEach(receive => receive(model));
}

/** Hear of a run's model when it comes or comes anew. */
export function onLiveModel(id: string, receive: (model: Model) => void): () => void {
  const receivers = waiting.get(id) ?? new Set();
  waiting.set(id, receivers.add(receive));
  return () => receivers.delete(receive);
}
