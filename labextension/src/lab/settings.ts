/** The settings page's values. Keys of providers never stand here: they come from the kernel's environment. */

import type { ISettingRegistry } from '@jupyterlab/settingregistry';
import type { Defaults } from './magic-line';

export const SETTINGS = 'sllmbo-magic:cells';

export function defaultsOf(settings: ISettingRegistry.ISettings | null): Defaults {
  const of = (key: string) => settings?.get(key).composite;
  return {
    llm: String(of('llm') ?? 'rulebook'),
    sampler: String(of('sampler') ?? 'llm-tpe'),
    nTrials: Number(of('nTrials') ?? 50),
    maxRequests: Number(of('maxRequests') ?? 0),
    maxTokens: Number(of('maxTokens') ?? 0),
    maxCost: Number(of('maxCost') ?? 0)
  };
}

/** The theme of every view on the page; see `view/theme.ts`. */
export function applyTheme(settings: ISettingRegistry.ISettings): void {
  const theme = settings.get('theme').composite;
  if (theme === 'light' || theme === 'dark') {
    document.documentElement.dataset.sllmboTheme = theme;
  } else {
    delete document.documentElement.dataset.sllmboTheme;
  }
}
