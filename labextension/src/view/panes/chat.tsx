/** Chat: what was asked, answered, taken and rejected, and what you said; newest last, followed. */

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { useBundle, useEnv } from '../context';
import { entriesOf } from '../entries';
import { Message, Proposal, SpaceMessage, textOf } from './messages';
import { Empty } from '../plot';

const PAGE = 40;

export function Chat() {
  const { printing, store } = useEnv();
  const { chat, space, trials, omitted } = useBundle();
  const [query, setQuery] = useState('');
  const [pages, setPages] = useState(1);
  const [follow, setFollow] = useState(store.live);
  const list = useRef<HTMLDivElement>(null);
  const inner = useRef<HTMLDivElement>(null);
  const ours = useRef(-1); // where following put the list: a scroll to there is not the reader's
  const entries = useMemo(() => entriesOf(chat, space.versions, trials), [chat, space.versions, trials]);
  const found = useMemo(() => {
    const words = query.toLowerCase().split(/\s+/).filter(Boolean);
    return words.length
      ? entries.filter(e => words.every(w => textOf(e).includes(w)))
      : entries;
  }, [entries, query]);
  const shown = printing ? found : found.slice(-PAGE * pages);
  const lastKey = shown[shown.length - 1]?.key;

  useLayoutEffect(() => {
    // answers grow while they are drawn (markdown, what is fetched): the end is followed, not jumped to once
    const toEnd = () => {
      const el = list.current;
      if (el) {
        el.scrollTop = el.scrollHeight;
        ours.current = el.scrollTop;
      }
    };
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
    if (el && store.live && Math.abs(el.scrollTop - ours.current) > 1) {
      ours.current = -1;
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
      <div class="chat-list" ref={list} onScroll={onScrolled} role="log" aria-label="Conversation" tabIndex={0}>
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
          'item' in e ? (
            <Message key={e.key} item={e.item} />
          ) : 'version' in e ? (
            <SpaceMessage key={e.key} version={e.version} before={e.before} />
          ) : (
            <Proposal key={e.key} trial={e.proposal} />
          )
        )}
        </div>
      </div>
    </div>
  );
}
