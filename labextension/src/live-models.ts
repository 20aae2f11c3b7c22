/**
 * The running runs of the open notebooks, by their ids: an output that an untrusted notebook may show (no widget)
 * is drawn live by way of the side panel's comm.
 */

import type { Model } from './view/bundle';

const models = new Map<string, Model>();

export const liveModel = (id: string): Model | undefined => models.get(id);

export const setLiveModel = (id: string, model: Model): Map<string, Model> => models.set(id, model);
