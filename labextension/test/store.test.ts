import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Bundle, ChatItem, Delta, Incoming, Outgoing } from '../src/view/bundle';
import { applyDelta, asBundle, Store } from '../src/view/store';

function connected(snapshot: unknown = { run: { status: 'running', n_trials: 10 } }) {
  const sent: Outgoing[] = [];
  let hear: (message: Incoming) => void = () => undefined;
  const store = new Store({
    snapshot,
    send: message => sent.push(message),
    subscribe: listener => {
      hear = listener;
      return () => undefined;
    }
  });
  return { store, sent, say: (message: Incoming) => hear(message) };
}

const note = (id: string): ChatItem => ({ id, kind: 'note', trial: 0, time: 1, text: id });

test('a view asks for the whole state when it opens, and again when a delta is missing', () => {
  const { store, sent, say } = connected();
  assert.deepEqual(sent, [{ get: 'snapshot' }]);
  say({ delta: { seq: 1, chat: note('n1') } });
  say({ delta: { seq: 2, chat: note('n2') } });
  assert.equal(sent.length, 1);
  say({ delta: { seq: 5, chat: note('n5') } });
  assert.deepEqual(sent[1], { get: 'snapshot' });
  say({ delta: { seq: 9, since: 5, chat: note('n9') } });
  assert.equal(sent.length, 2, 'a delta that stands for those held back leaves no gap');
  assert.equal(store.bundle.chat.length, 4);
});

test('a delta that is older than the snapshot changes nothing', () => {
  const { store, say } = connected();
  say({ snapshot: asBundle({ seq: 7, chat: [{ ...note('n1'), text: 'new' }] }) });
  say({ delta: { seq: 6, chat: { ...note('n1'), text: 'old' } } });
  assert.equal(store.bundle.chat[0]!.text, 'new');
});

test('a wish is pending, acknowledged, then applied at a trial', () => {
  const { store, sent, say } = connected();
  store.command('sampler', 'tpe');
  const { id } = sent[1] as { id: string };
  assert.equal(store.commands[0]!.state, 'sent');
  say({ ack: id, ok: true, error: '' });
  assert.equal(store.commands[0]!.state, 'accepted');
  const chat: ChatItem = { id: `w:${id}`, kind: 'wish', trial: 4, time: 1, state: 'applied' };
  say({ delta: { seq: 1, chat } });
  assert.deepEqual([store.commands[0]!.state, store.commands[0]!.trial], ['applied', 4]);
  say({ ack: id, ok: true, error: '' });
  assert.equal(store.commands[0]!.state, 'applied', 'a late acknowledgement does not take it back');
});

test('wishes of another hand are shown too, and a reloaded page knows what is pending', () => {
  const item = (id: string, state: string): ChatItem => ({
    ...note(`w:${id}`),
    kind: 'wish',
    wish: 'pause',
    state
  });
  const { store } = connected({ run: {}, chat: [item('a', 'applied'), item('b', 'pending')] });
  store.command('ratio', 0.5);
  assert.deepEqual(
    store.recentCommands().map(c => [c.name, c.state]),
    [
      ['pause', 'applied'],
      ['pause', 'accepted'],
      ['ratio', 'sent']
    ]
  );
  assert.deepEqual(
    store.pending('pause').map(w => w.id),
    ['b']
  );
});

test('a refused wish says why', () => {
  const { store, sent, say } = connected();
  store.command('ratio', 7);
  say({ ack: (sent[1] as { id: string }).id, ok: false, error: 'ratio 7 is out of range.' });
  assert.deepEqual(
    [store.commands[0]!.state, store.commands[0]!.error],
    ['refused', 'ratio 7 is out of range.']
  );
});

test('two views of one run send different ids', () => {
  const [a, b] = [connected(), connected()];
  a.store.command('pause');
  b.store.command('pause');
  assert.notEqual((a.sent[1] as { id: string }).id, (b.sent[1] as { id: string }).id);
});

