/** Help inside `%%sllmbo` cells: wrap a cell, complete options, explain them under the pointer; the settings. */

import { hoverTooltip } from '@codemirror/view';
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { EditorExtensionRegistry, IEditorExtensionRegistry } from '@jupyterlab/codemirror';
import type { CompletionHandler, ICompletionContext, ICompletionProvider } from '@jupyterlab/completer';
import { ICompletionProviderManager } from '@jupyterlab/completer';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { runIcon } from './icon';
import { complete, explain, freeName, isOurs, optionAt, wrapped } from './magic-line';
import { applyTheme, defaultsOf, SETTINGS } from './settings';

const WRAP = 'sllmbo:wrap-cell';

class OptionCompletion implements ICompletionProvider {
  readonly identifier = 'sllmbo-magic:options';
  readonly rank = 1000;
  readonly renderer = null;

  isApplicable(context: ICompletionContext): Promise<boolean> {
    return Promise.resolve(isOurs(context.editor?.model.sharedModel.getSource() ?? ''));
  }

  fetch(request: CompletionHandler.IRequest): Promise<CompletionHandler.ICompletionItemsReply> {
    const completion = complete(request.text, request.offset);
    return Promise.resolve(
      completion
        ? {
            ...completion,
            items: completion.items.map(item => ({ ...item, insertText: item.label, type: 'option' }))
          }
        : { start: request.offset, end: request.offset, items: [] }
    );
  }
}

const optionHelp = hoverTooltip((view, position) => {
  const hovered = optionAt(view.state.doc.toString(), position);
  return (
    hovered && {
      pos: hovered.start,
      end: hovered.end,
      above: true,
      create: () => {
        const dom = document.createElement('div');
        dom.className = 'sllmbo-hover';
        const title = document.createElement('strong');
        title.textContent = `${hovered.option.spellings.join(', ')} ${hovered.option.metavar}`.trim();
        const body = document.createElement('div');
        body.textContent = explain(hovered.option);
        dom.append(title, body);
        return { dom };
      }
    }
  );
});

export const cellsPlugin: JupyterFrontEndPlugin<void> = {
  id: SETTINGS,
  description: 'Wraps a cell as %%sllmbo; completes and explains its options; holds the settings.',
  autoStart: true,
  requires: [INotebookTracker],
  optional: [ICommandPalette, ISettingRegistry, ICompletionProviderManager, IEditorExtensionRegistry],
  activate: (
    app: JupyterFrontEnd,
    tracker: INotebookTracker,
    palette: ICommandPalette | null,
    registry: ISettingRegistry | null,
    completion: ICompletionProviderManager | null,
    editors: IEditorExtensionRegistry | null
  ) => {
    let settings: ISettingRegistry.ISettings | null = null;
    registry
      ?.load(SETTINGS)
      .then(loaded => {
        settings = loaded;
        applyTheme(loaded);
        loaded.changed.connect(applyTheme);
      })
      .catch(error => console.error('The settings of sllmbo-magic cannot be read.', error));

    const active = () => {
      const cell = tracker.activeCell;
      return cell?.model.type === 'code' && !isOurs(cell.model.sharedModel.getSource()) ? cell : null;
    };
    app.commands.addCommand(WRAP, {
      label: 'Tune This Cell with %%sllmbo',
      caption: 'Put %%sllmbo with the options of your settings on top of the cell',
      icon: args => (args.toolbar ? runIcon : undefined),
      isEnabled: () => active() !== null,
      execute: () => {
        const cell = active();
        const cells = tracker.currentWidget?.content.model?.cells;
        if (cell && cells) {
          const name = freeName(Array.from(cells, c => c.sharedModel.getSource()));
          const source = cell.model.sharedModel;
          source.setSource(wrapped(source.getSource(), name, defaultsOf(settings)));
          cell.editor?.focus();
        }
      },
      describedBy: { args: { type: 'object', properties: { toolbar: { type: 'boolean' } } } }
    });
    tracker.activeCellChanged.connect(() => app.commands.notifyCommandChanged(WRAP));
    palette?.addItem({ command: WRAP, category: 'SLLMBO' });
    completion?.registerProvider(new OptionCompletion());
    editors?.addExtension({
      name: 'sllmbo-magic:option-help',
      factory: () => EditorExtensionRegistry.createImmutableExtension(optionHelp)
    });
  }
};
