/** Chat: what was asked, answered, taken and rejected, and what you said; newest last, followed. */

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { ChatItem, Version } from '../bundle';
import { useBundle, useEnv } from '../context';
import { Message, SpaceMessage, textOf } from './messages';
import { Empty } from '../plot';

const PAGE = 40;

type Entry = { key: string; time: number; trial: number | null; item?: ChatItem; version?: Version; before?: Version };

/** Messages and new ranges in the order in which they happened. */
function entriesOf(chat: ChatItem[], versions: Version[]): Entry[] {
  const entries: Entry[] = chat.map(item => ({ key: item.id, time: item.time, trial: item.trial, item }));
  versions.forEach((version, i) => {
    const before = versions[i - 1];
    const entry: Entry = { key: `v${version.version}`, time: 0, trial: version.trial, version, ...(before ? { before } : {}) };
    // a version has no time of its own: it follows the last reply made for its trial or before
    let at = entries.length;
    for (let j = entries.length - 1; j >= 0; j--) {
      const e = entries[j]!;
      if (e.trial !== null && e.trial <= version.trial) {
        at = j + 1;
        break;
      }
      at = j;
    }
    entries.splice(at, 0, entry);
  });
  return entries;
}

export function Chat() {
  const { printing, store } = useEnv();
  const { chat, space, omitted } = useBundle();
  const [query, setQuery] = useState('');
  const [pages, setPages] = useState(1);
  const [follow, setFollow] = useState(store.live);
  const list = useRef<HTMLDivElement>(null);
  const inner = useRef<HTMLDivElement>(null);
  const entries = useMemo(() => entriesOf(chat, space.versions), [chat, space.versions]);
  const found = useMemo(() => {
    const words = query.toLowerCase().split(/\s+/).filter(Boolean);
    return words.length
      ? entries.filter(e => words.every(w => textOf(e.item, e.version).includes(w)))
      : entries;
  }, [entries, query]);
  const shown = printing ? found : found.slice(-PAGE * pages);
  const lastKey = shown[shown.length - 1]?.key;

  useLayoutEffect(() => {
    // answers grow while they are drawn (markdown, what is fetched): the end is followed, not jumped to once
    const toEnd = () => list.current?.scrollTo(0, list.current.scrollHeight);
    if (!follow || !inner.current) {
      return;
    }
    toEnd();
    const observer = new ResizeObserver(toEnd);
    observer.observe(inner.current);
    return () => observer.disconnect();
  }, [follow, lastKey]);
  useEffect(() => setPages(1), [query]);

  // only the reader's own scrolling ends following, or takes it up again at the end
  const onScrolled = () => {
    const el = list.current;
    if (el && store.live) {
      setFollow(el.scrollHeight - el.scrollTop - el.clientHeight < 40);
    }
  };
  const earlier = () => {
    const el = list.current;
    const fromEnd = el ? el.scrollHeight - el.scrollTop : 0;
    setFollow(false);
    setPages(p => p + 1);
    requestAnimationFrame(() => {
      if (el) {
        el.scrollTop = el.scrollHeight - fromEnd;
      }
    });
  };

  return (
    <div class="chat">
      <div class="chat-bar">
        <input
          type="search"
          placeholder="Search"
          aria-label="Search the chat"
          value={query}
          onInput={event => setQuery(event.currentTarget.value)}
        />
        <span class="muted" role="status">
          {query ? `${found.length} of ${entries.length}` : `${entries.length} messages`}
        </span>
        {store.live && (
          <label class="follow" title="Keep the newest message in sight">
            <input type="checkbox" checked={follow} onChange={event => setFollow(event.currentTarget.checked)} />
            Follow
          </label>
        )}
      </div>
      <div class="chat-list" ref={list} onWheel={onScrolled} onPointerUp={onScrolled} onKeyUp={onScrolled} onTouchEnd={onScrolled} role="log" aria-label="Conversation" tabIndex={0}>
        <div ref={inner}>
        {(omitted?.chat ?? 0) > 0 && shown.length === found.length && (
          <p class="muted centre">{omitted!.chat} earlier messages are in the run’s transcript.</p>
        )}
        {shown.length < found.length && (
          <button type="button" class="link centre" onClick={earlier}>
            Show {Math.min(PAGE, found.length - shown.length)} earlier messages
          </button>
        )}
        {shown.length === 0 && (
          <Empty>
            {query
              ? 'Nothing found.'
              : store.live
                ? 'The first question goes out once the default configuration is scored.'
                : 'This run asked no model.'}
          </Empty>
        )}
        {shown.map(e =>
          e.item ? (
            <Message key={e.key} item={e.item} />
          ) : (
            <SpaceMessage key={e.key} version={e.version!} before={e.before} />
          )
        )}
        </div>
      </div>
    </div>
  );
}