test('what came shortened is asked for once, and taken in', () => {
  const { store, sent, say } = connected();
  say({ delta: { seq: 1, trial: { n: 3, state: 'COMPLETE', value: 0.5, source: 'llm', more: true } } });
  assert.deepEqual(sent[1], { get: 'item', kind: 'trial', id: 3 });
  store.request('trial', 3);
  assert.equal(sent.length, 2);
  say({ item: { n: 3, state: 'COMPLETE', value: 0.5, source: 'llm', params: { a: 1 } }, kind: 'trial' });
  assert.deepEqual(store.bundle.trials[0]!.params, { a: 1 });
});

test('a run can be steered while it lives and has a kernel', () => {
  const { store, say } = connected();
  assert.ok(store.live);
  say({ delta: { seq: 1, run: { status: 'finished' } } });
  assert.ok(!store.live);
  assert.ok(!new Store({ snapshot: { run: { status: 'running' } } }).live);
});

test('a run without its kernel can neither be steered nor marked, and how the kernel went is kept', () => {
  const { store, say } = connected();
  say({ connected: false, restarted: true });
  say({ connected: false });
  assert.deepEqual([store.live, store.canStop, store.canMark], [false, false, false]);
  assert.ok(store.restarted, 'its connections close later');
  say({ snapshot: store.bundle });
  assert.deepEqual([store.live, store.restarted], [true, false]);
});

test('while the best configuration is checked, the run can be stopped and trials marked', () => {
  const { store, say } = connected();
  say({ delta: { seq: 1, run: { status: 'checking' } } });
  assert.deepEqual([store.live, store.canStop, store.canMark], [false, true, true]);
  say({ delta: { seq: 2, run: { status: 'finished' } } });
  assert.deepEqual([store.canStop, store.canMark], [false, false]);
});

test('entries that a delta does not name stay the same objects', () => {
  const before = asBundle({ trials: [{ n: 0 }, { n: 1 }], chat: [note('a'), note('b')] });
  const after = applyDelta(before, { seq: 1, trial: { n: 1, state: 'COMPLETE' }, chat: note('c') });
  assert.equal(after.trials[0], before.trials[0]);
  assert.notEqual(after.trials[1], before.trials[1]);
  assert.equal(after.chat[1], before.chat[1]);
});

for (const [name, data] of Object.entries({
  nothing: undefined,
  text: 'x',
  empty: {},
  'wrong lists': {
    trials: 3,
    chat: { a: 1 },
    space: { versions: [null, {}, { version: 0, params: [null, 4] }] }
  },
  'entries of another kind': { trials: [null, 1, 'x', {}], chat: [undefined, { id: 4 }] }
})) {
  test(`a damaged bundle still opens: ${name}`, () => {
    const bundle = asBundle(data);
    assert.deepEqual(bundle.trials, []);
    assert.deepEqual(bundle.chat, []);
    assert.equal(bundle.run.status, 'running');
  });
}

test('the deltas of a whole run, as Python made them, add up to its snapshot', {
  skip: !process.env.SLLMBO_RUN
}, () => {
  const { deltas, items, snapshot } = JSON.parse(readFileSync(process.env.SLLMBO_RUN!, 'utf8')) as {
    deltas: Delta[];
    items: Record<string, never>;
    snapshot: Bundle;
  };
  const { store, sent, say } = connected({});
  const answer = () => {
    for (const message of sent.splice(0)) {
      if ('get' in message && message.get === 'item') {
        say({ item: items[`${message.kind}:${message.id}`]!, kind: message.kind });
      }
    }
  };
  for (const delta of deltas) {
    say({ delta });
    if (delta.chat?.more) {
      store.request('chat', delta.chat.id);
    }
    answer();
  }
  const whole = (entries: object[]) => entries.map(e => ({ ...e, more: false }));
  assert.deepEqual(whole(store.bundle.trials), whole(snapshot.trials));
  assert.deepEqual(whole(store.bundle.chat), whole(snapshot.chat));
  assert.deepEqual(whole(store.bundle.space.versions), whole(snapshot.space.versions));
  assert.deepEqual(store.bundle.cost, snapshot.cost);
});
